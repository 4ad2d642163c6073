#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What came to a run from outside, given to a plain machine again, gives the same run.

The recordings are of the demo, perturbed by seeds: what the machine did to itself there becomes inputs here.
"""
import os
import subprocess
import sys
import tempfile

DEJA, SCRIPT_SAME = sys.argv[1:3]


def run(*command, status=0):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if p.returncode != status:
        sys.exit(f"status {p.returncode}, not {status}: {' '.join(command)}\n{p.stdout}\n{p.stderr}")
    return p.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "t.deja")
        for perturb in ([], ["seed=1"], ["seed=2"], ["seed=3"], ["seed=4,kinds=hold"], ["seed=5,kinds=late,mean=9000"],
                        ["seed=6,kinds=timer,mean=100000"], ["seed=7,kinds=skip,from=5000000,mean=5000"]):
            options = [word for p in perturb for word in ("-perturb", p)]
            run(DEJA, "record", "-o", trace, "--seed", "1", *options, status=3)
            print(*perturb, run(SCRIPT_SAME, trace).strip())


main()
