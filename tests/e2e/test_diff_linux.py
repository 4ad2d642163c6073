#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recordings of a stock kernel compared: a typed byte, and a word of the command line."""
import json

import common
from common import Case, deja, linux


class Stock(Case):
    def record(self, name, typed, words=""):
        trace = self.path(name)
        result = deja("record", "-o", trace, *linux("cloud", f"guest.poweroff {words}", seed=1), stdin=typed)
        self.assertStatus(result, 0)
        return trace

    def diff(self, a, b, *options):
        result = deja("diff", a, b, "--json", *options, stdin=None)
        self.assertEqual((result.returncode, result.stderr), (1, b""))
        return json.loads(result.stdout)

    def test_a_byte(self):
        d = self.diff(self.record("a", b"hello\n"), self.record("b", b"hallo\n"), "--after", "10000000")
        self.assertEqual((d["inputs"]["relation"], d["inputs"]["same"]), ("other", 1))
        first = d["state"]["first"]
        self.assertEqual((first["icount"], first["exact"]), (d["inputs"]["a"]["icount"], True))
        # The kernel empties the line before it uses it: the byte is in the FIFO, and nowhere else ever.
        self.assertEqual([f["name"] for f in first["fields"]], ["uart16550.fifo[0]"])
        self.assertEqual((first["registers"], first["memory"]), ([], []))
        for side in "ab":
            self.assertRegex(first[side]["instruction"]["symbol"], r"\A[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+\Z")
        self.assertEqual((d["state"]["spread"], d["state"]["parting"], d["state"]["output"]), (None,) * 3)

    def test_a_word(self):
        d = self.diff(self.record("a", b""), self.record("b", b"", "quiet"), "--after", "300000000")
        self.assertEqual([c["key"] for c in d["config"]], ["cmdline"])
        state = d["state"]
        self.assertEqual((state["first"]["before"], state["first"]["icount"]), (None, 0))
        self.assertEqual(bytes.fromhex(state["first"]["memory"][0]["b"]), b" quiet")
        # The kernel's loader reads the command line within its first thousand instructions.
        self.assertTrue(0 < state["spread"]["icount"] < state["parting"]["icount"] < 10000)
        self.assertTrue(state["parting"]["exact"])
        self.assertNotEqual(state["parting"]["a"]["next"]["linear"], state["parting"]["b"]["next"]["linear"])
        self.assertGreater(state["followed"][-1]["counts"]["pages"], 1000)


if __name__ == "__main__":
    common.main()
