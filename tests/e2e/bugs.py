# SPDX-License-Identifier: MIT
"""What the tests of hunts for known bugs share: each step from a hunt to the culprit, as a user would take it.

Whether the right place was named is judged by the symbols of the guest's ELF, never by numbers of instructions: those are
the compiler's.
"""
import json
import os
import subprocess

from common import Case, deja


class Symbols:
    """Functions and variables of an ELF, by name: their addresses, [begin, end)."""

    def __init__(self, elf):
        self.ranges = {}
        listing = subprocess.run(["nm", "--defined-only", "-S", elf], capture_output=True, text=True, check=True).stdout
        for address, size, _, name in (line.split() for line in listing.splitlines() if len(line.split()) == 4):
            self.ranges[name] = (int(address, 16), int(address, 16) + int(size, 16))

    def address(self, name):
        return self.ranges[name][0]

    def function_at(self, address):
        return next((name for name, (begin, end) in self.ranges.items() if begin <= address < end), hex(address))


class BugCase(Case):
    """A guest with a bug: what differs from one to the next."""

    ELF = ""        # holds its symbols
    MACHINE = []    # options that boot it
    HUNT = []       # further ones of the hunt
    FAILURE = []    # what a failure is; by default, that it ends badly
    SEED = 1
    RUNS = 0        # within so many the hunt must find it
    SAYS = ""       # what a failing run prints, and its site says: a pattern

    def setUp(self):
        super().setUp()
        self.symbols = Symbols(self.ELF)

    # --- the steps ---

    def command(self, *args):
        run = deja(*args, stdin=None)
        self.assertStatus(run, 0)
        return run.stdout.decode()

    def json(self, *args):
        return json.loads(self.command(*args, "--json"))

    def hunt(self):
        """A recording of a run that does not fail, and of one that does."""
        folder = self.path("hunt")
        outcome = self.json("hunt", "--runs", str(self.RUNS), "--stop-after", "1", "--seed", str(self.SEED), "-o", folder,
                            *self.HUNT, *self.FAILURE, *self.MACHINE)
        self.assertEqual((outcome["failed"], outcome["unperturbed"]["failed"]), (1, False))
        site, = outcome["sites"]
        self.assertRegex(site["site"], self.SAYS)
        bad = os.path.join(folder, site["traces"][0])
        self.assertFailsAsItShould(bad)
        return os.path.join(folder, outcome["unperturbed"]["trace"]), bad

    def minimize(self, bad):
        least = self.path("min.deja")
        answer = self.json("minimize", bad, *self.FAILURE, "-o", least)
        self.assertFailsAsItShould(least)
        self.assertEqual(len(answer["what_is_left"]), answer["events"])
        self.assertTrue(answer["events"] < answer["events_before"] or answer["events"] == 0, answer)
        return answer

    def bisect(self, good, bad):
        """The answer, and the recording that it leaves: the good run with nothing but what makes the difference."""
        least = self.path("bisected.deja")
        answer = self.json("bisect", "--good", good, "--bad", bad, *self.FAILURE, "-o", least)
        self.assertFailsAsItShould(least)
        return answer, least

    def find(self, trace, *args):
        return [json.loads(line) for line in self.command("find", trace, "--json", *args).splitlines()]

    def calls(self, trace, function, until):
        """When that function was called, and when it returned: pairs of numbers of instructions."""
        begins, calls = {}, []
        for line in self.command("trace", trace, "--json", "--functions", function, "--between", f"0..{until}").splitlines():
            record = json.loads(line)
            if record["type"] == "call":
                begins[record["id"]] = record["icount"]
            elif record["type"] == "return" and "unfinished" not in record and "lost" not in record:
                calls.append((begins.pop(record["id"]), record["icount"]))
        return sorted(calls + [(begin, until) for begin in begins.values()])

    def calls_around(self, trace, function, icount, until):
        return [c for c in self.calls(trace, function, until) if c[0] < icount < c[1]]

    # --- what they must come to ---

    def assertFailsAsItShould(self, trace):
        self.assertRegex(self.assertExactReplay(trace).decode(), self.SAYS)

    def assertBy(self, hit, *functions):
        """The instruction that a hit of find is about belongs to one of these."""
        self.assertIn(self.symbols.function_at(int(hit["rip"], 0)), functions, hit)

    def lost_update(self, function, variable):
        """From the hunt to the culprit where one interrupt makes the difference, which strikes while `function` has read
        the variable and has not yet written it back: the read, and the writes from then on to the function's end."""
        good, bad = self.hunt()
        self.assertEqual(self.minimize(bad)["events"], 1)
        answer, least = self.bisect(good, bad)
        self.assertEqual(len(answer["changes"]), 1)
        struck = answer["interrupt"]["icount"]
        begin = self.symbols.address(function)
        (called, returned), = self.calls_around(least, f"{begin:#x}", struck, answer["fails_at"])
        read = self.find(least, "--reads", variable, "--between", f"{called}..{struck}", "--last")[0]
        writes = self.find(least, "--writes", variable, "--between", f"{struck}..{returned}")
        self.assertBy(read, function)
        self.assertBy(writes[-1], function)
        self.assertGreater(len(writes), 1, "nobody else has written it")
        self.assertNotEqual(int(writes[-1]["before"], 0), int(read["value"], 0))
        return read, writes


def built(name):
    """A guest of tests/guests/bugs."""
    return os.path.join(os.environ["DEJA_TEST_BUGS"], "bug_" + name)
