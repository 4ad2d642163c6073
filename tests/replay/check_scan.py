#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scans of the demo's recording: what workers find in parallel is what the trace says, in order.

usage: check_scan.py DEJA SCAN
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

DEJA, SCAN = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=280, text=True)


class Scans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.trace = os.path.join(cls.folder.name, "t.deja")
        run(DEJA, "record", "-o", cls.trace, "--seed", "1")
        cls.plain = os.path.join(cls.folder.name, "plain.deja")
        os.symlink(cls.trace, cls.plain)
        index = run(DEJA, "index", cls.trace)
        cls.checkpoints = int(index.stdout.split()[0])
        events = map(json.loads, run(DEJA, "dump", "--json", cls.trace).stdout.splitlines())
        cls.want = [(e["icount"], e["vector"]) for e in events if e["event"] == "interrupt"]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def scan(self, *args, trace=None, end="done"):
        p = run(SCAN, trace or self.trace, *map(str, args))
        self.assertEqual(p.returncode, 0, p.stderr)
        *lines, last = p.stdout.splitlines()
        self.assertRegex(last, end)
        self.jobs = int(re.match(r"(\d+) jobs", p.stderr).group(1))
        return [(int(a), int(b)) for a, b, _ in map(str.split, lines)], lines

    def test_there_is_something_to_split(self):
        self.assertGreater(self.checkpoints, 3)
        self.assertGreater(len(self.want), 100)

    def test_everything_is_found_once_and_in_order_however_many_work(self):
        _, straight = self.scan("all", 1, trace=self.plain)
        for jobs in (1, 2, 3, 7):
            found, lines = self.scan("all", jobs)
            self.assertEqual(self.jobs, min(jobs, self.checkpoints))
            self.assertEqual(found, self.want)
            self.assertEqual(lines, straight)

    def test_without_an_index_one_runs(self):
        found, _ = self.scan("all", 4, trace=self.plain)
        self.assertEqual((found, self.jobs), (self.want, 1))

    def test_first_and_last_are_the_ends_of_all(self):
        for jobs in (1, 2, 3):
            self.assertEqual(self.scan("first", jobs, end="enough")[0], self.want[:1])
            self.assertEqual(self.scan("last", jobs, end="enough")[0], self.want[-1:])

    def test_a_range_holds_what_is_in_it(self):
        at = [self.want[i][0] for i in (20, 60)]
        for jobs in (1, 3):
            for order, part in (("all", slice(20, 60)), ("first", slice(20, 21)), ("last", slice(59, 60))):
                found, _ = self.scan(order, jobs, *at, end="done|enough")
                self.assertEqual(found, self.want[part])
            self.assertEqual(self.scan("all", jobs, at[0] + 1, at[0] + 2)[0], [])
            self.assertEqual(self.scan("first", jobs, 2**40, 2**41)[0], [])
            self.assertEqual(self.scan("all", jobs, at[1], at[0])[0], [])

    def test_a_flood_comes_in_order(self):
        for jobs in (1, 3):
            self.assertEqual(self.scan("all", jobs, "flood")[0], self.want)

    def test_enough_is_enough(self):
        for jobs in (1, 3):
            self.assertEqual(self.scan("all", jobs, "stop", end="enough")[0], self.want[:10])

    def test_a_worker_that_dies_is_an_error(self):
        self.scan("all", 2, "die", end="error: a worker was killed by signal 6")


if __name__ == "__main__":
    unittest.main()
