#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja find` on recordings of the demo and of small guests: whatever it says is compared with what is known in
another way, and with itself: all workers together find what one finds.

usage: check_find.py DEJA FOLDER_OF_GUESTS
"""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DEJA, GUESTS = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]


def deja(*args, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([DEJA, *map(str, args)], capture_output=True, timeout=240, text=True, errors="replace", **more)


def number(text):
    return int(text, 0)


class Find(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.plain = cls.path("plain.deja")
        cls.indexed = cls.path("indexed.deja")
        recorded = deja("record", "-o", cls.plain, "--seed", 7, "-m", "32M", stdin=None, input="+a")
        cls.printed = recorded.stdout.replace("\n", "\r\n") if "\r" not in recorded.stdout else recorded.stdout
        shutil.copy(cls.plain, cls.indexed)
        index = deja("index", cls.indexed)
        assert index.returncode == 0, index.stderr
        cls.checkpoints = int(index.stdout.split()[0])
        cls.events = [json.loads(line) for line in deja("dump", "--json", cls.plain).stdout.splitlines()]
        cls.end = cls.events[-1]["icount"]
        cls.answers = {}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def find(self, *args, trace=None, status=None):
        key = (trace, args)
        if key not in self.answers:
            p = deja("find", trace or self.indexed, "--json", *args)
            self.answers[key] = p
        p = self.answers[key]
        hits = [json.loads(line) for line in p.stdout.splitlines()]
        self.assertEqual(p.returncode, status if status is not None else 0 if hits else 1, p.stderr)
        if not hits and p.returncode == 1:
            self.assertEqual(p.stderr, "deja: find: not found\n")
        return hits

    def guest(self, name):
        trace = self.path(name + ".deja")
        if not os.path.exists(trace):
            p = deja("record", "-o", trace, "--seed", 7, "-m", "64M", "-kernel", os.path.join(GUESTS, name + ".bin"))
            self.assertEqual(p.returncode, 0, p.stderr)
        return trace

    def one_line(self, result, status, *parts):
        self.assertEqual((result.returncode, result.stdout), (status, ""), result.stderr)
        self.assertRegex(result.stderr, r"\Adeja: [^\n]*\n\Z")
        for part in parts:
            self.assertIn(part, result.stderr)

    SELECTORS = [("--writes", "ledger,8"), ("--reads", "ledger,8"), ("--accesses", "ledger,8"), ("--exec", "ledger_audit"),
                 ("--writes", "ledger"), ("--output", "/^ *[a-z]+/"), ("--event", "irq"), ("--event", "irq=32"),
                 ("--event", "input"), ("--event", "exception"), ("--event", "io=40-43"), ("--event", "cr"),
                 ("--event", "in=64", "--exec", "panic", "--writes", "ledger,24")]

    def test_workers_find_what_one_finds_with_an_index_or_without(self):
        self.assertGreater(self.checkpoints, 3)
        for selector in self.SELECTORS:
            straight = self.find(*selector, trace=self.plain)
            self.assertTrue(straight, selector)
            for jobs in (1, 3):
                self.assertEqual(self.find(*selector, "--jobs", jobs), straight, (selector, jobs))

    def test_first_and_last_are_the_ends_of_all(self):
        for selector in self.SELECTORS:
            hits = self.find(*selector, trace=self.plain)
            for trace, jobs in ((self.plain, 2), (self.indexed, 1), (self.indexed, 3)):
                self.assertEqual(self.find(*selector, "--first", "--jobs", jobs, trace=trace), hits[:1])
                self.assertEqual(self.find(*selector, "--last", "--jobs", jobs, trace=trace), hits[-1:])

    def test_between_takes_what_is_there(self):
        for selector in self.SELECTORS[:8]:
            hits = self.find(*selector)
            a, b = hits[len(hits) // 3]["icount"], hits[2 * len(hits) // 3]["icount"]
            want = [hit for hit in hits if a <= hit["icount"] <= b]
            for between in (f"{a}..{b}", f"{a},{b}", f"{a:,}..{b:,}"):
                self.assertEqual(self.find(*selector, "--between", between), want)
            self.assertEqual(self.find(*selector, "--between", f"{a}..{b}", "--last", "--jobs", 3), want[-1:])
            self.assertEqual(self.find(*selector, "--between", f"{b + 1}..end"),
                             [hit for hit in hits if hit["icount"] > b])
        self.assertEqual(self.find("--exec", "panic", "--between", "0..1000"), [])

    def test_the_stores_to_a_word_are_a_chain(self):
        """Each finds what the one before has left: none is missing, whoever did it."""
        for place in ("ledger,8", "ledger+8,8", "ledger+16,8"):
            hits = self.find("--writes", place)
            for before, after in zip(hits, hits[1:]):
                self.assertEqual(before["after"], after["before"])
            for hit in hits:
                self.assertEqual(hit["what"] in ("write", "update"), True)
                self.assertRegex(hit["object"], r"^ledger\+")

    def test_loads_see_what_was_stored_and_accesses_are_both(self):
        writes, reads = self.find("--writes", "ledger,8"), self.find("--reads", "ledger,8")
        both = self.find("--accesses", "ledger,8")
        place = lambda hit: (hit["icount"], hit["entries"])
        self.assertEqual(sorted({place(h) for h in writes + reads}), [place(h) for h in both])
        value, order = "0x0", iter(writes)
        following = next(order)
        for read in reads:
            while following is not None and place(following) < place(read):
                value, following = following["after"], next(order, None)
            if read["what"] == "read":
                self.assertEqual(read["value"], value)
        kinds = {h["what"] for h in both}
        self.assertTrue(kinds <= {"read", "write", "update"} and {"read", "write"} <= kinds, kinds)

    def test_values_are_those_that_gdb_sees(self):
        hits = self.find("--writes", "ledger,8")
        for hit in (hits[0], hits[len(hits) // 2], hits[-1]):
            script = ["-batch", "-ex", "x/gx &ledger", "-ex", "p $icount", "-ex", "p/x $rip", "-ex", "p $vns",
                      "-ex", "stepi", "-ex", "x/gx &ledger"]
            out = deja("debug", self.indexed, "--at", hit["icount"], "--", *script).stdout
            words = re.findall(r"<ledger>:\s+(0x[0-9a-f]+)", out)
            self.assertEqual([number(w) for w in words], [number(hit["before"]), number(hit["after"])], out)
            self.assertIn("= %d\n" % hit["icount"], out)
            self.assertIn("= %s\n" % hit["rip"], out)
            self.assertIn("= %d\n" % hit["vns"], out)

    def test_physical_addresses_are_watched_as_virtual_ones(self):
        """The demo's memory is where it is mapped."""
        address = self.find("--writes", "ledger,8", "--first")[0]["address"]
        for what in ("--writes", "--reads", "--accesses"):
            virtual, physical = self.find(what, address + ",8"), self.find(what, "phys:" + address + ",8")
            for hit in virtual:
                hit["physical"] = hit.pop("address")
                hit.pop("object")
            self.assertEqual(physical, virtual)

    def test_physical_stores_are_seen_by_any_address(self):
        """Two linear addresses of one page; accessed and dirty bits that the page walker sets."""
        trace = self.guest("paging")
        tables = self.find("--event", "cr3", trace=trace)[0]["after"]
        hits = self.find("--writes", f"phys:{tables},4096", trace=trace)
        walker = [h for h in hits if h["size"] == 1 and number(h["before"]) & ~0x60 == number(h["after"]) & ~0x60]
        self.assertTrue(walker)

    def test_long_ranges_give_the_bytes_accessed(self):
        word, whole = self.find("--writes", "ledger+8,8"), self.find("--writes", "ledger,24")
        inside = [h for h in whole if h["address"] == word[0]["address"] and h["size"] == 8]
        self.assertEqual(inside, word)

    def test_execution_of_the_out_instruction_is_what_was_printed(self):
        written = self.find("--event", "out=3f8")
        rip = collections.Counter(h["rip"] for h in written).most_common(1)[0][0]
        executed = self.find("--exec", rip)
        same = [h for h in written if h["rip"] == rip]
        self.assertEqual([h["icount"] for h in executed], [h["icount"] for h in same])
        self.assertEqual("".join(chr(number(h["value"])) for h in same), self.printed)
        self.assertTrue(all(h["cpl"] == 0 and h["size"] == 1 for h in written))

    def test_symbols_may_have_an_offset_and_addresses_may_be_bare(self):
        hits = self.find("--exec", "panic")
        self.assertEqual(self.find("--exec", "panic+0"), hits)
        self.assertEqual(self.find("--exec", hits[0]["rip"]), hits)
        self.assertEqual(self.find("--exec", "%016x" % number(hits[0]["rip"])), hits)
        following = self.find("--exec", "%#x" % (number(hits[0]["rip"]) + 1))
        self.assertTrue(not following or following[0]["symbol"].startswith("panic+0x1"))

    def test_interrupts_and_inputs_are_those_of_the_trace(self):
        irqs = [e for e in self.events if e["event"] == "interrupt"]
        hits = self.find("--event", "irq")
        self.assertEqual([(h["icount"], h["vector"], h["source"]) for h in hits],
                         [(e["icount"], e["vector"], e["source"]) for e in irqs])
        inputs = [e for e in self.events if e["event"] == "input"]
        hits = self.find("--event", "input")
        self.assertEqual([(h["icount"], h["vns"]) for h in hits], [(e["icount"], e["vns"]) for e in inputs])
        self.assertEqual(len(self.find("--event", "input=serial")), len([e for e in inputs if e["kind"] == "serial"]))
        self.assertEqual(self.find("--event", "input=reset"), [])
        self.assertEqual(self.find("--event", "irq=99"), [])

    def test_a_handler_is_entered_behind_its_interrupt(self):
        vector = self.find("--event", "irq", "--first")[0]["vector"]
        irqs = self.find("--event", f"irq={vector}")
        at = irqs[0]["icount"]
        out = deja("debug", self.indexed, "--at", at, "--", "-batch", "-ex", "stepi", "-ex", "p/x $rip").stdout
        handler = re.search(r"= (0x[0-9a-f]+)", out).group(1)
        entered = self.find("--exec", handler)
        self.assertEqual([(h["icount"], h["entries"]) for h in entered],
                         [(h["icount"], h["entries"] + 1) for h in irqs])

    def test_output_is_found_where_the_log_has_it(self):
        lines = [json.loads(line) for line in deja("log", self.plain, "--json").stdout.splitlines()]
        hits = self.find("--output", "/^./")
        self.assertEqual([(h["icount"], h["vns"], h["text"]) for h in hits],
                         [(line["icount"], line["vns"], line["text"]) for line in lines if line["text"]])
        out = {h["icount"]: h for h in self.find("--event", "out=3f8")}
        for hit in hits:
            self.assertEqual((hit["rip"], hit["cpl"], hit["port"]), (out[hit["icount"]]["rip"], 0, 0))
            self.assertEqual(number(out[hit["icount"]]["value"]), ord(hit["text"][0]))
        self.assertEqual(self.find("--output", "no such text"), [])
        self.assertEqual(self.find("--output", "PANIC", "--output", "/PANI(C)/"), self.find("--output", "PANIC"))

    def test_filters_leave_what_they_say(self):
        hits = self.find("--writes", "ledger,8")
        values = sorted(number(h["after"]) for h in hits)
        v = values[len(values) // 2]
        for text, test in ((str(v), lambda x: x == v), (f"=={v:#x}", lambda x: x == v), (f"!={v}", lambda x: x != v),
                           (f"<{v}", lambda x: x < v), (f"> {v}", lambda x: x > v), (f"<={v}", lambda x: x <= v),
                           (f">={v}", lambda x: x >= v), ("&1", lambda x: x & 1)):
            want = [h for h in hits if test(number(h["after"]))]
            self.assertEqual(self.find("--writes", "ledger,8", "--value", text), want, text)
        self.assertEqual(self.find("--writes", "ledger,8", "--value", "<", v), [h for h in hits if number(h["after"]) < v])
        reads = self.find("--reads", "ledger,8")
        self.assertEqual(self.find("--reads", "ledger,8", "--value", v, "--jobs", 2),
                         [h for h in reads if number(h["value"] if "value" in h else h["after"]) == v])
        self.assertEqual(self.find("--writes", "ledger,8", "--cpl", 0), hits)
        self.assertEqual(self.find("--writes", "ledger,8", "--cpl", 3), [])
        cr3 = hits[0]["cr3"]
        self.assertEqual(self.find("--writes", "ledger,8", "--cr3", cr3), hits)
        self.assertEqual(self.find("--writes", "ledger,8", "--cr3", number(cr3) + 0x1000), [])
        self.assertEqual(self.find("--writes", "ledger,8", "--value", "-1"), [])

    def test_privilege_is_that_of_the_code(self):
        trace = self.guest("rings")
        hits = self.find("--event", "exception", trace=trace)
        user = self.find("--event", "exception", "--cpl", 3, trace=trace)
        self.assertEqual(user, [h for h in hits if h["cpl"] == 3])
        self.assertTrue(0 < len(user) < len(hits) or len(user) == len(hits))
        soft = self.find("--event", "int=80", trace=trace)
        self.assertTrue(soft and all(h["vector"] == 0x80 for h in soft))

    def test_events_of_the_machine_are_told_apart(self):
        trace = self.guest("watch")
        every = self.find("--event", "cr", trace=trace)
        parts = [h for n in (0, 2, 3, 4, 8) for h in self.find("--event", f"cr{n}", trace=trace)]
        self.assertEqual(sorted(h["icount"] for h in parts), [h["icount"] for h in every])
        msrs = self.find("--event", "msr", trace=trace)
        efer = self.find("--event", "msr=c0000080", trace=trace)
        self.assertEqual(efer, [h for h in msrs if h["msr"] == "0xc0000080"])
        self.assertEqual({h["what"] for h in msrs}, {"rdmsr", "wrmsr"})
        self.assertEqual(self.find("--event", "rdmsr", trace=trace), [h for h in msrs if h["what"] == "rdmsr"])
        mmio = self.find("--event", "mmio=fee00000-fee00fff", trace=trace)
        self.assertTrue(mmio and all(number(h["physical"]) >> 12 == 0xfee00 for h in mmio))
        self.assertEqual(self.find("--event", "mmio=fee00031", trace=trace),
                         self.find("--event", "mmio=fee00030", trace=trace))
        io = self.find("--event", "io=1230", trace=trace)
        self.assertEqual({h["what"] for h in io}, {"in", "out"})
        self.assertEqual(self.find("--event", "in=1230", trace=trace), [h for h in io if h["what"] == "in"])
        self.assertEqual(self.find("--event", "io=1230", "--value", "0x3344", trace=trace),
                         [h for h in io if h["value"] == "0x3344"])
        calls = self.find("--event", "syscall", trace=trace)
        self.assertTrue({h["by"] for h in calls} == {"syscall", "sysenter"})
        self.assertTrue(all(h["cpl"] == 3 for h in calls))
        n = calls[0]["number"]
        self.assertEqual(self.find("--event", f"syscall={n}", trace=trace), [h for h in calls if h["number"] == n])

    def test_text_says_the_same_as_json(self):
        for selector in self.SELECTORS:
            text = deja("find", self.indexed, *selector).stdout.splitlines()
            hits = self.find(*selector)
            self.assertEqual(len(text), len(hits))
            for line, hit in zip(text, hits):
                at = f"{hit['icount']:,}" + (f"+{hit['entries']}" if hit["entries"] else "")
                self.assertEqual(line.split()[0], at)
                self.assertIn(hit["rip"], line)
                self.assertTrue(line.endswith(f"cpl {hit['cpl']}"))
                if "after" in hit:
                    self.assertIn(f"{hit['before']} -> {hit['after']}", line)

    def test_places_are_taken_by_debug(self):
        text = deja("find", self.indexed, "--exec", "panic", "--first").stdout
        out = deja("debug", self.indexed, "--at", text.split()[0], "--", "-batch", "-ex", "x/i $pc").stdout
        self.assertIn("<panic>", out)

    def test_a_cut_recording_is_searched_as_far_as_it_goes(self):
        cut = self.path("cut.deja")
        with open(self.plain, "rb") as f, open(cut, "wb") as g:
            g.write(f.read()[:-150])
        p = deja("find", cut, "--writes", "ledger,8", "--json")
        self.assertEqual(p.returncode, 0)
        self.assertIn("cut off", p.stderr)
        hits = [json.loads(line) for line in p.stdout.splitlines()]
        self.assertEqual(hits, self.find("--writes", "ledger,8")[:len(hits)])
        self.assertTrue(hits)

    def test_a_damaged_index_is_not_believed(self):
        trace = self.path("damaged.deja")
        shutil.copy(self.plain, trace)
        with open(self.indexed + ".index", "rb") as f:
            good = f.read()
        want = self.find("--output", "PANIC", "--writes", "ledger,8")
        at = good.index(b"PANIC")
        for damaged in (good[:at] + b"H" + good[at + 1:], good[:-1] + bytes([good[-1] ^ 1]), good[:100], b""):
            with open(trace + ".index", "wb") as f:
                f.write(damaged)
            p = deja("find", trace, "--output", "PANIC", "--writes", "ledger,8", "--json")
            self.assertEqual([json.loads(line) for line in p.stdout.splitlines()], want)
            self.assertIn("is not used", p.stderr)

    def test_contents_of_the_index_that_changed_are_an_error(self):
        trace = self.path("changed.deja")
        shutil.copy(self.plain, trace)
        with open(self.indexed + ".index", "rb") as f:
            data = bytearray(f.read())
        for at in range(len(data) // 4, len(data) * 3 // 4):
            data[at] ^= 0x55
        with open(trace + ".index", "wb") as f:
            f.write(data)
        p = deja("find", trace, "--writes", "ledger,8", "--jobs", 3)
        if p.returncode != 0:
            self.assertEqual(p.returncode, 2)
            self.assertIn("index", p.stderr)
        else:
            self.assertIn("is not used", p.stderr)

    def test_a_diverged_replay_is_said(self):
        other = self.path("diverged.deja")
        with open(self.plain, "rb") as f:
            data = f.read()
        with open(other, "wb") as f:
            f.write(data[:len(data) // 2] + bytes(64) + data[len(data) // 2 + 64:])
        p = deja("find", other, "--writes", "ledger,8")
        self.assertNotEqual(p.returncode, 0)
        self.assertRegex(p.stderr, r"\Adeja: [^\n]*\n\Z")

    def test_a_stop_request_ends_it(self):
        for trace in (self.plain, self.indexed):
            p = subprocess.Popen([DEJA, "find", trace, "--accesses", "phys:0,0x10000000"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
            p.stdout.read(1)
            os.killpg(p.pid, signal.SIGINT)
            out, err = p.communicate(timeout=60)
            self.assertEqual((p.returncode, err), (2, "deja: find: interrupted\n"))
            deadline = time.monotonic() + 20
            while self.members(p.pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(self.members(p.pid), [])

    def test_workers_die_with_their_parent(self):
        p = subprocess.Popen([DEJA, "find", self.indexed, "--accesses", "phys:0,0x10000000", "--jobs", "3"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             start_new_session=True)
        p.stdout.read(1)
        self.assertGreater(len(self.members(p.pid)), 1)
        p.kill()
        p.communicate()
        deadline = time.monotonic() + 20
        while self.members(p.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.members(p.pid), [])

    @staticmethod
    def members(group):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(pid))
        return found

    def test_bad_usage_is_said_in_one_line(self):
        t = self.indexed
        for args, part in (([], "needs a trace"), ([t], "nothing to look for"), ([t, t, "--exec", 1], "second"),
                           ([t, "--exec"], "needs a value"), ([t, "--exec", "phys:0x1000"], "--exec"),
                           ([t, "--exec", "0x1000,4"], "--exec"), ([t, "--writes", "0x1000,0"], "--writes"),
                           ([t, "--writes", "0xffffffffffffffff,2"], "--writes"), ([t, "--writes", "a b"], "--writes"),
                           ([t, "--writes", "phys:ledger"], "--writes"), ([t, "--writes", ""], "--writes"),
                           ([t, "--exec", "no_such_symbol"], "no_such_symbol"), ([t, "--output", "/(/"], "--output"),
                           ([t, "--output", ""], "--output"), ([t, "--event", "nothing"], "irq"),
                           ([t, "--event", "io=xyz"], "io="), ([t, "--event", "io=5-3"], "io="),
                           ([t, "--event", "cr3=1"], "cr3"), ([t, "--event", "input=5"], "input="),
                           ([t, "--exec", 1, "--value", "x"], "--value"), ([t, "--exec", 1, "--cpl", 4], "--cpl"),
                           ([t, "--exec", 1, "--cr3", "x"], "--cr3"), ([t, "--exec", 1, "--between", "5"], "--between"),
                           ([t, "--exec", 1, "--between", "9..5"], "--between"), ([t, "--exec", 1, "--jobs", 0], "--jobs"),
                           ([t, "--exec", 1, "--jobs", "many"], "--jobs"), ([t, "--exec", 1, "--bogus"], "--bogus"),
                           ([t, "--exec", 1, "--vmlinux", t], t), ([t, "--exec", 1, "--vmlinux", "/no/such"], "/no/such"),
                           ([t, "--exec", 1, "-sandbox", "maybe"], "sandbox"), ([t + "x", "--exec", 1], t + "x")):
            self.one_line(deja("find", *args), 2, part)
        self.one_line(deja("find", DEJA, "--exec", 1), 2, "not a deja trace")

    def test_options_are_written_in_any_way(self):
        want = self.find("--exec", "panic", "--first")
        self.assertEqual(self.find("-exec=panic", "-first"), want)
        self.assertEqual(self.find("--exec=panic", "--last", "--all", "--first"), want)


if __name__ == "__main__":
    unittest.main()
