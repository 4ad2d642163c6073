#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What questions to a recording cost, as ratios to one plain replay of it.

usage: questions.py --deja BUILD/cli/deja --guests FOLDER [--trace NAME=FILE ...] [--rounds N] [--jobs N] [--only WORD]

FOLDER has Debian's kernels as tests/e2e/fetch_guests.py leaves them; each is booted to a shell's end, recorded and
indexed. With --trace an own recording with an index is taken instead.

Rounds are interleaved: each runs every row once, so that a change of the host's speed hits all of them. A row's
ratio is the median over rounds of its time by the replay's in the same round. Wall time is what the user waits;
CPU time, of all processes together, tells how much of that was work on a host that has other things to do.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

APPEND = "console=ttyS0 guest.poweroff"


def run(*command, status=(0,)):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode not in status:
        sys.exit("status %d: %s\n%s" % (p.returncode, " ".join(command), p.stderr.decode(errors="replace")))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, p.stdout.decode(errors="replace")


def record(a, folder, name):
    trace = os.path.join(folder, name + ".deja")
    run(a.deja, "record", "-o", trace, "--seed", "1", "-kernel", os.path.join(a.guests, "vmlinuz-" + name),
        "-initrd", os.path.join(a.guests, "initrd.cpio"), "-append", APPEND)
    run(a.deja, "index", trace)
    return trace


def rows(a, trace):
    """(what, command, statuses): the first is what the others are compared with."""
    bare = trace + ".bare" # the same without its index

    def find(*more, jobs=a.jobs):
        return (a.deja, "find", trace, *more, "--jobs", str(jobs))

    if not os.path.lexists(bare):
        os.symlink(os.path.abspath(trace), bare)

    return [
        ("plain replay", (a.deja, "replay", "--quiet", trace), (0,)),
        ("find --writes, a word that nobody writes", find("--writes", "0x123456789000,8"), (1,)),
        ("find --writes, a word written now and then", find("--writes", "jiffies_64,8"), (0,)),
        ("the same with one job", find("--writes", "jiffies_64,8", jobs=1), (0,)),
        ("find --writes, a word written often", find("--writes", a.often), (0, 1)),
        ("find --writes --first", find("--writes", "jiffies_64,8", "--first"), (0,)),
        ("find --writes --last", find("--writes", "jiffies_64,8", "--last"), (0,)),
        ("find --exec, a function", find("--exec", "do_timer"), (0,)),
        ("find --output", find("--output", "/Run .*init/"), (0, 1)),
        ("log", (a.deja, "log", trace), (0,)),
        ("bisect of a lasting condition, no index yet", (a.deja, "bisect", bare, "--when", a.lasting), (0,)),
        ("bisect of a lasting condition", (a.deja, "bisect", trace, "--when", a.lasting), (0,)),
    ]


def measure(a, name, trace):
    chosen = [r for i, r in enumerate(rows(a, trace)) if i == 0 or a.only in r[0]]
    wall, cpu, hits = {}, {}, {}
    for _ in range(a.rounds):
        for what, command, status in chosen:
            w, c, out = run(*command, status=status)
            wall.setdefault(what, []).append(w)
            cpu.setdefault(what, []).append(c)
            hits[what] = out.count("\n")
    plain = chosen[0][0]
    print("%s: a plain replay takes %.2f s (CPU %.2f), %d jobs" % (
        name, statistics.median(wall[plain]), statistics.median(cpu[plain]), a.jobs))
    for what, _, _ in chosen[1:]:
        ratio = statistics.median(w / p for w, p in zip(wall[what], wall[plain]))
        work = statistics.median(c / p for c, p in zip(cpu[what], cpu[plain]))
        print("  %-45s %6.2f of its time, %6.2f of its work, %d lines" % (what, ratio, work, hits[what]))
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--deja", required=True)
    p.add_argument("--guests")
    p.add_argument("--trace", action="append", default=[])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--often", default="init_stack+0x3e58,8", help="a place that is written often [%(default)s]")
    p.add_argument("--lasting", default='seen("Run /init")', help="a condition that lasts [%(default)s]")
    p.add_argument("--only", default="", help="only rows with this in their name")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, trace in [t.split("=", 1) for t in a.trace]:
            measure(a, name, trace)
        for name in ("cloud", "amd64") if a.guests and not a.trace else ():
            measure(a, name, record(a, folder, name))


if __name__ == "__main__":
    main()
