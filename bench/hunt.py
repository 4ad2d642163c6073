#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much of a hunt is hunting: runs a minute and core, and the share of the time that is not spent in guests: of the
wall time, which on a host that does other things too includes waiting for them, and of CPU time.

usage: hunt.py --deja BUILD/cli/deja [--runs N] [--jobs J] [--kernel VMLINUZ --initrd INITRD --linux-runs N]

The demo guest is hunted as it is, and cut to runs of a tenth, where what is around a run weighs more; with --vary-seed,
which makes each machine anew; and for comparison its runs are recorded one after the other by as many `deja record`,
as one would do without `deja hunt`. With a kernel, its boot is hunted, too (INITRD's /init powers off at once).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def hunt(a, folder, name, runs, *args):
    path = os.path.join(folder, name.replace(" ", "-"))
    command = [a.deja, "hunt", "--runs", str(runs), "--jobs", str(a.jobs), "-o", path, *args]
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if p.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)}\n{p.stderr}")
    with open(os.path.join(path, "hunt.json"), encoding="utf-8") as f:
        outcome = json.load(f)
    t = outcome["time"]
    instructions = sum(r["icount"] for r in outcome["runs"]) + outcome["unperturbed"]["icount"]
    minutes = t["wall"] / 60 * t["jobs"]
    print(f"{name:28} {t['runs']:6} {instructions / t['runs'] / 1e6:9.2f} {t['runs'] / minutes:12.0f} "
          f"{100 * t['share_outside']:9.2f} {100 * t['share_outside_cpu']:9.2f} "
          f"{100 * t['recording'] / t['wall'] / t['jobs']:10.2f} {outcome['failed']:7}")
    return outcome


def record_each(a, folder, outcome):
    """The first runs again, each by a command of its own."""
    runs = outcome["runs"][:50]
    start = time.monotonic()
    for run in runs:
        subprocess.run([a.deja, "record", "-o", os.path.join(folder, "one.deja"), "--seed", "1", "-perturb",
                        f"seed={run['seed']}"], stdin=subprocess.DEVNULL, capture_output=True)
    wall = time.monotonic() - start
    mean = sum(r["icount"] for r in runs) / len(runs) / 1e6
    print(f"{'deja record, one by one':28} {len(runs):6} {mean:9.2f} {len(runs) / wall * 60:12.0f}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--deja", required=True)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kernel")
    parser.add_argument("--initrd")
    parser.add_argument("--linux-runs", type=int, default=10)
    a = parser.parse_args()
    print(f"{'':28} {'':6} {'million':>9} {'runs a':>12} {'outside of guests':>19} {'of that':>10}")
    print(f"{'':28} {'runs':>6} {'insns':>9} {'minute, core':>12} {'% wall':>9} {'% CPU':>9} {'recording':>10} {'failed':>7}")
    with tempfile.TemporaryDirectory(prefix="deja-bench-") as folder:
        until = ["--until", "18659440"] # the length of the unperturbed run: all are of about one length
        outcome = hunt(a, folder, "demo", a.runs, *until, "--append", "fixed")
        hunt(a, folder, "demo that fails", a.runs, *until)
        hunt(a, folder, "demo, a tenth of it", a.runs, "--until", "1865944", "--append", "fixed")
        hunt(a, folder, "demo, --vary-seed", a.runs // 4, *until, "--append", "fixed", "--vary-seed")
        record_each(a, folder, outcome)
        if a.kernel:
            hunt(a, folder, "Linux", a.linux_runs, "-kernel", a.kernel, "-initrd", a.initrd, "-append",
                 "console=ttyS0 guest.poweroff")


main()
