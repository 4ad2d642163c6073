#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja bisect --when` on the demo and on small guests, compared with asking at every moment of the run.

usage: check_bisect.py DEJA EVERY_MOMENT DEMO_ELF GUESTS
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

DEJA, EVERY_MOMENT, DEMO_ELF, GUESTS = (os.path.abspath(path) for path in sys.argv[1:5])
del sys.argv[1:5]

# Conditions that stay true once they are, in the demo's run.
LASTING = [
    "icount > 1000",
    "icount >= 5_000_000 && icount != 3",
    "vns >= 400000000",
    'seen("audit 3")',
    "seen(/PANIC.*955140/)",
    'seen("two tellers") && seen("audit 4:")',
    "u64[ticks] >= 777",
    "u64[phys ticks] >= 777",
    "s32[ticks] > 1000 && icount > 5",
    "u64[ticks] > 100 ? icount > 100 : 0",
    "(efer & 0x400) != 0",
    "u8[reporting] == 1",
]
# Those that do not.
PASSING = [
    "halted",
    "u64[ticks] == 500",
    "rax == 77 && icount > 5000000",
    "icount == 4321",
    "vns == 499_933_849",
    "u64[ticks] == 500 && halted",
    "u64[ticks] == 500 && seen(\"audit 1\")",
    "!seen(\"audit 2\") && seen(\"audit 1\")",
    "u64[rsp] == 1 && rsp > 0x110000",
    "u32[phys 0xfee00020] == 7 || u64[ticks] == 123",
    "u8[phys 0xb8000] == 65 || rip == on_tick && u64[ticks] == 300",
    "u64[u64[current] + 8] == 3 || u32[phys ticks] == 1001",
    "eflags & 1 && !(eflags & 0x200) && rip != 0x100000",
]

# Of small guests: paging and what changes mappings, privilege, faults, repeated string instructions.
OF_GUESTS = {
    "paging.bin": [
        "u64[0x40000000] == 0x2222", "u64[0x40000000] == 0x3333", "(u64[phys 0x110000] & 0x60) == 0x20",
        "(u64[phys 0x110000] & 0x60) == 0x60", "u8[0x40000000] == 1", "cr2 == 0x40000000", "(cr0 & 0x10000) == 0",
        "u64[u64[phys 0x110000] & 0xfffff000] == 0x2222", "u32[0x40000ffe] == 0x22221111 || u16[0x40000fff]",
        "u64[0x40200000 + 0x121000] == 0x2222", "u64[0x40000ffc] == 0x1122334455667788",
        "cr2 == 0x40000000 && u64[0x40000000] == 0x2222", "!(u64[0x40000000] || 1) || u64[0x40001000] >= 0",
    ],
    "tlb.bin": [
        "u64[0x40003000] == 5", "u64[0x40000000] == 7 && u64[0x40001000] == 3",
        "u64[0x40001000] == 6 && (cr4 & 0x80) == 0", "u64[0x40000000] + u64[0x40007000] == 13",
        "u64[phys (u64[phys 0x110018] & 0xff000)] == 6", "rcx == 0x40003000 && u64[rcx] == 2",
    ],
    "rings.bin": ["cpl == 3", "cpl == 1", "cpl == 2", "cpl == 3 && rsp < 0x1000", "cpl == 3 && cr2 != 0"],
    "exceptions.bin": ["cr2 != 0", "halted", "cr2 == 0xdead", "u64[rsp + 8] == 8", "rip == 0x40000000"],
    "modes32.bin": ["cr0 & 0x80000000", "cr3 != 0 && !(cr0 & 1)", "(cr4 & 0x20) && (cr0 & 0x80000000)", "efer & 0x400",
                    "(cr0 & 0x80000001) == 0x80000001 && !(efer & 0x400) && u8[0x7c00]"],
    "switch.elf": ["cpl == 3", "cr3 == 0x5000", "halted", "u64[rsp] == rip"],
    "strings.bin": ["rcx == 5 && rdi > 0x1000", "u8[rdi] == 0x55", "rcx == 3 && u8[rsi] == u8[rdi] && rsi != rdi"],
    "apic.bin": ["u32[phys 0xfee00080] == 0x20", "u32[0xfee00320] == 7 || halted"],
    "smc.bin": ["u8[rip] == 0xf4", "u32[rip + 1] == 0x12345678"],
}


def deja(*args, **kwargs):
    return subprocess.run([DEJA, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=280, text=True,
                          **kwargs)


def demo_symbols():
    table = subprocess.run(["nm", DEMO_ELF], capture_output=True, text=True, check=True).stdout
    return {name: int(value, 16) for value, _, name in (line.split() for line in table.splitlines())}


def every_moment(trace, *args):
    result = subprocess.run([EVERY_MOMENT, trace, *args], capture_output=True, text=True, timeout=280, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


class Bisect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.trace = os.path.join(cls.folder.name, "demo.deja")
        deja("record", "-o", cls.trace, "--seed", "1")
        cls.indexed = os.path.join(cls.folder.name, "indexed.deja")
        os.link(cls.trace, cls.indexed)
        deja("index", cls.indexed)
        cls.symbols = demo_symbols()
        cls.truth = dict(zip(LASTING + PASSING, cls.every_moment(*LASTING, *PASSING)))
        cls.length = json.loads(deja("info", "--json", cls.trace).stdout)["icount"]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def every_moment(cls, *conditions):
        """It knows no symbols: they become numbers."""
        names = r"\b(ticks|reporting|current|on_tick)\b"
        return every_moment(cls.trace, *(re.sub(names, lambda m: hex(cls.symbols[m[1]]), condition)
                                         for condition in conditions))

    def bisect(self, trace, *args, status=0):
        result = deja("bisect", trace, "--json", *args)
        self.assertEqual((result.returncode, result.stderr), (status, ""), args)
        return json.loads(result.stdout)

    def refused(self, *args, status=2):
        result = deja("bisect", *args)
        self.assertEqual((result.returncode, result.stdout), (status, ""))
        self.assertRegex(result.stderr, r"\Adeja: [^\n]*\n\Z")
        return result.stderr

    def assert_same(self, found, truth, what):
        """The moment and the one before it."""
        for place, of in ((found["first"], truth), (found["before"], truth["before"])):
            for name in ("icount", "entries", "rip"):
                self.assertEqual(place[name], of[name], (what, name))

    def test_the_conditions_last_or_not(self):
        for condition in LASTING:
            self.assertEqual((self.truth[condition]["begins"], self.truth[condition]["holds"]), (1, True), condition)
        for condition in PASSING:
            self.assertEqual((self.truth[condition]["begins"] > 0, self.truth[condition]["holds"]), (True, False),
                             condition)

    def test_the_first_moment_of_a_lasting_condition(self):
        for trace in (self.trace, self.indexed):
            for condition in LASTING:
                found = self.bisect(trace, "--when", condition)
                self.assertEqual((found["answer"], found["when"]), ("found", condition))
                self.assert_same(found, self.truth[condition], condition)

    def test_the_first_moment_ever_of_any_condition(self):
        for trace in (self.trace, self.indexed):
            for condition in PASSING if trace == self.indexed else PASSING[:3] + LASTING[:3]:
                found = self.bisect(trace, "--first-ever", "--when", condition)
                self.assertEqual(found["answer"], "found", condition)
                self.assert_same(found, self.truth[condition], condition)

    def test_the_first_moment_ever_by_one_job_and_by_many(self):
        for condition in ("u64[ticks] == 500", "u64[rsp] == 1 && rsp > 0x110000"):
            for jobs in ("1", "5"):
                found = self.bisect(self.indexed, "--first-ever", "--jobs", jobs, "--when", condition)
                self.assert_same(found, self.truth[condition], condition)

    def test_the_first_moment_ever_between_two(self):
        """Every second that is asked for begins where the last one was found."""
        begin, seen = 0, []
        for _ in range(4):
            found = self.bisect(self.indexed, "--first-ever", "--when", "halted", "--between", f"{begin},{begin + 6_000_000}")
            seen.append(found["first"]["icount"])
            begin = found["first"]["icount"] + 1
        truth = every_moment(self.trace, "--between", str(seen[2] + 1), str(seen[3] + 10), "halted")[0]
        self.assertEqual(seen[3], truth["icount"])
        found = self.bisect(self.indexed, "--first-ever", "--when", "halted", "--between", f"{seen[3]},{seen[3]}")
        self.assertEqual((found["answer"], found["first"]["icount"]), ("begin", seen[3]))
        self.bisect(self.indexed, "--first-ever", "--when", "halted", "--between", f"{seen[2] + 1},{seen[3] - 1}", status=1)

    def test_it_is_never_so(self):
        for condition in ("cpl == 3", "u64[ticks] == 77777", "rax == 0x123456789abcdef && rbx == 5", 'seen("x") && !seen("x")'):
            self.assertEqual(self.bisect(self.indexed, "--first-ever", "--when", condition, status=1)["answer"], "never")

    def test_what_made_it_so_is_shown(self):
        found = self.bisect(self.trace, "--when", "u64[ticks] >= 777")
        self.assertEqual(found["memory"], [{"address": self.symbols["ticks"], "physical": False, "bytes": 8,
                                            "before": 776, "after": 777}])
        self.assertRegex(found["before"]["symbol"], r"\Aon_tick\+|\Asched_tick\+|\A\w+\+0x")
        self.assertRegex(found["before"]["instruction"], r"\A(mov|add|inc)\b")
        self.assertEqual(found["before"]["cpl"], 0)
        self.assertIsNone(found["entry"])
        text = deja("bisect", self.trace, "--when", "u64[ticks] >= 777").stdout
        self.assertIn(f"instruction {found['first']['icount']:,}, ", text)
        self.assertIn(found["before"]["instruction"], text)
        self.assertIn(found["before"]["symbol"], text)
        self.assertIn("0x308 -> 0x309", text)
        self.assertIn(f"deja debug {self.trace} --at {found['first']['icount']:,}", text)

    def test_gdb_agrees_at_the_place_that_is_named(self):
        found = self.bisect(self.indexed, "--when", "u64[ticks] >= 777")
        for place, value in ((found["first"], 777), (found["before"], 776)):
            p = deja("debug", self.indexed, DEMO_ELF, "--at", str(place["icount"]), "--", "-batch", "-ex",
                     "print ticks", "-ex", "print/x $rip")
            self.assertIn(f"$1 = {value}\n", p.stdout)
            self.assertIn(f"$2 = {place['rip']:#x}\n", p.stdout)

    def test_an_entry_into_a_handler_makes_it_so(self):
        first = json.loads(next(line for line in deja("dump", "--json", self.trace).stdout.splitlines()
                                if '"interrupt"' in line))
        found = self.bisect(self.trace, "--when", "rip < 0x100000 || icount > %d || (eflags & 0x200) == 0 && "
                                                  "icount >= %d" % (first["icount"] + 2, first["icount"]))
        self.assertEqual((found["first"]["icount"], found["first"]["entries"]), (first["icount"], 1))
        self.assertEqual((found["before"]["icount"], found["before"]["entries"]), (first["icount"], 0))
        self.assertIn("interrupt %d" % first["vector"], found["entry"])
        place = "%d+1" % first["icount"]
        p = deja("debug", self.indexed, "--at", place, "--", "-batch", "-ex", "print/x $rip")
        self.assertIn(f"$1 = {found['first']['rip']:#x}\n", p.stdout)

    def test_it_holds_at_power_on(self):
        for condition in ("1", "icount < 1000000", "u64[ticks] == 0"):
            found = self.bisect(self.trace, "--when", condition)
            self.assertEqual((found["answer"], found["first"]["icount"]), ("begin", 0))

    def test_it_never_holds(self):
        for condition in ("0", "icount > 1_000_000_000_000", 'seen("no such line")', "u64[ticks] == 1 << 40",
                          "u32[0xffffffff00000000] == 0", "1 / u8[0xa] == 7"):
            for trace in (self.trace, self.indexed):
                self.assertEqual(self.bisect(trace, "--when", condition, status=1)["answer"], "never", condition)
        self.assertIn("--first-ever", deja("bisect", self.trace, "--when", "u64[ticks] == 1 << 40").stdout)

    def test_it_does_not_last(self):
        """Noticed where there are checkpoints to be asked, when it holds at one of them."""
        condition = "u64[ticks] > 100 && u64[ticks] < 1000"
        found = self.bisect(self.indexed, "--when", condition, status=1)
        self.assertEqual(found["answer"], "not lasting")
        text = deja("bisect", self.indexed, "--when", condition).stdout
        self.assertIn("does not last", text)
        self.assertIn("--first-ever", text)

    def test_between(self):
        truth = self.truth["u64[ticks] >= 777"]["icount"]
        for trace in (self.trace, self.indexed):
            for between in (f"{truth - 1},{truth}", f"{truth - 100_000:,}..{truth + 5:,}", f"begin,{truth}",
                            f"{truth - 5_000_000},end"):
                found = self.bisect(trace, "--when", "u64[ticks] >= 777", "--between", between)
                self.assertEqual((found["answer"], found["first"]["icount"]), ("found", truth), between)
            found = self.bisect(trace, "--when", "u64[ticks] >= 777", "--between", f"{truth},end")
            self.assertEqual((found["answer"], found["first"]["icount"]), ("begin", truth))
            self.assertEqual(self.bisect(trace, "--when", "u64[ticks] >= 777", "--between", f"0,{truth - 1}",
                                         status=1)["answer"], "never")

    def test_bad_usage_is_said_in_one_line(self):
        t = self.trace
        for args, part in (
                ([], "needs a trace"),
                ([t], "needs to know what"),
                ([t, t, "--when", "1"], "second"),
                ([t, "--when"], "without its value"),
                ([t, "--when", "1", "--run", "true"], "one thing"),
                ([t, "--run", "true", "--first-ever"], "--first-ever"),
                ([t, "--when", "1", "--bogus", "1"], "--bogus"),
                ([t, "--when", "1", "--between", "5"], "--between"),
                ([t, "--when", "1", "--between", "5,4"], "--between"),
                ([t, "--when", "1", "--between", "1,000,2,000"], "--between"),
                ([t, "--when", "1", "--between", f"{self.length + 1},end"], "--between"),
                ([t, "--when", "1", "--jobs", "0"], "--jobs"),
                ([t, "--when", "1", "--checkpoint-mem", "x"], "--checkpoint-mem"),
                ([t, "--when", "rax ="], "--when: column 5"),
                ([t, "--when", ""], "--when: column 1"),
                ([t, "--when", "icount > nosuch"], "--when: column 10: 'nosuch' is no register and no symbol"),
                ([t, "--when", "1", "--vmlinux", t + ".none"], t + ".none"),
                ([t + ".none", "--when", "1"], t + ".none"),
                ([DEMO_ELF, "--when", "1"], "not a deja trace")):
            self.assertIn(part, self.refused(*args), args)

    def test_of_a_cut_recording_it_is_said_that_there_is_no_more(self):
        cut = os.path.join(self.folder.name, "cut.deja")
        with open(self.trace, "rb") as f, open(cut, "wb") as g:
            g.write(f.read()[:-150])
        result = deja("bisect", cut, "--when", "icount > 1000000", "--json")
        self.assertEqual((result.returncode, json.loads(result.stdout)["answer"]), (1, "never"))
        self.assertEqual(result.stderr, f"deja: {cut}: the recording is cut off, this is what there is of it\n")

    def test_a_damaged_recording_is_said(self):
        with open(self.trace, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 0x10
        bad = os.path.join(self.folder.name, "bad.deja")
        with open(bad, "wb") as f:
            f.write(data)
        self.assertIn(bad, self.refused(bad, "--when", 'seen("nothing at all")'))


class Guests(unittest.TestCase):
    def check(self, guest):
        with tempfile.TemporaryDirectory() as folder:
            trace = os.path.join(folder, "guest.deja")
            deja("record", "-o", trace, "--seed", "7", "-m", "64M", "-kernel", os.path.join(GUESTS, guest))
            deja("index", trace)
            conditions = OF_GUESTS[guest]
            for condition, truth in zip(conditions, every_moment(trace, *conditions)):
                result = deja("bisect", trace, "--json", "--first-ever", "--when", condition)
                self.assertEqual((result.returncode, result.stderr), (truth["begins"] == 0, ""), condition)
                found = json.loads(result.stdout)
                if truth["begins"] > 0:
                    for place, of in ((found.get("first"), truth), (found.get("before"), truth["before"])):
                        for name in ("icount", "entries", "rip"):
                            if place is not None:
                                self.assertEqual(place[name], of[name], (guest, condition, name))
                print(guest, condition, found["answer"], truth["begins"])


for name in OF_GUESTS:
    setattr(Guests, "test_the_first_moment_ever_in_" + name.replace(".", "_"), lambda self, guest=name: self.check(guest))


if __name__ == "__main__":
    unittest.main()
