#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Inspecting every moment against stepping through them, on the demo and on small guests.

usage: check_inspect.py DEJA INSPECT GUEST...
"""
import os
import subprocess
import sys
import tempfile

DEJA, INSPECT, GUESTS = sys.argv[1], sys.argv[2], sys.argv[3:]
MOST = "200000"  # instructions of each


def run(*command):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=280, text=True,
                       errors="replace")
    return p.returncode, p.stdout + p.stderr


def machine(guest):
    if guest == "demo":
        return ()
    return ("-m", "64M", "-bios" if guest.endswith(".rom") else "-kernel", guest)


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for guest in ["demo", *GUESTS]:
            trace = os.path.join(folder, os.path.basename(guest))
            run(DEJA, "record", "-o", trace, "--seed", "7", *machine(guest))
            for steps in ("1", "777"):
                status, text = run(INSPECT, trace, "--between", "0", MOST, "--steps", steps)
                print(os.path.basename(guest), "stopping at every", steps, "-", text.strip())
                failed += status != 0
    sys.exit(failed > 0)


main()
