#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja run` and `deja record` under gdb: looking, changing, stopping, leaving."""
import os
import re
import signal
import socket
import subprocess

import common
import gdb_client
from common import deja
from gdb_client import DEMO, PROBE, SWITCH, Failed, GdbCase, symbols_of

READ_ONLY = {"cpl", "icount", "vns", "tsc"} # writes are ignored: gdb restores them after calls


class Live(GdbCase):
    """A guest that waits for the debugger before its first instruction."""

    def probe(self, letters, *more, command="run", **how):
        return self.serve(command, *more, "-m", "64M", "-kernel", PROBE, "-append", "=" + letters, "-S",
                          **how)

    def stop_at(self, client, symbol):
        """Runs to a symbol of the probe, and leaves no breakpoint behind."""
        address = symbols_of(PROBE)[symbol]
        client.insert(1, address)
        stop = client.resume("c")
        client.remove(1, address)
        self.assertEqual(client.register("rip"), address, stop)
        return stop

    def assertGoesOnToItsEnd(self, server, client, status=0):
        client.demand("D")
        self.assertEqual(server.wait(), status)


class Registers(Live):
    def other_value(self, name, value, size):
        """What a register may be set to, and is not yet."""
        special = {"eflags": value ^ 0x8d5, "rip": value + 1, "cs": 0x18, "ss": 0x20,
                   "fctrl": value ^ 0xc00, "fstat": value ^ 0x4500, "ftag": 0xffff,
                   "fop": value ^ 0x123, "fiseg": value ^ 0x1234, "foseg": value ^ 0x1234,
                   "mxcsr": value ^ 0x8040, "cr0": value ^ 0x10000, "cr3": value ^ 0x18,
                   "cr4": value ^ 0x80, "cr8": value ^ 5, "efer": value ^ 1, "dr6": value ^ 5,
                   "dr7": value ^ 0x30003, "xcr0": value, "ldtr": value ^ 8, "tr": value,
                   "gdt_limit": value ^ 0xff, "idt_limit": value ^ 0xff, "fmask": value ^ 0x200}
        if name in special:
            return special[name]
        if name in ("ds", "es", "fs", "gs"):
            return value ^ 0x10
        if name.endswith("limit"):
            return value ^ 0xffff
        pattern = int.from_bytes(bytes(range(0x11, 0x11 + size)), "little")
        if re.fullmatch("[cdes]s_base", name):
            return pattern & 0xffffffff # no more than a descriptor holds
        return pattern & 0x00007fffffffffff if size == 8 else pattern

    def test_each_can_be_read_and_written(self):
        server = self.probe("F")
        client = self.client(server)
        self.stop_at(client, "floats_done")
        for name, (_, size) in client.numbers().items():
            before = client.register(name)
            value = self.other_value(name, before, size)
            with self.subTest(name):
                self.assertEqual(client.set_register(name, value), "OK")
                self.assertEqual(client.register(name), before if name in READ_ONLY else value)
                self.assertEqual(client.set_register(name, before), "OK")
                self.assertEqual(client.register(name), before)
        self.assertGoesOnToItsEnd(server, client)

    def test_g_and_p_agree_and_g_can_be_written(self):
        client = self.client(self.probe("F"))
        self.stop_at(client, "floats_done")
        whole = client.demand("g")
        single = ""
        for name, (number, _) in sorted(client.numbers().items(), key=lambda item: item[1]):
            if len(single) == len(whole):
                break
            single += client.demand(f"p{number:x}")
        self.assertEqual(whole, single)
        self.assertEqual(client.demand("G" + "0807060504030201" + whole[16:]), "OK")
        self.assertEqual(client.register("rax"), 0x0102030405060708)
        self.assertEqual(client.demand("g")[16:], whole[16:])

    def test_gdb_shows_and_sets_every_group(self):
        server = self.probe("F")
        out = self.gdb(
            server, "break floats_done", "continue", "print $st0", "print $st1", "print $xmm15.v4_float",
            "print $mxcsr", "print $cr0", "print $cr4", "print $efer", "print/x $cs", "print $eflags",
            "set $xmm0.v4_int32[2] = 77", "print $xmm0.v4_int32[2]", "set $st0 = 2.5", "print $st0",
            "set $rdx = -2", "print $dx", "set $fs_base = 0xffff800000001000", "print/x $fs_base",
            "set $cr2 = 0x1234", "print/x $cr2", "set $cr8 = 3", "print $cr8", "set $mxcsr = 0x1f80",
            "print $mxcsr", "print $icount > 1000", "info registers", "info float", "info vector",
            "detach", symbols=PROBE)
        values = [re.sub(r"^\$\d+ = ", "", text) for text in out]
        self.assertEqual(values[2:4], ["3.14159265358979323851", "1"])
        self.assertEqual(values[4], "{1.5, -2, 3.25, 4}")
        self.assertEqual(values[5:9], ["[ PE IM DM ZM OM UM PM ]", "[ PE MP ET NE WP PG ]",
                                       "[ PAE OSFXSR OSXMMEXCPT ]", "[ LME LMA ]"])
        self.assertEqual(values[9], "0x8")
        self.assertRegex(values[10], r"^\[ .*\]$")
        self.assertEqual([values[i] for i in range(12, 25, 2)],
                         ["77", "2.5", "-2", "0xffff800000001000", "0x1234", "3", "[ IM DM ZM OM UM PM ]"])
        self.assertEqual(values[25], "1")
        for name in ("k_gs_base", "cr3", "idt_base", "lstar", "dr7", "icount"):
            self.assertRegex(values[26], rf"(?m)^{name} ")
        self.assertIn("R7", values[27])
        self.assertIn("xmm15", values[28])
        self.assertEqual(server.wait(), 0)


class Memory(Live):
    def test_kernel_is_readable_and_writable_while_in_user_mode(self):
        symbols = symbols_of(PROBE)
        server = self.probe("U")
        client = self.client(server)
        self.stop_at(client, "user_loop")
        self.assertEqual(client.register("cpl"), 3)
        self.assertEqual(client.read(symbols["source"], 16), b"0123456789abcdef")
        self.assertEqual(client.write(symbols["target"], b"by gdb"), "OK")
        self.assertEqual(client.read(symbols["target"], 6), b"by gdb")
        self.assertEqual(client.read(symbols["user_counter"], 4), b"\1\0\0\0")
        self.assertGoesOnToItsEnd(server, client)

    def test_virtual_and_physical_addresses_are_told_apart(self):
        virtual, physical = 0x40000000, 0x600000
        client = self.client(self.probe("U"))
        self.stop_at(client, "user_loop")
        self.assertEqual(client.write(virtual + 0x123, b"somewhere else"), "OK")
        shown = client.monitor(f"xp /14 {physical + 0x123:#x}")
        self.assertIn("somewhere else", shown)
        self.assertIn("somewhere else", client.monitor(f"x /14 {virtual + 0x123:#x}"))
        self.assertEqual(client.request("qqemu.PhyMemMode"), "0")
        self.assertEqual(client.demand("Qqemu.PhyMemMode:1"), "OK")
        self.assertEqual(client.read(physical + 0x123, 14), b"somewhere else")
        self.assertEqual(client.read(virtual + 0x123, 14), b"\xff" * 14) # nothing is there
        self.assertEqual(client.write(physical + 0x123, b"S"), "OK")
        self.assertEqual(client.demand("Qqemu.PhyMemMode:0"), "OK")
        self.assertEqual(client.read(virtual + 0x123, 3), b"Som")
        with self.assertRaises(Failed):
            client.read(physical, 1) # not mapped there

    def test_unmapped_memory_is_an_error_and_reads_end_before_it(self):
        client = self.client(self.probe("U"))
        self.stop_at(client, "user_loop")
        with self.assertRaises(Failed):
            client.read(0x80000000, 4)
        self.assertRegex(client.write(0x80000000, b"x"), "^E")
        self.assertEqual(len(client.read(0x3fff00, 0x200)), 0x100) # mapped up to 4 MiB
        self.assertRegex(client.write(0x3fffff, b"xy"), "^E")      # all or nothing
        self.assertEqual(client.read(0x3fffff, 1), b"\0")
        self.assertIn("not mapped", client.monitor("x 0x80000000"))

    def test_gdb_finds_dumps_and_fills(self):
        out = self.gdb(self.probe("F"), "break floats_done", "continue", "x/s &source",
                       "find &gdt, &tss, 'f', 'e'", "find &gdt, &tss, 'e', 'f'",
                       f"dump binary memory {self.path('dump')} &source ((char *)&source + 16)",
                       "set {char[4]}&target = \"abc\"", "x/s &target",
                       f"restore {self.path('dump')} binary &target", "x/s &target",
                       "maintenance packet Qqemu.PhyMemMode:1", "compare-sections .text", "detach", symbols=PROBE)
        self.assertIn('"0123456789abcdef', out[2])
        self.assertIn("Pattern not found", out[3])
        self.assertIn("1 pattern found", out[4])
        self.assertIn('"abc"', out[7])
        self.assertIn('"0123456789abcdef', out[9])
        self.assertIn("received: \"OK\"", out[10])
        self.assertIn("matched", out[11])


class Points(Live):
    def test_code_is_untouched_by_breakpoints(self):
        symbols = symbols_of(PROBE)
        alone = deja("run", "-m", "64M", "-kernel", PROBE, "-append", "=CCBC", stdin=None)
        self.assertStatus(alone, 0)
        server = self.probe("CCBC")
        client = self.client(server)
        code = client.read(symbols["text_begin"], symbols["text_end"] - symbols["text_begin"])
        places = [a for a in symbols.values() if symbols["start64"] <= a < symbols["text_end"]]
        for i, address in enumerate(places):
            client.insert(i & 1, address)
        seen = []
        for _ in range(200):
            seen.append(client.resume("c").registers[16])
            client.remove(0, symbols["checksum.next"])
            client.remove(1, symbols["checksum.next"])
        self.assertEqual(client.read(symbols["text_begin"], len(code)), code)
        self.assertLessEqual(set(seen), set(places))
        self.assertGreater(seen.count(symbols["bump"]) + seen.count(symbols["checksum_done"]), 30)
        client.demand("D")
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.out.data, alone.stdout)

    def test_kinds_of_breakpoints_are_told_apart(self):
        client = self.client(self.probe("RS"))
        symbols = symbols_of(PROBE)
        client.insert(0, symbols["repeat_insn"])
        client.insert(1, symbols["stores"])
        self.assertEqual(client.resume("c").reasons, {"swbreak": ""})
        self.assertEqual(client.resume("c").reasons, {"hwbreak": ""})
        self.assertEqual(client.register("rip"), symbols["stores"])
        plain = self.client(self.probe("R"), features="multiprocess-")
        plain.insert(0, symbols["repeat_insn"])
        self.assertEqual(plain.resume("c").reasons, {}) # it did not ask

    def test_breakpoint_at_a_repeated_instruction_hits_once(self):
        client = self.client(self.probe("RR"))
        symbols = symbols_of(PROBE)
        client.insert(0, symbols["repeat_insn"])
        client.insert(0, symbols["repeat_done"])
        places = [client.resume("c").registers[16] for _ in range(4)]
        self.assertEqual(places, [symbols["repeat_insn"], symbols["repeat_done"]] * 2)

    # kind, first byte of `area`, length: where it stops (the instruction after), and the address told
    WATCHES = [
        (2, 5, 1, [("store_same", 5)]),
        (2, 4, 3, [("store_same", 5)]),
        (2, 8, 3, [("store_quad", 9)]),
        (2, 10, 1, [("store_quad", 10)]),
        (2, 8, 2, [("store_quad", 9)]),
        (2, 11, 12, []),
        (2, 90, 12, [("load_dword", 96)]),
        (2, 103, 1, [("load_dword", 103)]),
        (2, 104, 3, []),
        (2, 40, 4, []),
        (3, 20, 1, [("increment", 20)]),
        (3, 43, 3, [("load_byte", 43)]),
        (3, 5, 12, []),
        (4, 28, 12, [("store_many", 30)]),
        (4, 28, 13, [("store_many", 30), ("load_byte", 40)]),
        (4, 20, 1, [("increment", 20)]),
    ]

    def test_watchpoints_of_any_length_and_kind(self):
        symbols = symbols_of(PROBE)
        area = symbols["area"]
        reason = {2: "watch", 3: "rwatch", 4: "awatch"}
        for kind, first, length, stops in self.WATCHES:
            with self.subTest(kind=kind, first=first, length=length):
                client = self.client(self.probe("S"))
                client.insert(1, symbols["stores_done"])
                client.insert(kind, area + first, length)
                seen = []
                while (stop := client.resume("c")).registers[16] != symbols["stores_done"]:
                    seen.append((stop.registers[16], stop.reasons))
                expected = [(symbols[place], {reason[kind]: f"{area + address:x}"}) for place, address in stops]
                self.assertEqual(sorted(seen, key=str), sorted(expected, key=str))
                client.close()

    def test_watchpoint_of_a_hundred_bytes(self):
        symbols = symbols_of(PROBE)
        area = symbols["area"]
        client = self.client(self.probe("S"))
        client.insert(1, symbols["stores_done"])
        client.insert(2, area + 4, 100)
        seen = []
        while (stop := client.resume("c")).registers[16] != symbols["stores_done"]:
            seen.append((stop.registers[16], int(stop.reasons["watch"], 16) - area))
        self.assertEqual(seen, [(symbols["store_same"], 5), (symbols["store_word"], 5),
                                (symbols["store_quad"], 9), (symbols["load_dword"], 96),
                                (symbols["store_many"], 30)])

    def test_watchpoint_stops_after_each_iteration(self):
        symbols = symbols_of(PROBE)
        client = self.client(self.probe("S"))
        client.insert(2, symbols["area"] + 110, 100)
        counts = []
        for _ in range(3):
            client.resume("c")
            counts.append(client.register("rcx"))
        self.assertEqual(counts, [2, 1, 0])

    def test_gdb_shows_old_and_new_values(self):
        out = self.gdb(self.probe("S"), "watch *(char *)((char *)&area + 5)", "continue", "continue", "delete",
                       symbols=PROBE)
        self.assertRegex(out[1], r"Old value = 0 .*\nNew value = 17 ")
        out = self.gdb(self.probe("S"), "break stores", "continue", "watch *(unsigned char(*)[3])((char *)&area + 8)",
                       "continue", "info breakpoints", symbols=PROBE)
        self.assertRegex(out[2], r"^Hardware watchpoint")
        self.assertRegex(out[3], r"Old value = .*000.*\nNew value = .*\"?\\?000?.*3\"?")
        out = self.gdb(self.probe("S"), "rwatch *(int *)((char *)&area + 40)", "continue", "print/x $rip",
                       "delete", "awatch *(char *)((char *)&area + 30)", "continue", "kill", symbols=PROBE)
        self.assertRegex(out[1], r"(?s)Hardware read watchpoint.*Value = 0")
        self.assertIn(f"{symbols_of(PROBE)['load_byte']:#x}", out[2])
        self.assertRegex(out[5], r"(?s)Hardware access .*Old value = 0 .*New value = 1 ")

    def test_gdb_watches_structures_of_the_demo(self):
        server = self.serve("run", "-kernel", DEMO, "-append", "days=1", "-S", "--seed", "7")
        out = self.gdb(server, "watch ledger", "continue", "continue", "print ledger.balance", "delete",
                       "watch tellers", "continue", "kill", symbols=DEMO)
        self.assertRegex(out[1], r"(?s)Old value = \{balance = 0, opening = 0.*"
                                 r"New value = \{balance = 1000000, opening = 0,")
        self.assertRegex(out[2], r"(?s)New value = \{balance = 1000000, opening = 1000000")
        self.assertIn("1000000", out[3])
        self.assertRegex(out[6], r"(?s)Old value = \{\{name = .*alice.*New value = \{\{name = .*random = ")

    def test_condition_is_evaluated_in_the_target(self):
        server = self.probe("B")
        out = self.gdb(server, "set breakpoint condition-evaluation target", "break bump if $rbx == 99990",
                       "continue", "print $rbx", "info breakpoints",
                       "condition 1 $rbx % 3 == 2 && *(int *)&counter > 99994",
                       "continue", "print $rbx", "delete", "detach", symbols=PROBE)
        self.assertEqual([out[3], out[7]], ["$1 = 99990", "$2 = 99995"])
        self.assertIn("(target evals)", out[4])
        self.assertEqual(server.wait(), 0)

    def test_condition_on_a_watchpoint(self):
        out = self.gdb(self.probe("B"), "watch *(int *)&counter if *(int *)&counter == 200", "continue",
                       "print $rbx", "kill", symbols=PROBE)
        self.assertRegex(out[1], r"Old value = 199\nNew value = 200")


class Steps(Live):
    def test_step_over_a_repeated_instruction_is_an_iteration(self):
        client = self.client(self.probe("R"))
        symbols = symbols_of(PROBE)
        self.stop_at(client, "repeat_insn")
        counts, icounts = [], []
        for _ in range(10):
            counts.append(client.register("rcx"))
            icounts.append(client.register("icount"))
            self.assertEqual(client.register("rip"), symbols["repeat_insn"])
            client.resume("s")
        self.assertEqual(counts, list(range(10, 0, -1)))
        self.assertEqual(client.register("rip"), symbols["repeat_done"])
        self.assertEqual(len(set(icounts)), len(icounts))
        self.assertEqual(client.read(symbols["target"], 10), b"0123456789")

    def test_range_step_leaves_the_range(self):
        client = self.client(self.probe("R"))
        symbols = symbols_of(PROBE)
        self.stop_at(client, "repeat")
        client.resume(f"vCont;r{symbols['repeat']:x},{symbols['repeat_done']:x}:1")
        self.assertEqual(client.register("rip"), symbols["repeat_done"])

    def test_step_and_next_by_source_lines(self):
        server = self.serve("run", "-kernel", DEMO, "-append", "days=1", "-S", "--seed", "7")
        out = self.gdb(server, "break ledger_post", "continue", "delete", "next", "step", "step", "backtrace", "step",
                       "step", "finish", "next", "next", "next", "step", "next", "advance ledger_audit", "backtrace",
                       "kill", symbols=DEMO)
        self.assertIn("ledger_post (teller=", out[1])
        self.assertIn("post (teller=", out[5])
        self.assertRegex(out[6], r"(?s)#0  post .*#1 .*ledger_post .*#2 .*ledger_serve .*#3 .*serve_days "
                                 r".*#4 .*alice .*#5 .*thread_start")
        self.assertIn("seen = ledger.balance", out[5])
        self.assertIn("fee_for(amount)", out[7])
        self.assertIn("fee_for (amount=", out[8])
        self.assertRegex(out[9], r"post \(teller=(?s:.*)Value returned is \$1 = [1-9]")
        self.assertIn("teller->net +=", out[10])
        self.assertIn("ledger_post (", out[11])
        self.assertIn("customers++", out[12])
        self.assertIn("serve_days (", out[13])
        self.assertIn("ledger_serve(teller", out[14])
        self.assertRegex(out[16], r"(?s)#0  ledger_audit .*#1 .*auditor .*#2 .*thread_start")

    def test_call_of_a_function_of_the_guest(self):
        server = self.serve("run", "-kernel", DEMO, "-append", "days=1", "-S", "--seed", "7")
        out = self.gdb(server, "tbreak fee_for", "continue", "info registers", "print fee_for(12345)",
                       "info registers", "call thread_name()", "detach", symbols=DEMO)
        self.assertEqual(out[3], "$1 = 5")
        volatile = re.compile(r"(?m)^(icount|vns|tsc) .*\n?")
        self.assertEqual(volatile.sub("", out[2]), volatile.sub("", out[4]))
        self.assertRegex(out[5], '"(alice|bob)"')
        self.assertEqual(server.wait(), 0)

    def test_until_and_tbreak(self):
        server = self.serve("run", "-kernel", DEMO, "-append", "days=1", "-S", "--seed", "7")
        out = self.gdb(server, "tbreak fee_for", "continue", "up", "info locals", "info args", "print *teller",
                       "print ledger.opening", "kill", symbols=DEMO)
        self.assertIn("post (", out[2])
        self.assertIn("seen = 1000000", out[3])
        self.assertIn("amount = ", out[4])
        self.assertRegex(out[5], 'name = 0x[0-9a-f]+ "(alice|bob)", net = 0')
        self.assertEqual(out[6], "$2 = 1000000")


class Interrupts(Live):
    def test_spinning_guest(self):
        symbols = symbols_of(PROBE)
        server = self.probe("CW", stdin=subprocess.PIPE)
        client = self.client(server)
        for _ in range(20):
            client.start("c")
            stop = client.interrupt()
            self.assertEqual(stop.signal, 2)
        client.start("c")
        self.assertIsNotNone(server.out.expect(rb"\n"))
        self.assertEqual(client.interrupt().signal, 2)
        place = client.register("rip")
        self.assertTrue(symbols["spin"] <= place < symbols["halt"], hex(place))
        self.assertEqual(client.write(symbols["go_on"], b"\1"), "OK")
        self.assertGoesOnToItsEnd(server, client)

    def test_halted_guest(self):
        symbols = symbols_of(PROBE)
        server = self.probe("H", stdin=subprocess.PIPE)
        client = self.client(server)
        self.stop_at(client, "halt_insn")
        for _ in range(5):
            client.start("c")
            self.assertEqual(client.interrupt().signal, 2)
            self.assertEqual(client.register("rip"), symbols["halt_woken"])
        self.assertIn("halted", client.object("threads"))
        client.insert(0, symbols["on_serial"])
        client.start("c")
        server.send(b"x")
        self.assertEqual(client.stop().reasons, {"swbreak": ""})
        self.assertEqual(client.register("rip"), symbols["on_serial"])
        client.remove(0, symbols["on_serial"])
        self.assertGoesOnToItsEnd(server, client)

    def test_step_of_a_halted_guest_can_be_interrupted(self):
        server = self.probe("H", stdin=subprocess.PIPE)
        client = self.client(server)
        self.stop_at(client, "halt_insn")
        client.resume("s")
        client.start("s") # waits for something to wake it
        self.assertEqual(client.interrupt().signal, 2)

    def test_interrupt_that_comes_with_the_request_to_run(self):
        server = self.probe("W")
        client = self.client(server)
        client.start_no_ack()
        for how in (b"$c#63", b"$vCont;c#a8") * 5:
            client.send(how + gdb_client.INTERRUPT)
            self.assertEqual(client.stop().signal, 2)

    def test_interrupt_of_a_stopped_guest_is_ignored(self):
        client = self.client(self.probe("R"))
        client.send(b"\x03")
        self.assertEqual(client.register("icount"), 0)
        self.assertEqual(client.resume("s").signal, 5)

    def test_control_c_in_gdb(self):
        server = self.probe("CW", stdin=subprocess.PIPE)
        interrupt = ("python import threading, os, signal; threading.Timer(1, os.kill, "
                     "(os.getpid(), signal.SIGINT)).start()")
        out = self.gdb(server, interrupt, "continue", "print $rip >= (long)&spin && $rip < (long)&halt",
                       "set {int}&go_on = 1", "detach", symbols=PROBE)
        self.assertIn("SIGINT", out[1])
        self.assertEqual(out[2], "$1 = 1")
        self.assertEqual(server.wait(), 0)


class Leaving(Live):
    """Clients that come and go, guests that end."""

    def test_guest_goes_on_after_detach(self):
        server = self.serve("run", "-kernel", SWITCH, "-S")
        out = self.gdb(server, "break work_long", "continue", "detach", symbols=SWITCH)
        self.assertIn("detached", out[2])
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.out.data, b"p" + b"rpPLcLPp" * 3 + b"\n")

    def test_kill_ends_the_run(self):
        server = self.serve("run", "-kernel", SWITCH, "-S")
        self.gdb(server, "break work_long", "continue", "kill", symbols=SWITCH)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.out.data, b"prpP")

    def test_guest_waits_for_another_client_when_one_vanishes(self):
        symbols = symbols_of(PROBE)
        server = self.probe("CW", stdin=subprocess.PIPE)
        gdb = subprocess.Popen(gdb_client.gdb_arguments(["continue"], PROBE, server.address),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        self.assertIsNotNone(server.out.expect(rb"\n"))
        gdb.kill()
        gdb.wait()
        client = self.client(server)
        place = client.register("rip")
        self.assertTrue(symbols["checksum_done"] <= place, hex(place))
        before = client.register("icount")
        client.close() # without a word, again
        client = self.client(server)
        self.assertEqual(client.register("icount"), before)
        self.assertEqual(client.write(symbols["go_on"], b"\1"), "OK")
        self.assertGoesOnToItsEnd(server, client)

    def test_points_of_a_client_that_vanished_are_gone(self):
        symbols = symbols_of(PROBE)
        server = self.probe("RS")
        client = self.client(server)
        client.insert(0, symbols["repeat_insn"])
        client.insert(2, symbols["area"], 100)
        client.close()
        client = self.client(server)
        client.insert(0, symbols["stores_done"])
        client.resume("c")
        self.assertEqual(client.register("rip"), symbols["stores_done"])

    def held(self, letter, text, status):
        server = self.probe("R" + letter)
        client = self.client(server)
        stop = client.resume("c")
        self.assertEqual((stop.kind, stop.signal), ("T", 5))
        self.assertIn(text, client.console)
        self.assertEqual(client.read(symbols_of(PROBE)["target"], 10), b"0123456789")
        icount = client.register("icount")
        for how in ("c", "s", "vCont;c"):
            self.assertEqual(client.resume(how).kind, "T")
            self.assertEqual(client.register("icount"), icount)
        client.request("?")
        self.assertTrue(server.alive())
        client.demand("D")
        self.assertEqual(server.wait(), status)
        return server.errors.data.decode()

    def test_power_off_holds_the_session(self):
        self.held("Q", "power", 0)

    def test_triple_fault_holds_the_session(self):
        self.assertIn("triple fault", self.held("T", "triple-fault", 3))

    def test_panic_holds_the_session(self):
        self.assertIn("panicked", self.held("P", "panicked", 3))

    def test_dead_halt_holds_the_session(self):
        self.assertIn("halted", self.held("h", "halt", 0))

    def test_second_client_is_told_and_the_first_not_disturbed(self):
        server = self.probe("R")
        first = self.client(server)
        second = self.client(server, handshake=False)
        self.assertEqual(second.request("qSupported"), "E.another debugger is connected")
        out = gdb_client.run_gdb(server.address, "print 1", status=None)
        self.assertIn("another debugger is connected", out.text)
        self.assertEqual(first.resume("s").signal, 5)

    def test_guest_runs_before_a_client_comes(self):
        server = self.serve("run", "-kernel", SWITCH)
        self.assertEqual(server.wait(), 0)
        self.assertEqual(server.out.data[-4:], b"LPp\n")

    def test_client_stops_a_running_guest(self):
        server = self.serve("run", "-m", "64M", "-kernel", PROBE, "-append", "=CW", stdin=subprocess.PIPE)
        self.assertIsNotNone(server.out.expect(rb"\n"))
        client = self.client(server)
        client.request("?")
        place = client.register("rip")
        self.assertTrue(symbols_of(PROBE)["checksum_done"] <= place, hex(place))
        server.send(b"x")
        self.assertGoesOnToItsEnd(server, client)

    def test_termination_while_stopped(self):
        server = self.probe("W")
        client = self.client(server)
        client.resume("s")
        self.assertEqual(server.terminate(), 0)
        server = self.probe("W")
        self.assertEqual(server.terminate(), 0) # nobody came


class Places(Live):
    """Where the client comes from."""

    def test_unix_socket(self):
        path = self.path("gdb")
        server = self.probe("R", where="unix:" + path)
        self.assertEqual(server.address, path)
        out = self.gdb(server, "break repeat_done", "continue", "print $rcx", "detach", symbols=PROBE)
        self.assertEqual(out[2], "$1 = 0")
        self.assertEqual(server.wait(), 0)
        server = self.probe("R", where="unix:" + path) # what the first may have left behind is replaced
        self.assertEqual(self.client(server).register("icount"), 0)
        server = self.serve("replay", self.record("t.deja", "-kernel", SWITCH), where="unix:" + self.path("other"))
        client = self.client(server)
        client.send_packet("k")
        self.assertEqual(server.wait(), 0)

    def test_default_port(self):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 1234))
            except OSError as error:
                self.skipTest(f"port 1234: {error}")
        server = gdb_client.Server("run", "-m", "64M", "-kernel", PROBE, "-append", "=R", "-s", "-S")
        self.addCleanup(server.close)
        server.wait_until_ready()
        self.assertEqual(server.address, "localhost:1234")
        self.assertEqual(self.gdb(server, "print $rip == (long)&start", "kill", symbols=PROBE)[0], "$1 = 1")

    def test_numeric_hosts(self):
        for where in ("tcp:127.0.0.1:0", "tcp:localhost:0"):
            server = self.probe("R", where=where)
            self.assertEqual(self.client(server).register("icount"), 0)

    def test_standard_input_and_output(self):
        command = (f"{common.DEJA} run -m 64M -kernel {PROBE} -append =CR -S -serial file:{self.path('out')} "
                   "-gdb stdio")
        out = gdb_client.run_gdb(None, f"target remote | {command}", "break repeat_done", "continue",
                                 "print $rcx", "detach", symbols=PROBE)
        self.assertEqual(out[3], "$1 = 0")
        with open(self.path("out"), "rb") as file:
            self.assertRegex(file.read(), rb"^[a-p]{8}\n$")

    def test_replay_by_standard_input_and_output(self):
        trace = self.record("t.deja", "-kernel", SWITCH)
        out = gdb_client.run_gdb(None, f"target remote | {common.DEJA} replay {trace} --gdb stdio", "break work_long",
                                 "continue", "print *(int *)&count_long", "reverse-continue", "kill", symbols=SWITCH)
        self.assertEqual(out[3], "$1 = 0")
        self.assertIn("No more reverse-execution history", out[4])


class Recording(Live):
    """A debugger that only looks leaves no trace in a recording; what it changes is in it."""

    def under_gdb(self, name, kernel, *more):
        trace = self.path(name)
        server = self.serve("record", "-o", trace, "--seed", "7", "-m", "64M", "-kernel", kernel, "-S", *more)
        return trace, server, self.client(server)

    def test_stops_change_nothing(self):
        symbols = symbols_of(SWITCH)
        alone = self.record("alone.deja", "-kernel", SWITCH)
        trace, server, client = self.under_gdb("gdb.deja", SWITCH)
        for name in ("work_real", "tick_real", "tick_pm16", "tick_pm32", "tick_long", "fibonacci"):
            client.insert(0, symbols[name])
        client.insert(2, symbols["sum_compat"], 4)
        client.insert(4, symbols["ticks_long"], 3)
        stops = 0
        while "the guest has ended" not in client.console:
            client.resume(("c", "s", "c", "vCont;c", "s")[stops % 5])
            client.demand("g")
            client.read(symbols["base"], 0x400)
            client.digest()
            if stops % 7 == 0:
                client.start("c")
                client.interrupt()
            stops += 1
        self.assertGreater(stops, 100)
        client.demand("D")
        self.assertEqual(server.wait(), 0)
        self.assertEqual(self.dump(trace), self.dump(alone))
        self.assertExactReplay(trace, server.out.data)

    def test_stops_in_the_demo_change_nothing(self):
        options = ("-append", "fixed days=1 customers=300")
        alone = self.record("alone.deja", "-kernel", DEMO, *options)
        trace, server, client = self.under_gdb("gdb.deja", DEMO, *options)
        symbols = symbols_of(DEMO)
        client.insert(0, symbols["post"])
        client.insert(1, symbols["on_tick"])
        client.insert(2, symbols["ledger"], 8)
        for i in range(600):
            client.resume("s" if i % 3 == 0 else "c")
        client.demand("D")
        self.assertEqual(server.wait(), 0)
        self.assertEqual(self.dump(trace), self.dump(alone))
        self.assertExactReplay(trace, server.out.data)

    def test_changes_are_recorded(self):
        symbols = symbols_of(SWITCH)
        trace, server, client = self.under_gdb("gdb.deja", SWITCH)
        for name in ("real_add", "pm16_multiply", "fibonacci", "long_add", "compat_subtract"):
            client.insert(0, symbols[name])
            client.resume("c")
            self.assertEqual(client.register("rip"), symbols[name])
            client.remove(0, symbols[name])
            self.assertEqual(client.set_register("rbp", 0x1234567), "OK")
            self.assertEqual(client.set_register("xmm3", 1 << 100), "OK")
            self.assertEqual(client.set_register("st0", 0x3fff8000 << 48), "OK")
        self.assertEqual(client.write(symbols["sum_compat"], (4711).to_bytes(4, "little")), "OK")
        self.assertEqual(client.write(symbols["copy"], bytes(range(48))), "OK")
        client.insert(0, symbols["failed"])
        client.resume("c")
        self.assertEqual(client.register("rip"), symbols["failed"])
        client.demand("D")
        self.assertEqual(server.wait(), 3)
        self.assertIn(b"FAIL sum-compat", server.out.data)
        self.assertExactReplay(trace, server.out.data)
        events = self.dump(trace)
        self.assertEqual(len(re.findall(r"input +debug register ", events)), 15) # registers
        self.assertEqual(len(re.findall(r"input +debug memory ", events)), 2)  # memory
        again = self.serve("replay", trace)
        client = self.client(again)
        client.insert(0, symbols["failed"])
        client.resume("c")
        self.assertEqual(client.register("rip"), symbols["failed"])
        self.assertEqual(client.register("rbp"), 0x1234567)
        self.assertEqual(client.register("xmm3"), 1 << 100)

    def test_code_written_by_the_debugger_runs_in_the_replay_too(self):
        symbols = symbols_of(PROBE)
        trace = self.path("t.deja")
        server = self.probe("BC", "-o", trace, "--seed", "3", command="record")
        client = self.client(server)
        client.insert(0, symbols["bump"])
        for _ in range(3):
            client.resume("c")
        client.remove(0, symbols["bump"])
        self.assertEqual(client.write(symbols["bump"], b"\xc3"), "OK") # RET
        client.insert(0, symbols["checksum"])
        client.resume("c")
        self.assertEqual(int.from_bytes(client.read(symbols["counter"], 4), "little"), 2)
        self.assertGoesOnToItsEnd(server, client)
        self.assertExactReplay(trace, server.out.data)

    def test_kill_leaves_a_recording_up_to_there(self):
        trace, server, client = self.under_gdb("gdb.deja", SWITCH)
        client.insert(0, symbols_of(SWITCH)["work_compat"])
        client.resume("c")
        client.send_packet("k")
        self.assertEqual(server.wait(), 0)
        self.assertEqual(self.assertExactReplay(trace), b"prpPL")


if __name__ == "__main__":
    gdb_client.main()
