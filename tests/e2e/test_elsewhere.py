# SPDX-License-Identifier: MIT
"""A recording made here replays exactly elsewhere: without optimisation, and under valgrind.

DEJA_O0 names a build of the same program without optimisation.
"""
import os
import shutil
import subprocess
import unittest

import common
from common import Case, deja, linux


class Elsewhere(Case):
    def setUp(self):
        super().setUp()
        self.unoptimised = os.environ["DEJA_O0"]

    def record(self, *options, status=0):
        trace = self.path("t.deja")
        result = deja("record", "-o", trace, *options, stdin=None)
        self.assertStatus(result, status)
        return trace, result.stdout

    def replay_by(self, *command):
        """Every digest and interrupt is checked by the replay itself; status 0 is "exact"."""
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=common.TIMEOUT * 4)
        self.assertStatus(result, 0)
        self.assertIn(b"replay exact", result.stderr)
        return result.stdout

    def test_demo_unoptimised(self):
        trace, shown = self.record("--seed", "3", status=3)
        self.assertEqual(self.replay_by(self.unoptimised, "replay", trace), shown)

    def test_linux_unoptimised(self):
        trace, shown = self.record(*linux("cloud", "guest.work", seed=5))
        self.assertEqual(self.replay_by(self.unoptimised, "replay", trace), shown)

    @unittest.skipIf(os.environ.get("DEJA_TEST_SANITIZED") == "1",
                     "valgrind cannot run a program built with sanitizers")
    def test_demo_under_valgrind(self):
        self.assertIsNotNone(shutil.which("valgrind"), "valgrind is not installed")
        trace, shown = self.record("--seed", "3", status=3)
        replayed = self.replay_by("valgrind", "--quiet", "--error-exitcode=9", common.DEJA, "replay",
                                  trace)
        self.assertEqual(replayed, shown)


if __name__ == "__main__":
    common.main()
