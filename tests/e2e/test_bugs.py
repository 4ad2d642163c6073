#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a hunt to the culprit, for the demo and the kernels of tests/guests/bugs: docs/hunting.md goes the same way.

Each bug is to be found within RUNS runs; then minimize, bisect and find must name what the source of the guest says that
it is.
"""
import os

import common
from bugs import BugCase, built


class Demo(BugCase):
    """A read and a write of the balance, and another teller in between."""

    ELF = os.environ["DEJA_TEST_DEMO"]
    MACHINE = ["-append", "days=2"]
    RUNS = 40
    SAYS = "PANIC: ledger is off by "

    def test_to_the_culprit(self):
        self.lost_update("post", "ledger,8")


class Fifo(BugCase):
    """A handler's increment between the main line's read and its write."""

    ELF = built("fifo.elf")
    MACHINE = ["-kernel", ELF]
    SEED = 10 # strikes in filter(), which is called from everywhere
    RUNS = 40
    SAYS = "PANIC: BUG: the FIFO says that .+ samples wait, but .+ do"

    def test_to_the_culprit(self):
        _, writes = self.lost_update("fifo_drop_weak", "fifo_level,4")
        self.assertBy(writes[0], "fifo_add")


class Uaf(BugCase):
    """An answer that is stored into a request which was given back, and is a letter by then."""

    ELF = built("uaf.elf")
    MACHINE = ["-kernel", ELF]
    RUNS = 40
    SAYS = "PANIC: BUG: letter .+ is damaged"

    def test_to_the_culprit(self):
        good, bad = self.hunt()
        self.minimize(bad)
        answer, least = self.bisect(good, bad)
        # All that matters happens while one request is served.
        moments = [c["icount"] for c in answer["changes"]] + [answer["interrupt"]["icount"]]
        call, = self.calls_around(least, "request_serve", moments[0], answer["fails_at"])
        for moment in moments:
            self.assertTrue(call[0] < moment < call[1], (call, answer))
        letter = self.find(least, "--writes", "damaged_letter,8", "--last")[0]["after"]
        stores = self.find(least, "--writes", letter + ",64", "--between", f"{call[0]}..end")
        self.assertBy(stores[-1], "request_serve")
        self.assertTrue(max(moments) < stores[-1]["icount"] < call[1], (call, stores[-1]))
        self.assertEqual(["object_free", "letter_write"], [f for f in self.storing(stores[:-1]) if f != "object_alloc"])

    def storing(self, hits):
        """The functions, each once in a row."""
        names = [self.symbols.function_at(int(h["rip"], 0)) for h in hits]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


class Nest(BugCase):
    """Ticks on top of ticks, until the stack is used up."""

    ELF = built("nest.elf")
    MACHINE = ["-kernel", ELF]
    RUNS = 40
    SAYS = "PANIC: BUG: the interrupt stack was overrun"
    ROOM = 3
    STACK_END = 8 + 512 * 8 # in struct per_cpu

    def test_to_the_culprit(self):
        good, bad = self.hunt()
        self.minimize(bad)
        answer, least = self.bisect(good, bad)
        end = answer["fails_at"]
        # What makes the difference are ticks that come while the handler works on the one before.
        for change in answer["changes"]:
            self.assertTrue(self.calls_around(least, "keep_record", change["icount"], end), change)
        self.assertTrue(self.calls_around(least, "keep_record", answer["interrupt"]["icount"], end), answer)
        # Nobody may ever write there; who does, does it on top of all that there is room for.
        culprit = self.find(least, "--writes", f"per_cpu+{self.STACK_END:#x},8", "--first")[0]
        self.assertEqual(int(culprit["before"], 0), 0x57ac6e9d57ac6e9d)
        self.assertBy(culprit, "write_record", "keep_record", "on_tick", "on_interrupt", "irq_dispatch", "trap_dispatch",
                      "trap_common", "trap_stubs")
        self.assertGreaterEqual(len(self.calls_around(least, "keep_record", culprit["icount"], end)), self.ROOM)


class Salt(BugCase):
    """A stack slot that nobody has written, with one seed of the machine in some dozens."""

    ELF = built("salt.elf")
    MACHINE = ["-kernel", ELF]
    HUNT = ["--vary-seed"]
    RUNS = 500
    SAYS = "PANIC: BUG: the route to .+ leads to port "

    def test_to_the_culprit(self):
        good, bad = self.hunt()
        self.assertEqual(self.minimize(bad)["events"], 0) # no timing is needed
        answer, least = self.bisect(good, bad)
        self.assertEqual([c["what"] for c in answer["changes"]], ["the machine's seed"])
        route = self.find(least, "--writes", "bad_route,8", "--last")[0]
        read = self.find(least, "--reads", route["after"] + ",4", "--between", f"0..{route['icount']}", "--last")[0]
        self.assertBy(read, "packet_send")
        stale = self.find(least, "--writes", route["after"] + ",4", "--between", f"0..{read['icount']}", "--last")[0]
        self.assertBy(stale, "packet_make")
        self.assertEqual(int(stale["after"], 0) & 0xffffffff, int(read["value"], 0) & 0xffffffff)


if __name__ == "__main__":
    common.main()
