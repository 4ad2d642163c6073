#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja trace` on a stock Debian kernel: what it says is what the guest did, as other records of it tell."""
import collections
import json
import os
import re
import tempfile

import common
from common import Case, deja, linux


FUNCTIONS = "do_sys_openat2,schedule,do_exit,kthread,vfs_*,kfree"


class Linux(Case):
    @classmethod
    def setUpClass(cls):
        cls.kept = tempfile.TemporaryDirectory()
        cls.trace = os.path.join(cls.kept.name, "linux.deja")
        result = deja("record", "-o", cls.trace, *linux("cloud", "guest.poweroff", seed=3), stdin=None)
        if result.returncode != 0:
            raise AssertionError(result.stderr.decode())
        cls.console = result.stdout
        result = deja("index", cls.trace, stdin=None)
        if result.returncode != 0:
            raise AssertionError(result.stderr.decode())
        log = deja("log", cls.trace, "--json", stdin=None).stdout.decode().splitlines()
        cls.userland = next(line["icount"] for line in map(json.loads, log) if "Run /init" in line["text"])
        # Everything in one pass through the whole boot.
        result = deja("trace", cls.trace, "--json", "--syscalls", "--page-faults", "--irqs", "--io", "3f8",
                      "--functions", FUNCTIONS, stdin=None)
        if result.returncode != 0:
            raise AssertionError(result.stderr.decode())
        cls.all = [json.loads(line) for line in result.stdout.decode().splitlines()]

    @classmethod
    def tearDownClass(cls):
        cls.kept.cleanup()

    def lines(self, *options, since=None, until=""):
        """Of the part in which programs run."""
        result = deja("trace", self.trace, *options, "--between", f"{since or self.userland}..{until}", stdin=None)
        self.assertStatus(result, 0)
        self.assertEqual(result.stderr, b"")
        return result.stdout.decode().splitlines()

    def records(self, *types):
        return [r for r in self.all if r["type"] in types]

    def test_records_are_in_order(self):
        places = [(r["icount"], r["entries"]) for r in self.all]
        self.assertEqual(places, sorted(places))
        self.assertEqual([r["vns"] for r in self.all], sorted(r["vns"] for r in self.all))

    def test_system_calls(self):
        """Those of the init script (initramfs.py), by the processes that made them."""
        text = "\n".join(self.lines("--syscalls"))
        for line in (
                r'init\[\d+\] +execve\("/bin/mount", \["mount", "-t", "proc", "proc", "/proc"\], 0x[0-9a-f]+\) = 0  in ',
                r'mount\[\d+\] +mount\("proc", "/proc", "proc", 0x8000, NULL\) = 0  in ',
                r'mount\[\d+\] +mount\("sys", "/sys", "sysfs", 0x8000, NULL\) = 0  in ',
                r'init\[1\] +write\(1, "guest: up\\n", 10\) = 10  in ',
                r'cat\[\d+\] +openat\(AT_FDCWD, "/proc/cmdline", O_RDONLY\) = 3  in ',
                r'init\[1\] +\.\.\. read = 29 "console=ttyS0 guest\.poweroff\\n"  in ',
                r'init\[1\] +clone\(SIGCHLD\|CLONE_CHILD_CLEARTID\|CLONE_CHILD_SETTID, .*\) = \d+  in ',
                r'init\[1\] +wait4\(-1, 0x[0-9a-f]+, 0x1, NULL\) = -10 ECHILD  in ',
                r'mount\[\d+\] +exit_group\(0\) = \?',
                r'poweroff\[\d+\] +reboot\(0xfee1dead, 0x28121969, 0x4321fedc, NULL\)',
                r'poweroff\[\d+\] +\.\.\. reboot has not returned'):
            self.assertRegex(text, line)

    def test_each_system_call_ends_once(self):
        calls, tasks = {}, collections.Counter()
        for r in self.records("syscall", "sysreturn", "unfinished"):
            if r["type"] == "syscall":
                calls[r["id"]] = r
                tasks[r["task"]] += 1
                continue
            if r["id"] not in calls:
                self.assertEqual(r["type"], "unfinished") # of a function
                continue
            call = calls.pop(r["id"])
            self.assertEqual(call["task"], r["task"])
            if r["type"] == "sysreturn":
                self.assertEqual(r["instructions"], r["icount"] - call["icount"])
            else:
                self.assertEqual((r["type"], call["name"] in ("reboot", "wait4")), ("unfinished", True))
        self.assertEqual({r["name"] for r in calls.values()}, {"exit_group", "rt_sigreturn"})
        self.assertGreater(sum(tasks.values()), 150)
        self.assertGreaterEqual(len(tasks), 2)

    def test_functions_are_called_as_system_calls_say(self):
        """Each openat() is one do_sys_openat2(), with the same name and result."""
        records = [r for r in self.records("syscall", "sysreturn", "call", "return")
                   if r.get("function", "do_sys_openat2") == "do_sys_openat2"]
        opens, depth = [], {}
        for r in records:
            if r["type"] == "syscall":
                depth[r["task"]] = r
            elif r["type"] == "call" and r["task"] in depth:
                outer = depth[r["task"]]
                self.assertIn(outer["name"], ("openat", "open"))
                opens.append({"outer": outer["id"], "inner": r["id"]})
                name = r'"[^"]*"'
                self.assertEqual(re.search(name, outer["text"]).group(), re.search(name, r["text"]).group())
                self.assertRegex(r["text"], r'^do_sys_openat2\(dfd=AT_FDCWD, filename="[^"]*", how=0x[0-9a-f]+\)$')
                self.assertTrue(r["caller"].startswith("__x64_sys_open"), r)
        results = {r["id"]: r["result"] for r in records if r["type"] == "sysreturn"}
        values = {r["id"]: int(r["value"], 16) for r in records if r["type"] == "return"}
        self.assertGreater(len(opens), 3)
        for pair in opens:
            value = values[pair["inner"]] & 0xffffffff
            value -= 1 << 32 if value >> 31 else 0
            self.assertEqual(results[pair["outer"]], value)
        self.assertEqual(len(opens), sum(r["type"] == "syscall" and r["name"] in ("openat", "open") for r in records))

    def test_calls_of_all_tasks_return(self):
        """What waits for ever are tasks that sleep at the end, or have ended."""
        calls = {r["id"]: r for r in self.records("call")}
        ends = collections.Counter((calls[r["id"]]["function"], r["type"])
                                   for r in self.records("return", "lost", "unfinished") if r["id"] in calls)
        self.assertEqual(len(calls), sum(ends.values()))
        self.assertGreater(ends["schedule", "return"], 100)
        self.assertGreater(ends["kfree", "return"], 1000)
        self.assertNotIn(("kfree", "lost"), ends)
        self.assertEqual(ends["do_exit", "return"], 0)
        self.assertGreater(ends["do_exit", "lost"] + ends["do_exit", "unfinished"], 5)
        self.assertEqual({r["entered"] for r in calls.values()} - {"call", "tail-call"}, set())

    def test_page_faults(self):
        faults = self.records("page-fault")
        self.assertGreater(sum(r["mode"] == "user" for r in faults), 100)
        for r in faults:
            user = r["cpl"] == 3
            self.assertEqual(r["mode"], "user" if user else "kernel")
            self.assertEqual("symbol" in r, not user and r["rip"].startswith("0xffffffff"))
            self.assertEqual(r["access"] == "fetch" and r["address"] == r["rip"], r["access"] == "fetch")
        self.assertTrue(any(r.get("symbol", "").startswith(("copy_user", "strncpy_from_user", "__put_user"))
                            for r in faults))
        text = "\n".join(self.lines("--page-faults"))
        self.assertRegex(text, r"init\[1\] +#PF user write of 0x[0-9a-f]+, protection, cpl=3 cr3=[0-9a-f]+  "
                               r"at 0x[0-9a-f]+  in [\d,]+")

    def test_ports(self):
        """What is written to 3F8h is what was seen on the line."""
        writes = [r for r in self.records("io") if r["access"] == "write"]
        sent = bytes(int(r["value"], 16) for r in writes if r["symbol"].startswith("io_serial_out"))
        sent = re.sub(rb"[\0-\x08\x0b\x0c]", b"", sent) # the line's speed is set by the same port
        self.assertTrue(sent.endswith(self.console[-5000:]), sent[-5100:])
        self.assertEqual({r["device"] for r in writes}, {"com1"})

    def test_interrupts(self):
        irqs = [(r["icount"], r["vector"]) for r in self.records("interrupt")]
        dump = [json.loads(line) for line in
                deja("dump", self.trace, "--json", stdin=None).stdout.decode().splitlines()]
        self.assertEqual(irqs, [(e["icount"], e["vector"]) for e in dump if e["event"] == "interrupt"])
        self.assertRegex("\n".join(self.lines("--irqs")),
                         r"irq 236 lapic asm_sysvec_apic_timer_interrupt  at \w+\+0x[0-9a-f]+  in [\d,]+")

    def test_a_window_late_in_the_run(self):
        whole = self.lines("--syscalls", "--page-faults")
        places = [int(line.split()[0].replace(",", "").split("+")[0]) for line in whole]
        first = places[len(places) // 2]
        part = self.lines("--syscalls", "--page-faults", since=first, until=first + 1000000)
        expected = [line for line, at in zip(whole, places) if first <= at < first + 1000000]
        # Ends of what began before the window are not known in it, and the other way round.
        begun = [line for line in expected if not re.search(r"\] +(\.\.\.|iret) ", line)]
        self.assertGreater(len(begun), 10)
        for line in begun[:-1]:
            self.assertIn(line, part)


if __name__ == "__main__":
    common.main()
