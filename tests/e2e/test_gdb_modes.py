#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One gdb, one connection, every mode of the processor: real, 16-bit, 32-bit, 64-bit, compatibility."""
import os
import re
import tempfile

import gdb_client
from common import deja
from gdb_client import SWITCH, GdbCase, symbols_of

# How a round goes (tests/guests/switch): function, what the mode is called, CS, bytes of a near return address.
STAYS = [
    ("work_real", "real mode", 0x1000, 2),
    ("work_pm16", "16-bit", 0x18, 2),
    ("work_pm32", "32-bit", 0x08, 4),
    ("work_long", "64-bit", 0x28, 8),
    ("work_compat", "32-bit", 0x08, 0),
    ("work_long", "64-bit", 0x28, 8),
    ("work_pm32", "32-bit", 0x08, 4),
    ("work_pm16", "16-bit", 0x18, 2),
]
ORDER = STAYS[7:] + STAYS * 3 # it comes down from 32-bit protected mode first

# Where a mode ends: the label whose code switches, and where it is seen to have switched.
SWITCHES = [("leave_real", "pm16_up"), ("leave_pm16", "real_entered"), ("enter_long", "long_entered"),
            ("enter_compat", "work_compat"), ("leave_compat", "long_again"), ("leave_long", "pm32_down"),
            ("leave_pm32", "pm16_down")]


class Modes(GdbCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.symbols = symbols_of(SWITCH)
        folder = tempfile.TemporaryDirectory(prefix="deja-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.trace = os.path.join(folder.name, "t.deja")
        result = deja("record", "-o", cls.trace, "--seed", "7", "-m", "64M", "-kernel", SWITCH, stdin=None)
        assert result.returncode == 0, result.stderr

    def served(self, way):
        if way == "replay":
            return self.serve("replay", self.trace)
        return self.serve("run", "-m", "64M", "-kernel", SWITCH, "-S", "--seed", "7")

    def each_way(self):
        for way in ("live", "replay"):
            with self.subTest(way):
                yield self.served(way)

    def assertIsIn(self, client, stay):
        function, mode, selector, _ = stay
        self.assertEqual(client.register("rip"), self.symbols[function])
        self.assertEqual(client.register("cs"), selector)
        self.assertIn(mode, client.object("threads"))
        base = client.register("cs_base")
        self.assertEqual(base, 0x10000 if mode in ("real mode", "16-bit") else 0)

    def test_breakpoints_hit_in_every_mode(self):
        for server in self.each_way():
            client = self.client(server)
            for name in {stay[0] for stay in STAYS}:
                client.insert(0, self.symbols[name])
            for stay in ORDER:
                client.resume("c")
                self.assertIsIn(client, stay)
            client.resume("c")
            self.assertNotIn(client.register("rip"), [self.symbols[stay[0]] for stay in STAYS])

    def test_breakpoints_hit_in_every_mode_backwards(self):
        client = self.client(self.served("replay"))
        client.monitor("seek end")
        for name in {stay[0] for stay in STAYS}:
            client.insert(0, self.symbols[name])
        for stay in reversed(ORDER):
            client.resume("bc")
            self.assertIsIn(client, stay)
        self.assertEqual(client.resume("bc").reasons, {"replaylog": "begin"})

    def test_pc_is_linear_and_memory_at_it_is_the_code(self):
        """Also where the same code is reached by another segment."""
        with open(SWITCH, "rb") as file:
            image = file.read()[0x1000:]
        for server in self.each_way():
            client = self.client(server)
            for name in ("real_far", "real_add", "work_pm16", "work_pm32", "work_long", "work_compat"):
                address = self.symbols[name]
                client.insert(1, address)
                stop = client.resume("c")
                client.remove(1, address)
                self.assertEqual(stop.registers[16], address)
                self.assertEqual(client.read(address, 16), image[address - 0x10000:][:16])
            client.insert(1, self.symbols["real_far"])
            client.resume("c")
            self.assertEqual((client.register("cs"), client.register("cs_base")), (0x1010, 0x10100))

    def test_registers_of_the_modes(self):
        seen = {}
        client = self.client(self.served("replay"))
        for name in ("work_pm16", "work_real", "work_pm32", "work_long", "work_compat"):
            client.insert(1, self.symbols[name])
            client.resume("c")
            client.remove(1, self.symbols[name])
            seen[name] = [client.register(r) for r in ("cr0", "cr4", "efer", "cs_limit", "ss_base", "idt_limit")]
        pe, pg, pae, lme, lma = 1, 1 << 31, 1 << 5, 1 << 8, 1 << 10
        for name, (cr0, cr4, efer, limit, ss_base, idt_limit) in seen.items():
            long = name in ("work_long", "work_compat")
            self.assertEqual(bool(cr0 & pe), name != "work_real", name)
            self.assertEqual(bool(cr0 & pg), long, name)
            self.assertEqual(efer & (lme | lma), (lme | lma) if long else 0, name)
            self.assertEqual(bool(cr4 & pae), long, name)
            self.assertEqual(limit, 0xffff if name in ("work_real", "work_pm16") else 0xffffffff, name)
            self.assertEqual(ss_base, 0x10000 if name in ("work_real", "work_pm16") else 0, name)
            self.assertEqual(idt_limit, {"work_real": 0x3ff, "work_pm16": 0x1ff, "work_pm32": 0x1ff}.get(name, 0x3ff))

    def test_steps_over_each_switch_forwards_and_backwards(self):
        client = self.client(self.served("replay"))
        for before, after in SWITCHES:
            with self.subTest(before):
                client.monitor("seek begin")
                client.insert(1, self.symbols[before])
                client.resume("c")
                client.remove(1, self.symbols[before])
                states = []
                while client.register("rip") != self.symbols[after]:
                    states.append((client.when(), client.demand("g"), client.register("efer"),
                                   client.register("cs_base")))
                    client.resume("s")
                    self.assertLess(len(states), 20)
                modes = {(client.object("threads"), client.register("efer"))}
                for state in reversed(states):
                    client.resume("bs")
                    self.assertEqual((client.when(), client.demand("g"), client.register("efer"),
                                      client.register("cs_base")), state)
                    modes.add((client.object("threads"), client.register("efer")))
                self.assertEqual(client.register("rip"), self.symbols[before])
                self.assertGreaterEqual(len(modes), 2) # it has been through a switch

    def test_steps_live_are_those_of_the_replay(self):
        live, replay = self.client(self.served("live")), self.client(self.served("replay"))
        for client in (live, replay):
            client.insert(1, self.symbols["leave_real"])
            client.resume("c")
        for _ in range(300):
            self.assertEqual(live.resume("s").text, replay.resume("s").text)
            self.assertEqual(live.when(), replay.when())
        self.assertEqual(live.digest(), replay.digest())

    def test_watchpoints_see_accesses_of_every_mode(self):
        """A range of the linear addresses of all counters: each mode steps on it."""
        for server in self.each_way():
            client = self.client(server)
            names = ("count_real", "count_pm16", "count_pm32", "count_compat", "count_long")
            client.insert(2, self.symbols["count_real"], 4 * 4 + 8)
            seen = []
            for _ in range(8):
                stop = client.resume("c")
                address = int(stop.reasons["watch"], 16)
                seen += [name for name in names if self.symbols[name] == address]
            self.assertEqual(seen, ["count_" + name for name in ("pm16", "real", "pm16", "pm32", "long", "compat",
                                                                 "long",
                                                                 "pm32")])

    def test_interrupt_handlers_of_every_mode(self):
        for server in self.each_way():
            client = self.client(server)
            handlers = {self.symbols["tick_" + name]: name for name in ("real", "pm16", "pm32", "long")}
            for address in handlers:
                client.insert(0, address)
            seen = []
            for _ in range(2 * 9):
                client.resume("c")
                name = handlers[client.register("rip")]
                self.assertEqual(client.when()[1], 1)
                seen.append(name)
            self.assertEqual(seen, [name for name in ("pm16", "real", "pm16", "pm32", "long", "long", "long", "pm32",
                                                      "pm16")
                                    for _ in range(2)])

    def test_changes_in_every_mode(self):
        """Written by gdb between two instructions of each mode, seen by the guest: the sums come out wrong."""
        client = self.client(server := self.served("live"))
        for name, register in (("real_add", "rcx"), ("fibonacci", "rcx"), ("long_add", "rcx")):
            client.insert(1, self.symbols[name])
            client.resume("c")
            client.remove(1, self.symbols[name])
            client.set_register(register, client.register(register) + 1)
        client.insert(1, self.symbols["finish"])
        client.resume("c")
        self.assertEqual(int.from_bytes(client.read(self.symbols["sum_real"], 2), "little"),
                         (3 * (210 + 0x1010) + 21) & 0xffff) # one turn more, with 21
        self.assertEqual(int.from_bytes(client.read(self.symbols["sum_long"], 4), "little"), 6 * 55 + 11)
        client.demand("D")
        self.assertEqual(server.wait(), 3)
        self.assertIn(b"FAIL sum-real", server.out.data)

    def test_pc_can_be_set_in_every_mode(self):
        """A linear address; each time the same function is gone through again."""
        client = self.client(self.served("live"))
        for name, counter, size in (("work_real", "count_real", 2), ("work_pm32", "count_pm32", 4),
                                    ("work_long", "count_long", 8), ("work_compat", "count_compat", 4),
                                    ("work_pm16", "count_pm16", 2)):
            with self.subTest(name):
                address, variable = self.symbols[name], self.symbols[counter]
                client.insert(1, address)
                client.resume("c")
                before = client.read(variable, size)
                client.insert(2, variable, size)
                client.resume("c")
                once = client.read(variable, size)
                self.assertEqual(client.set_register("rip", address), "OK")
                self.assertEqual(client.register("rip"), address)
                client.remove(1, address)
                client.resume("c")
                twice = client.read(variable, size)
                client.remove(2, variable, size)
                self.assertEqual([int.from_bytes(v, "little") - int.from_bytes(before, "little") for v in (once,
                                                                                                           twice)],
                                 [1, 2])

    def test_one_gdb_with_symbols_all_the_way(self):
        for server in self.each_way():
            commands = [f"break {name}" for name in dict.fromkeys(stay[0] for stay in STAYS)]
            first = len(commands)
            for _ in ORDER:
                commands += ["continue", "info symbol $pc", "print/x $cs", "x/2xb $pc", "info threads"]
            commands += ["info breakpoints", "print *(int *)&count_real", "delete", "detach"]
            out = self.gdb(server, *commands, symbols=SWITCH)
            for i, (function, mode, selector, _) in enumerate(ORDER):
                shown = out[first + 5 * i:first + 5 * i + 5]
                self.assertRegex(shown[0], rf"Breakpoint \d+, {function} \(\) at .*switch\.asm:\d+")
                self.assertEqual(shown[1], f"{function} in section .text")
                self.assertTrue(shown[2].endswith(f"= {selector:#x}"), shown[2])
                if function != "work_compat":
                    self.assertRegex(shown[3], r"<work_\w+>:\t0xb0\t0x")
                self.assertIn(mode, shown[4])
            self.assertEqual(len(re.findall("already hit", out[first + 5 * len(ORDER)])), 5)
            self.assertEqual(out[first + 5 * len(ORDER) + 1].split("= ")[1], "3")
            self.assertNotRegex(out.text, r"(?i)truncated|cannot|error|warning")

    def test_one_gdb_steps_up_through_all_modes_and_back(self):
        """stepi from real mode to 64-bit mode, over each far jump, and reverse-stepi down again."""
        commands = ["break leave_real", "continue", "delete", "tbreak pm16_up", "stepi 3", "info symbol $pc",
                    "continue",
                    "stepi", "reverse-stepi", "reverse-stepi", "info symbol $pc", "tbreak enter_long", "continue",
                    "tbreak long_entered", "continue", "print $efer", "reverse-stepi", "info symbol $pc",
                    "print $cs_base",
                    "stepi", "info symbol $pc", "tbreak leave_real", "reverse-continue", "print $cr0"]
        out = self.gdb(self.served("replay"), *commands, symbols=SWITCH)
        self.assertIn("leave_real", out[1])
        self.assertIn("leave_real + ", out[5])
        self.assertIn("pm16_up ()", out[6])
        self.assertIn("leave_real + ", out[10])
        self.assertIn("enter_long ()", out[12])
        self.assertIn("long_entered ()", out[14])
        self.assertTrue(out[15].endswith("[ LME LMA ]"), out[15])
        self.assertIn("enter_long + ", out[17])
        self.assertIn("long_entered in section", out[20])
        self.assertIn("leave_real ()", out[22])
        self.assertNotIn("PE", out[23])


if __name__ == "__main__":
    gdb_client.main()
