#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recordings under gdb, forwards and backwards: what a debugger of the past is for."""
import hashlib
import os
import random
import re
import subprocess
import tempfile

import common
import gdb_client
from common import deja
from gdb_client import DEMO, SWITCH, GdbCase, symbols_of

HISTORY_ENDS = "No more reverse-execution history."


def record(path, *args, status, typed=None):
    result = deja("record", "-o", path, "--seed", "7", "-m", "64M", *args, stdin=typed)
    if result.returncode != status:
        raise AssertionError(f"recording {args}: {result.returncode}\n{result.stderr.decode()}")


class Recorded(GdbCase):
    """One recording for all tests of a class, which must not be changed by any."""

    ARGS = ("-kernel", SWITCH)
    STATUS = 0
    SYMBOLS = SWITCH
    TYPED = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix="deja-e2e-")
        cls.addClassCleanup(folder.cleanup)
        cls.trace = os.path.join(folder.name, "t.deja")
        record(cls.trace, *cls.ARGS, status=cls.STATUS, typed=cls.TYPED)
        with open(cls.trace, "rb") as file:
            cls.bytes = file.read()
        cls.symbols = symbols_of(cls.SYMBOLS) if cls.SYMBOLS else {}

    def tearDown(self):
        with open(self.trace, "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).digest(), hashlib.sha256(self.bytes).digest(),
                             "the trace was changed")

    def replay(self, *more):
        return self.serve("replay", self.trace, "--quiet", *more)

    def attached(self, *more):
        return self.client(self.replay(*more))

    def past(self, *commands, **more):
        """gdb on the recording, from its beginning."""
        return self.gdb(self.replay(), *commands, symbols=self.SYMBOLS, **more)


class DemoRecorded(Recorded):
    """The built-in guest on a bad day."""

    ARGS = ()
    STATUS = 3
    SYMBOLS = DEMO

    def debug(self, *commands, before=(), status=0):
        """deja debug with gdb in batch mode; what each command printed."""
        options = ["-nx", "-batch"]
        for i, command in enumerate(commands):
            options += ["-ex", f"echo \\n@@{i}@@\\n", "-ex", command]
        options += ["-ex", f"echo \\n@@{len(commands)}@@\\n"]
        result = subprocess.run([common.DEJA, "debug", self.trace, *before, "--", *options],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=common.TIMEOUT, cwd=gdb_client.SOURCES)
        text = result.stdout.decode(errors="replace")
        self.assertEqual(result.returncode, status, text)
        return gdb_client.Output(text, len(commands) + 1)


class LostUpdate(DemoRecorded):
    """From the crash to its cause, as the manual tells it."""

    CONDITION = "ledger.opening + tellers[0].net + tellers[1].net == ledger.balance"

    def assertIsTheLostUpdate(self, out):
        """What was printed by: backtrace, watch, reverse-continue, print fee, print ledger.balance, two commands that
        put a breakpoint behind the load, reverse-continue, print seen, print ledger.balance."""
        self.assertRegex(out[0], r"(?s)panic.*ledger_audit \(\).*auditor")
        self.assertIn("Hardware watchpoint", out[1])
        values = re.search(r"Old value = (\d+)\nNew value = (\d+)\n(?s:.*)post \(teller=.*, amount=(-?\d+)\)", out[2])
        self.assertIsNotNone(values, out[2])
        after, before, amount = map(int, values.groups())
        self.assertIn("ledger.balance = seen + amount - fee", out[2])
        fee = int(out[3].split("= ")[1])
        self.assertEqual(int(out[4].split("= ")[1]), before) # the store is still to come
        seen = after - amount + fee
        self.assertNotEqual(seen, before)                    # others have posted since
        self.assertIn("post (teller=", out[7])
        self.assertEqual(int(out[8].split("= ")[1]), seen)   # so much there was when it was read
        self.assertEqual(int(out[9].split("= ")[1]), seen)

    def test_by_deja_debug(self):
        out = self.debug("backtrace", "watch ledger.balance if " + self.CONDITION, "reverse-continue", "print fee",
                         "print ledger.balance", "set $frame = $rbp",
                         "python gdb.execute('delete 1'); gdb.execute('tbreak ledger.c:44 if $rbp == $frame')",
                         "reverse-continue", "print seen", "print ledger.balance", "deja-when")
        self.assertIsTheLostUpdate(out)

    def test_by_replay(self):
        out = self.past("continue", "watch ledger.balance if " + self.CONDITION, "reverse-continue", "print fee",
                        "print ledger.balance", "set $frame = $rbp",
                        "python gdb.execute('delete 1'); gdb.execute('tbreak ledger.c:44 if $rbp == $frame')",
                        "reverse-continue", "print seen", "print ledger.balance", "monitor when")
        self.assertIn(HISTORY_ENDS, out[0])
        out[0] = "panic ledger_audit () auditor"
        self.assertIsTheLostUpdate(out)

    def test_lines_lead_back_past_the_other_teller(self):
        """reverse-next from the store to the load: over the timer's handler and the thread that it let run."""
        out = self.debug("watch ledger.balance if " + self.CONDITION, "reverse-continue", "delete", "deja-when",
                         "reverse-next", "reverse-next", "deja-when", "print ledger.balance", "info symbol $pc",
                         "next", "next", "deja-when", "reverse-stepi", "info symbol $pc")
        after, before, amount = map(int, re.search(
            r"Old value = (\d+)\nNew value = (\d+)\n(?s:.*)post \(teller=.*, amount=(-?\d+)\)", out[1]).groups())
        store, load, again = (int(re.match(r"instruction ([\d,]+)", out[i]).group(1).replace(",", ""))
                              for i in (3, 6, 11))
        self.assertIn("int64_t fee = fee_for(amount)", out[4])
        self.assertIn("int64_t seen = ledger.balance", out[5])
        self.assertGreater(store - load, 100000)             # the other's turn
        seen = int(out[7].split("= ")[1])
        self.assertNotEqual(seen, before)
        self.assertLessEqual(abs(seen + amount - after), 20) # but for the fee
        self.assertIn("post", out[8])
        # Forward by lines it is the same way.
        self.assertIn("ledger.balance = seen + amount - fee", out[10])
        self.assertLess(load, again)
        self.assertLessEqual(again, store)
        self.assertIn("fee_for", out[13])

    def test_an_instruction_back_goes_into_the_handler_or_past_it(self):
        out = self.debug("python import re", "python at = int(re.search('[0-9,]+', gdb.execute("
                         "'monitor events 5000000 1', to_string=True)).group().replace(',', ''))",
                         "python gdb.execute('deja-seek %d' % at)", "deja-when", "monitor digest", "print $rip",
                         "python gdb.execute('tbreak *%d if $rsp == %d && $icount > %d' % (*[int(gdb.parse_and_eval("
                         "'(long)$' + r)) for r in ('rip', 'rsp')], at))", "continue", "deja-when", "monitor handlers", "reverse-stepi", "x/i $pc",
                         "stepi", "monitor handlers pass", "monitor handlers", "reverse-stepi", "deja-when",
                         "monitor digest")
        self.assertIn("enter", out[9])
        self.assertRegex(out[11], "iret")
        self.assertIn("pass over", out[14])
        self.assertEqual(out[3], out[16])   # where the interrupt came,
        self.assertEqual(out[4], out[17])   # in the same state

    def test_forward_the_same_store_upsets_the_books(self):
        back = self.debug("watch ledger.balance if " + self.CONDITION, "reverse-continue", "deja-when", "delete",
                          "watch ledger.balance", "continue", "print " + self.CONDITION, "continue",
                          "print " + self.CONDITION, "deja-when")
        before, after = re.search(r"Old value = (\d+)\nNew value = (\d+)", back[1]).groups()
        self.assertIn(f"Old value = {after}\nNew value = {before}", back[5]) # there and back
        self.assertTrue(back[6].endswith("= 0"), back[6])
        self.assertTrue(back[8].endswith("= 0"), back[8])

    def test_handler_that_came_between(self):
        """Before the store the timer interrupted the other teller: the CPU came back from him."""
        out = self.debug("watch ledger.balance if " + self.CONDITION, "reverse-continue", "backtrace",
                         "set $store = $icount",
                         "delete", "break trap_common", "reverse-continue", "print $store - $icount < 2000000",
                         "backtrace", "stepi", "reverse-stepi", "reverse-stepi", "print $store - $icount < 2000000")
        first = "alice" if "alice" in out[2] else "bob"
        other = "bob" if first == "alice" else "alice"
        self.assertIn(f" {first} ()", out[2])
        self.assertIn("signal handler called", out[6])
        self.assertEqual(out[7].split("= ")[1], "1")
        self.assertIn(f" {other} ()", out[8])


class Debug(DemoRecorded):
    """deja debug itself."""

    def test_opens_at_the_end(self):
        out = self.debug("backtrace", "deja-when", "continue", "print $icount")
        self.assertRegex(out[0], r"(?s)#\d+ .*panic .*ledger_audit")
        n = re.search(r"instruction ([\d,]+) of ([\d,]+), ", out[1])
        self.assertEqual(n.group(1), n.group(2))
        self.assertIn(HISTORY_ENDS, out[2])

    def test_opens_where_it_is_told(self):
        out = self.debug("print $icount", "backtrace", before=("--at", "1,000,000"))
        self.assertEqual(out[0], "$1 = 1000000")
        out = self.debug("print $icount", "reverse-stepi", before=("--at", "begin"))
        self.assertEqual(out[0], "$1 = 0")
        self.assertIn(HISTORY_ENDS, out[1])

    def test_symbols_may_be_named(self):
        result = subprocess.run([common.DEJA, "debug", self.trace, DEMO, "--", "-nx", "-batch", "-ex",
                                 "print ledger.opening"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=common.TIMEOUT)
        self.assertIn(b"$1 = 1000000", result.stdout)

    def test_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory() as tmp:
            environment = dict(os.environ, TMPDIR=tmp)
            subprocess.run([common.DEJA, "debug", self.trace, "--", "-nx", "-batch", "-ex", "print 1"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                           env=environment, timeout=common.TIMEOUT, check=True)
            self.assertEqual(os.listdir(tmp), [])

    def test_commands_of_python(self):
        out = self.debug("deja-seek begin", "deja-when", "deja-seek 2,000,000", "print $icount", "deja-seek -1000",
                         "print $icount", "deja-seek end", "deja-last-write ledger.balance", "x/i $pc",
                         "deja-events", "deja-events 1000000 3", "deja-checkpoints", "deja-seek", "deja-seek nowhere",
                         "deja-last-write &tellers[1].net", "backtrace 1", "deja-last-write")
        self.assertIn("start () at ./cli/demo/boot.S", out[0])
        self.assertRegex(out[1], r"^instruction 0 of [\d,]+, 0\.000000000 s, RIP ")
        self.assertIn("instruction 2,000,000 of", out[2])
        self.assertNotIn("plain gdb", out.text)
        self.assertEqual([out[3], out[5]], ["$1 = 2000000", "$2 = 1999000"])
        self.assertIn("the end of the recording", out[6])
        self.assertIn("the next instruction stores 8 bytes at phys:", out[7])
        self.assertRegex(out[8], r"mov +%r\w+,.*<ledger>")
        self.assertIn("interrupt 32 (pic)", out[9])
        self.assertEqual(len(out[10].splitlines()), 3)
        self.assertRegex(out[11], r"^\d+ checkpoints, ")
        self.assertIn("takes an instruction", out[12])
        self.assertIn("seek takes an instruction", out[13])
        self.assertIn("the next instruction stores 8 bytes", out[14])
        self.assertIn("post (teller=", out[15])
        self.assertIn("takes an expression", out[16])


class Lines(DemoRecorded):
    """Backwards by lines and functions."""

    def test_reverse_step_goes_into_functions(self):
        out = self.past("break ledger.c:46", "continue", "delete", "reverse-step", "reverse-step", "reverse-step",
                        "backtrace")
        self.assertIn("ledger.balance = seen", out[1])
        self.assertIn("fee_for", out[3])
        self.assertRegex(out[6], r"fee_for|post")

    def test_reverse_next_goes_over_functions(self):
        out = self.past("break ledger.c:46", "continue", "delete", "reverse-next", "reverse-next", "reverse-next",
                        "reverse-next", "backtrace")
        self.assertIn("fee = fee_for(amount)", out[3])
        self.assertIn("seen = ledger.balance", out[4])
        self.assertRegex(out[7], r"ledger_post \(.*\n.*ledger_serve")
        self.assertNotRegex("".join(out[3:7]), "trap")

    def test_reverse_finish_goes_to_the_call(self):
        out = self.past("break fee_for", "continue", "delete", "next", "next", "reverse-finish", "x/i $pc",
                        "reverse-finish", "x/i $pc", "reverse-finish", "x/i $pc")
        self.assertRegex(out[6], r"call +0x\w+ <fee_for>")
        self.assertRegex(out[8], r"call +0x\w+ <post>")
        self.assertRegex(out[10], r"call +0x\w+ <ledger_post>")

    def test_next_and_reverse_next_are_inverse(self):
        out = self.past("break ledger.c:43", "continue", "delete", "next", "print $icount", "next", "print $icount",
                        "next", "print $icount", "reverse-next", "reverse-next", "print $icount", "next",
                        "print $icount")
        first, second, third, back, again = (int(out[i].split("= ")[1]) for i in (4, 6, 8, 11, 13))
        self.assertTrue(first < second < third)
        self.assertEqual([back, again], [first, second])

    def test_next_passes_over_an_interrupt(self):
        """The line in which the other teller gets the CPU, stepped over: one step, thousands of posts."""
        condition = LostUpdate.CONDITION
        out = self.debug("watch ledger.balance if " + condition, "reverse-continue", "set $store = $icount", "delete",
                         "set $frame = $rbp", "tbreak ledger.c:44 if $rbp == $frame", "reverse-continue",
                         "print ledger.balance == seen", "next", "print $store - $icount < 10",
                         "print ledger.balance == seen", "backtrace 2")
        self.assertEqual(out[7].split("= ")[1], "1")
        self.assertIn("ledger.balance = seen", out[8])
        self.assertEqual(out[9].split("= ")[1], "1")
        self.assertRegex(out[11], r"(?s)post.*ledger_post")

    def test_reverse_continue_finds_calls_one_by_one(self):
        out = self.past("break fee_for", "continue", "continue", "continue", "print amount", "continue",
                        "reverse-continue", "print amount", "reverse-continue", "reverse-continue",
                        "reverse-continue")
        self.assertEqual(out[4].split("= ")[1], out[7].split("= ")[1])
        for i in (6, 8, 9):
            self.assertIn("fee_for (amount=", out[i])
        self.assertIn(HISTORY_ENDS, out[10])

    def test_watchpoint_backwards_shows_the_value_before(self):
        out = self.past("break ledger_audit", "continue", "watch tellers[0].customers", "reverse-continue",
                        "print tellers[0].customers", "continue", "rwatch ledger.opening", "reverse-continue")
        old, new = map(int, re.search(r"Old value = (\d+)\nNew value = (\d+)", out[3]).groups())
        self.assertEqual(old, new + 1)
        self.assertEqual(out[4], f"$1 = {new}")
        self.assertIn("customers++", out[3])
        self.assertIn(f"Old value = {new}\nNew value = {old}", out[5])
        self.assertIn("watchpoint", out[7])

    def test_icount_in_conditions(self):
        out = self.past("set breakpoint condition-evaluation target", "info line post",
                        "break post if $icount > 4000000",
                        "continue", "print $icount > 4000000 && $icount < 4010000", "reverse-continue", "delete",
                        "break post if $icount < 3000000", "continue", "reverse-continue",
                        "print $icount < 3000000 && $icount > 2990000", "print $vns > $icount", "info breakpoints")
        self.assertEqual(out[4], "$1 = 1")
        self.assertIn(HISTORY_ENDS, out[5])
        self.assertIn("post (teller=", out[3])

    def test_tick_handler_is_a_place(self):
        out = self.past("monitor seek 9000000", "maintenance flush register-cache", "break *(trap_stubs + 32 * 16)",
                        "reverse-continue", "monitor when", "reverse-continue", "monitor when", "reverse-stepi",
                        "monitor when", "print $rip == (long)trap_stubs + 32 * 16", "stepi", "monitor when",
                        "continue",
                        "monitor when")
        self.assertIn("Breakpoint 1, trap_stubs ()", out[3])
        whens = [re.match(r"instruction ([\d,]+(?:\+\d+)?) of ", out[i]).group(1) for i in (4, 6, 8, 11, 13)]
        self.assertRegex(whens[0], r"\+1$")
        self.assertRegex(whens[1], r"\+1$")
        self.assertEqual(whens[2] + "+1", whens[1])
        self.assertEqual(out[9], "$1 = 0")
        self.assertEqual(whens[3], whens[1])
        self.assertEqual(whens[4], whens[0])


class Ends(Recorded):
    def test_gdb_is_told_of_both_ends_and_stays(self):
        server = self.replay()
        out = self.gdb(server, "reverse-stepi", "reverse-continue", "continue", "continue", "stepi",
                       "info registers rip",
                       "reverse-stepi", "stepi", "stepi", "reverse-continue", "info threads", symbols=SWITCH)
        for i in (0, 1, 2, 3, 4, 8, 9):
            self.assertIn(HISTORY_ENDS, out[i])
        self.assertNotIn("exited", out.text)
        self.assertNotIn(HISTORY_ENDS, out[6] + out[7])
        self.assertIn("CPU 0", out[10])
        self.assertTrue(server.alive())

    def test_replies_at_both_ends(self):
        client = self.attached()
        for how in ("bs", "bc", "bs"):
            self.assertEqual(client.resume(how).reasons, {"replaylog": "begin"})
            self.assertEqual(client.when(), (0, 0))
        for how in ("c", "s", "vCont;c", "vCont;s:1", "vCont;r0,ffffffffffff:1"):
            stop = client.resume(how)
            self.assertEqual((stop.kind, stop.reasons), ("T", {"replaylog": "end"}))
        end = client.when()
        self.assertEqual(client.resume("bs").reasons, {})
        self.assertLess(client.when(), end)
        self.assertEqual(client.resume("s").reasons, {})
        self.assertEqual(client.when(), end)

    def test_restart_goes_to_the_beginning(self):
        server = self.replay()
        client = self.client(server)
        client.resume("c")
        self.assertEqual(client.demand("vRun;")[:1], "T")
        self.assertEqual(client.when(), (0, 0))

    def test_until_opens_there(self):
        client = self.attached("--until", "100,000")
        self.assertEqual(client.when(), (100000, 0))
        client.resume("bs")
        self.assertEqual(client.when(), (99999, 0))
        client.resume("c")
        self.assertGreater(client.when(), (200000, 0))

    def test_next_client_finds_it_where_the_last_one_left_it(self):
        server = self.replay()
        with server.client() as client:
            client.monitor("seek 5000")
            client.demand("D")
        with server.client() as client:
            self.assertEqual(client.when(), (5000, 0))
        with server.client() as client:
            self.assertEqual(client.when(), (5000, 0))
            client.send_packet("k")
        self.assertEqual(server.wait(), 0)

    def test_output_appears_once_however_often_it_is_passed(self):
        server = self.serve("replay", self.trace)
        client = self.client(server)
        for _ in range(3):
            client.resume("c")
            client.resume("bc")
            client.monitor("seek 100000")
        client.resume("c")
        client.send_packet("k")
        server.wait()
        self.assertEqual(server.out.data, b"p" + b"rpPLcLPp" * 3 + b"\n")


class Hits(Recorded):
    """What stops a run forwards stops it backwards, at the same places, in the other order."""

    def stops(self, client, how, end):
        found = []
        while end not in (stop := client.resume(how)).reasons.get("replaylog", ""):
            found.append((client.when(), stop.registers[16], tuple(stop.reasons.items())))
            self.assertLess(len(found), 2000)
        return found

    def both(self, *points):
        client = self.attached()
        for kind, address, length in points:
            client.insert(kind, address, length)
        forward = self.stops(client, "c", "end")
        backward = self.stops(client, "bc", "begin")
        return forward, backward[::-1]

    def test_breakpoints_in_each_mode_and_handlers(self):
        for names in (("work_real",), ("real_far", "pm16_multiply"), ("fibonacci", "compat_subtract", "long_add"),
                      ("tick_real", "tick_pm16", "tick_pm32", "tick_long"), ("start", "finish"), ("leave_long",)):
            with self.subTest(names):
                forward, backward = self.both(*[(0, self.symbols[name], 1) for name in names])
                if "start" in names:
                    backward = backward[1:] # forwards, it starts at that one
                self.assertEqual(forward, backward)
                self.assertGreaterEqual(len(forward), 1)

    def test_interrupts_are_entered_as_often_as_recorded(self):
        forward, _ = self.both(*[(1, self.symbols[f"tick_{mode}"], 1) for mode in ("real", "pm16", "pm32", "long")])
        recorded = re.findall(r"^ *(\d+) interrupt", self.dump(self.trace), re.M)
        self.assertEqual([when for when, _, _ in forward], [(int(icount), 1) for icount in recorded])

    def test_watchpoints(self):
        """Forwards after the store, backwards before it."""
        for kind, name, length in ((2, "sum_real", 2), (2, "sum_compat", 4), (2, "ticks_real", 12), (4, "sum_pm32",
                                                                                                     8),
                                   (3, "fib_other", 4), (2, "copy", 48), (3, "pattern", 7), (2, "idt16", 4096)):
            with self.subTest(name=name, kind=kind):
                forward, backward = self.both((kind, self.symbols[name], length))
                self.assertGreater(len(forward), 2)
                self.assertEqual([(when[0] - 1, reasons) for when, _, reasons in forward],
                                 [(when[0], reasons) for when, _, reasons in backward])

    def test_store_by_the_entry_into_a_handler(self):
        """The frame that an interrupt pushes: forwards at the handler's first instruction, backwards before it."""
        stack = 0x1ffe0
        client = self.attached()
        client.insert(1, self.symbols["tick_long"])
        client.resume("c")
        entered = client.when()
        self.assertEqual(entered[1], 1)
        frame = client.register("rsp")
        client.remove(1, self.symbols["tick_long"])
        client.insert(2, frame, 40)
        client.resume("bc")
        self.assertEqual(client.when(), (entered[0], 0))
        stop = client.resume("c")
        self.assertEqual((client.when(), list(stop.reasons)), (entered, ["watch"]))
        self.assertLess(abs(frame - stack), 0x100)

    def test_all_at_once(self):
        points = [(1, self.symbols[name], 1) for name in ("tick_real", "work_long", "leave_real")]
        points += [(2, self.symbols["sum_pm16"], 2), (2, self.symbols["count_long"], 3)]
        forward, backward = self.both(*points)
        self.assertEqual([(when[0] - ("watch" in dict(reasons)), reasons) for when, _, reasons in forward],
                         [(when[0], reasons) for when, _, reasons in backward])

    def test_conditions_backwards(self):
        """Agent expressions: the low byte of RCX is 3 (reg 2, const8 ff, bit-and, const8 3, equal, end)."""
        code = bytes((0x26, 0, 2, 0x22, 0xff, 0x0f, 0x22, 3, 0x13, 0x27))
        client = self.attached()
        client.insert(0, self.symbols["long_add"], 1, f";X{len(code):x},{code.hex()}")
        forward = self.stops(client, "c", "end")
        backward = self.stops(client, "bc", "begin")
        self.assertEqual(len(forward), 6)
        self.assertEqual(forward, backward[::-1])


class Steps(Recorded):
    def test_steps_back_are_steps_forward_reversed(self):
        client = self.attached()
        for name in ("leave_real", "enter_long", "tick_long", "tick_real", "work_compat"):
            client.monitor("seek begin")
            client.insert(1, self.symbols[name])
            client.resume("c")
            client.remove(1, self.symbols[name])
            for _ in range(30):
                client.resume("bs")
            states = []
            for _ in range(60):
                states.append((client.when(), client.demand("g"), client.digest()))
                client.resume("s")
            for state in reversed(states):
                client.resume("bs")
                self.assertEqual((client.when(), client.demand("g"), client.digest()), state)

    def test_entry_into_a_handler_is_a_step(self):
        client = self.attached()
        client.insert(1, self.symbols["tick_pm32"])
        client.resume("c")
        icount, entries = client.when()
        self.assertEqual(entries, 1)
        client.resume("bs")
        self.assertEqual(client.when(), (icount, 0))
        self.assertNotEqual(client.register("rip"), self.symbols["tick_pm32"])
        client.resume("s")
        self.assertEqual(client.when(), (icount, 1))
        self.assertEqual(client.register("rip"), self.symbols["tick_pm32"])
        client.resume("s")
        self.assertEqual(client.when(), (icount + 1, 0))

    def test_iterations_of_rep_are_steps_backwards_too(self):
        client = self.attached()
        client.insert(2, self.symbols["copy"] + 20, 1)
        client.resume("c")
        client.remove(2, self.symbols["copy"] + 20, 1)
        counts = []
        for _ in range(10):
            counts.append(client.register("rcx"))
            client.resume("bs")
        self.assertEqual(counts, list(range(counts[0], counts[0] + 10)))


class Monitor(Recorded):
    def test_when_and_seek(self):
        client = self.attached()
        for command, expected in (("seek 12,345", (12345, 0)), ("seek +10", (12355, 0)), ("seek -55", (12300, 0)),
                                  ("seek 0x1000", (4096, 0)), ("seek begin", (0, 0)), ("seek -1", (0, 0)),
                                  ("seek 3809+1", (3809, 1))):
            self.assertIn("instruction ", client.monitor(command))
            self.assertEqual(client.when(), expected, command)
        self.assertIn("the end of the recording", client.monitor("seek end"))
        end = client.when()
        self.assertIn("the end of the recording", client.monitor("seek 99999999999"))
        self.assertEqual(client.when(), end)
        self.assertRegex(client.monitor("when"),
                         rf"^instruction {end[0]:,} of {end[0]:,}, 0\.\d{{9}} s, RIP [0-9a-f]+")
        for bad in ("seek", "seek x", "seek 1 2", "seek +", "seek 1++2"):
            self.assertIn("takes", client.monitor(bad))
            self.assertEqual(client.when(), end)

    def test_checkpoints(self):
        client = self.attached()
        client.monitor("seek 100000")
        self.assertIn("checkpoint left at instruction 100,000", client.monitor("checkpoint"))
        self.assertRegex(client.monitor("checkpoints"), r"(?m)^\d+ checkpoints, .*\n(.*\n)*. +100,000  \d+ pages$")
        self.assertEqual(client.monitor("info checkpoints"), client.monitor("checkpoints"))
        for place in ("3809+1", "end"):
            client.monitor("seek " + place)
            self.assertIn("no checkpoint", client.monitor("checkpoint"))

    def test_checkpoints_near_the_end_do_not_hide_it(self):
        client = self.attached()
        client.monitor("seek end")
        end = client.when()[0]
        for distance in (0, 1, 2):
            client.monitor(f"seek {end - distance}")
            client.monitor("checkpoint")
        for way in ("seek 100", "seek begin"):
            for to in ("end", str(end), str(end - 1)):
                client.monitor(way)
                client.monitor("seek " + to)
                self.assertEqual(client.resume("c").reasons, {"replaylog": "end"})
                self.assertEqual((client.when(), client.console), ((end, 0), ""))

    def test_events(self):
        client = self.attached()
        recorded = re.findall(r"^ *(\d+) interrupt", self.dump(self.trace), re.M)
        shown = re.findall(r"([\d,]+)  interrupt 32 \(pic\)", client.monitor("events 0 1000"))
        self.assertEqual([text.replace(",", "") for text in shown], recorded)
        client.monitor("seek 100000")
        around = client.monitor("events").splitlines()
        self.assertTrue(any(line.startswith(">") for line in around))
        self.assertTrue(any(line.startswith(" ") for line in around))
        self.assertEqual(len(client.monitor("events 5000 3").splitlines()), 3)
        self.assertIn("end (poweroff)", client.monitor("events 247,048"))
        self.assertEqual(client.monitor("events 999999999"), "none\n")

    def test_info(self):
        client = self.attached()
        client.insert(1, self.symbols["work_long"])
        client.resume("c")
        self.assertIn("64-bit", client.monitor("info cpu"))
        self.assertRegex(client.monitor("info registers"), rf"(?m)^rip +{self.symbols['work_long']:016x}$")
        self.assertRegex(client.monitor("info tlb"), r"0{16}: 0{10} swx.* 2M")
        self.assertRegex(client.monitor("info mem"), r"0{16}-0+200000 +2048 KiB swx")
        for topic in ("pic", "apic", "pit", "devices", "devices i8254"):
            self.assertGreater(len(client.monitor("info " + topic).splitlines()), 2, topic)
        self.assertEqual(len(client.monitor("screen").splitlines()), 25)
        self.assertEqual(client.monitor("info screen"), client.monitor("screen"))
        self.assertIn("info takes", client.monitor("info"))
        self.assertIn("info takes", client.monitor("info nothing"))

    def test_help_lists_every_command_and_nothing_else_is_one(self):
        client = self.attached()
        names = re.findall(r"^(\S+) ", client.monitor("help"), re.M)
        self.assertLessEqual({"when", "seek", "checkpoint", "checkpoints", "last-write", "events", "info", "xp", "x",
                              "screen", "digest", "help"}, set(names))
        self.assertIn("is no monitor command", client.monitor("nonsense"))
        self.assertEqual(client.monitor(""), client.monitor("help"))
        self.assertIn("instruction 0", client.monitor("wh")) # abbreviated

    def test_last_write(self):
        client = self.attached()
        client.monitor("seek end")
        address = self.symbols["sum_compat"]
        text = client.monitor(f"last-write {address:#x},4")
        self.assertIn(f"stores 4 bytes at phys:{address:x}", text)
        self.assertEqual(client.register("rip"), self.symbols["compat_subtract"])
        value = int.from_bytes(client.read(address, 4), "little")
        self.assertEqual(value, 100000 - 12 * 7 * 3 + 7) # the last subtraction is still to come
        for _ in range(12 * 3 - 1):
            client.monitor(f"last-write phys:{address:#x},4")
        self.assertEqual(int.from_bytes(client.read(address, 4), "little"), 100000)
        self.assertIn("nothing in the recording writes there before", client.monitor(f"last-write {address:#x},4"))
        self.assertEqual(client.when(), (0, 0))
        self.assertIn("is not RAM", client.monitor("last-write 0xfffffffff0000000"))
        self.assertIn("takes an address", client.monitor("last-write"))

    def test_digest_is_that_of_the_recording(self):
        client = self.attached()
        recorded = re.findall(r"^ *(\d+) (?:digest +|end .*digest )([0-9a-f]{16})", self.dump(self.trace), re.M)
        self.assertGreaterEqual(len(recorded), 2)
        for icount, digest in recorded:
            client.monitor(f"seek {icount}")
            self.assertEqual(client.digest(), digest, icount)

    def test_looking_changes_nothing(self):
        client = self.attached()
        for place in ("30000", "3809+1", "100000", "end"):
            client.monitor("seek " + place)
            before = client.digest()
            for command in ("when", "info cpu", "info tlb", "info mem", "info devices", "info pit", "screen",
                            "events",
                            "checkpoints", "x /64 0x10000", "xp /64 0xb8000", "xp /64 0xfee00000"):
                client.monitor(command)
            client.read(0x10000, 0x1000)
            client.demand("g")
            self.assertEqual(client.digest(), before)


class Branches(Recorded):
    """Changing the past: a branch, which nothing remembers."""

    def test_changes_begin_a_branch_and_every_way_back_leaves_it(self):
        client = self.attached()
        for back in ("bs", "bc", "seek 60000", "seek end", "seek -1", "last-write phys:0x106d8,4"):
            for change in ("register", "memory"):
                with self.subTest(back=back, change=change):
                    client.monitor("seek 60000")
                    before = client.digest()
                    self.assertNotIn("branch", client.monitor("when"))
                    if change == "register":
                        self.assertEqual(client.set_register("rbp", 0x4711), "OK")
                    else:
                        self.assertEqual(client.write(self.symbols["copy"], b"changed"), "OK")
                    self.assertIn("in a branch", client.monitor("when"))
                    self.assertNotEqual(client.digest(), before)
                    for _ in range(5):
                        client.resume("s")
                    self.assertIn("from instruction 60,000 on", client.monitor("when"))
                    if back.startswith("b"):
                        client.resume(back)
                    else:
                        client.monitor(back)
                    self.assertNotIn("branch", client.monitor("when"))
                    client.monitor("seek 60000")
                    self.assertEqual(client.digest(), before)

    def test_branch_runs_to_another_end(self):
        client = self.attached()
        client.insert(1, self.symbols["work_compat"])
        client.resume("c")
        self.assertEqual(client.write(self.symbols["sum_compat"], b"\0\0\0\0"), "OK")
        client.remove(1, self.symbols["work_compat"])
        client.insert(1, self.symbols["failed"])
        self.assertEqual(client.resume("c").reasons, {"hwbreak": ""})
        client.remove(1, self.symbols["failed"])
        stop = client.resume("c")
        self.assertEqual((stop.kind, stop.reasons), ("T", {}))
        self.assertIn("the guest has ended", client.console)
        client.resume("bc") # back in the recorded run, before the branch
        self.assertEqual(client.when(), (0, 0))
        client.insert(1, self.symbols["failed"])
        self.assertEqual(client.resume("c").reasons, {"replaylog": "end"}) # in which it never failed

    def test_gdb_calls_a_function_of_the_guest(self):
        out = self.past("break work_long", "continue", "monitor digest", "set $before = *(long *)&count_long",
                        "call (void)work_long()", "print *(long *)&count_long - $before", "monitor when",
                        "monitor seek 100000", "maintenance flush register-cache", "break work_long",
                        "reverse-continue",
                        "monitor seek begin", "maintenance flush register-cache", "continue", "monitor digest",
                        "print *(long *)&count_long")
        self.assertIn("is a branch, live and unrecorded", out[4])
        self.assertEqual(out[5], "$1 = 1")
        self.assertIn("in a branch", out[6])
        self.assertEqual(out[2], out[14])
        self.assertEqual(out[15], "$2 = 0")

    def test_registers_that_cannot_be_written_begin_no_branch(self):
        client = self.attached()
        client.monitor("seek 50000")
        self.assertRegex(client.set_register("icount", 1), "^E")
        self.assertNotIn("branch", client.monitor("when"))
        client.set_register("rbx", 1)
        self.assertEqual(client.set_register("icount", 1), "OK") # gdb does so after a call
        self.assertEqual(client.register("icount"), 50000)

    def test_stepping_back_from_a_branch_is_stepping_back_from_where_it_began(self):
        client = self.attached()
        client.monitor("seek 50000")
        client.set_register("rbx", 1)
        client.resume("s")
        client.resume("s")
        client.resume("bs")
        self.assertEqual(client.when(), (49999, 0))


class DemoBranches(DemoRecorded):
    def test_repaired_guest_goes_on(self):
        """What if the balance had been right: set it before the audit, and the demo does not panic there."""
        out = self.debug("tbreak ledger_audit", "reverse-continue",
                         "set var ledger.balance = ledger.opening + tellers[0].net + tellers[1].net",
                         "tbreak panic", "tbreak ledger_audit", "continue", "print $_", "monitor when",
                         "print ledger",
                         "deja-seek end", "backtrace")
        self.assertIn("ledger_audit", out[1])
        self.assertIn("ledger_audit", out[5]) # the next day's
        self.assertIn("in a branch", out[7])
        self.assertIn("panic", out[10])

    def test_function_of_the_guest_is_called(self):
        out = self.debug("tbreak fee_for", "reverse-continue", "monitor digest", "print fee_for(12345)",
                         "print thread_name()", "call ledger_post(&tellers[1], 100)", "monitor when",
                         "deja-seek end", "delete", "tbreak fee_for", "reverse-continue", "monitor digest")
        self.assertIn("fee_for (amount=", out[1])
        self.assertRegex(out[3], r"is a branch, live and unrecorded, .*\n\$1 = 5$")
        self.assertRegex(out[4], '"(alice|bob)"')
        self.assertIn("in a branch", out[6])
        self.assertEqual(out[11], out[2])


class Walks(Recorded):
    """Random operations: the machine is at each moment in the one state that it has there."""

    OPERATIONS = int(os.environ.get("DEJA_TEST_OPERATIONS", "400"))

    def walk(self, seed):
        self.random = random.Random(seed)
        self.client_ = client = self.attached()
        client.start_no_ack()
        self.points = []
        client.monitor("seek end")
        self.length = client.when()[0]
        self.seen = {}
        self.log = []
        self.note()
        for _ in range(self.OPERATIONS):
            self.operate()
            self.note()
        self.check_straight()

    def do(self, what, function, *args):
        self.log.append(what)
        return function(*args)

    def note(self):
        client = self.client_
        if "branch" in client.monitor("when"):
            return
        when, digest = client.when(), client.digest()
        self.log.append(f"  at {when}")
        self.assertEqual(self.seen.setdefault(when, digest), digest,
                         f"at {when}, after:\n" + "\n".join(self.log[-30:]))

    def random_point(self):
        pick = self.random
        names = [name for name, a in self.symbols.items() if name[0] not in "._" and a >= self.symbols[self.FIRST]]
        address = self.symbols[pick.choice(names)]
        kind = pick.randrange(5)
        if kind < 2:
            return kind, self.symbols[pick.choice(self.CODE)], 1
        return kind, address + pick.choice((0, 0, 0, 1, 3)), pick.choice((1, 2, 3, 4, 8, 12, 100))

    FIRST = "gdt"
    CODE = ("work_real", "tick_real", "tick_long", "tick_pm32", "long_add", "fibonacci", "compat_subtract",
            "leave_pm16",
            "real_far", "pm16_multiply", "enter_compat", "leave_long")

    def change_points(self):
        client, pick = self.client_, self.random
        for point in self.points:
            client.remove(*point)
        self.points = list({self.random_point() for _ in range(pick.randrange(4))})
        for point in self.points:
            client.insert(*point)
        self.log.append(f"points {self.points}")

    def resume(self, how):
        self.do(how, self.client_.start, how)
        if self.in_branch and how != "bc":
            return self.client_.interrupt() # it may run for ever
        return self.client_.stop()

    def run_some(self, how):
        self.change_points()
        before = self.client_.when()
        stop = self.resume(how)
        after = self.client_.when()
        self.assertEqual(stop.kind, "T")
        if how == "c":
            self.assertGreaterEqual(after, before)
        elif not self.in_branch:
            self.assertLessEqual(after, before)

    def operate(self):
        client, pick = self.client_, self.random
        self.in_branch = "branch" in client.monitor("when")
        what = pick.choices(("s", "bs", "r", "c", "bc", "seek", "near", "last", "branch", "checkpoint"),
                            (4, 6, 2, 3, 4, 3, 3, 1, 1, 1))[0]
        if what in ("s", "bs"):
            for _ in range(pick.choice((1, 1, 2, 5, 20))):
                self.do(what, client.resume, what)
        elif what == "r":
            pc = client.register("rip")
            self.resume(f"vCont;r{pc:x},{pc + pick.choice((1, 8, 20)):x}:1")
        elif what in ("c", "bc"):
            self.run_some(what)
        elif what == "seek":
            to = pick.choice((pick.randrange(self.length + 1), pick.randrange(self.length + 1), 0, self.length))
            self.do(f"seek {to}", client.monitor, f"seek {to}+{pick.choice((0, 0, 1))}")
        elif what == "near":
            by = pick.choice("+-") + str(pick.randrange(int(10 ** pick.uniform(0, 5)) + 1))
            self.do(f"seek {by}", client.monitor, f"seek {by}")
        elif what == "last":
            name = pick.choice(self.DATA)
            self.do(f"last-write {name}", client.monitor, f"last-write phys:{self.symbols[name]:#x},4")
        elif what == "branch":
            self.do("write rbp", client.set_register, "rbp", pick.getrandbits(40))
            for _ in range(pick.randrange(4)):
                self.do("s", client.resume, "s")
        else:
            self.do("checkpoint", client.monitor, "checkpoint")

    DATA = ("sum_real", "sum_pm16", "sum_pm32", "sum_long", "sum_compat", "ticks_real", "copy", "round")

    def check_straight(self):
        fresh = self.attached()
        fresh.start_no_ack()
        for when, digest in sorted(self.seen.items()):
            fresh.monitor(f"seek {when[0]}+{when[1]}")
            if (fresh.when(), fresh.digest()) != (when, digest):
                first = self.log.index(f"  at {when}")
                self.fail(f"{fresh.when()} {fresh.digest()} is not {when} {digest}, reached by:\n" +
                          "\n".join(self.log[max(0, first - 30):first + 3]))

    def test_random_operations(self):
        self.walk(self.new_seed())

    @staticmethod
    def new_seed():
        seed = int(os.environ.get("DEJA_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
        print(f"DEJA_TEST_SEED={seed}", flush=True)
        return seed

    def test_random_operations_of_known_seeds(self):
        for seed in (1, 2):
            self.walk(seed)


class ResetWalks(Walks):
    """The same with typed input and with resets of the machine."""

    TYPED = b"one\ntwoR" * 4 + b"Q"
    SYMBOLS = None
    FIRST = "0x100020"
    CODE = DATA = tuple(f"{address:#x}" for address in range(0x100020, 0x100180))

    @classmethod
    def setUpClass(cls):
        cls.ARGS = ("-kernel", common.echo_guest())
        super().setUpClass()
        cls.symbols = {name: int(name, 16) for name in cls.CODE}

    def test_resets_are_places(self):
        client = self.attached()
        client.insert(1, 0x100020)
        starts = []
        while client.resume("c").reasons == {"hwbreak": ""}:
            starts.append(client.when())
        self.assertEqual(len(starts), 4) # at the first it was already
        back = []
        while client.resume("bc").reasons == {"hwbreak": ""}:
            back.append(client.when())
        self.assertEqual(back[:4], starts[::-1])
        client.monitor(f"seek {starts[1][0]}+{starts[1][1]}")
        client.resume("bs")
        self.assertLess(client.when(), starts[1])
        client.resume("s")
        self.assertEqual(client.when(), starts[1])


class DemoWalks(DemoRecorded, Walks):
    """The same over millions of instructions, with checkpoints to spare and without."""

    FIRST = "ledger"
    CODE = ("panic", "ledger_audit", "schedule", "on_tick", "trap_common", "switch_stack", "thread_sleep_until")
    DATA = ("ledger", "tellers", "ticks", "current", "days_served", "threads")
    OPERATIONS = Walks.OPERATIONS
    checkpoint_memory = None

    def attached(self, *more):
        return super().attached(*more, *(("--checkpoint-mem",
                                          self.checkpoint_memory) if self.checkpoint_memory else ()))

    def test_random_operations_with_little_memory(self):
        self.checkpoint_memory = "1M"
        self.walk(self.new_seed())


if __name__ == "__main__":
    gdb_client.main()
