#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What programs cost on a stock Linux: busybox at work under deja, beside the host and QEMU.

usage: workloads.py --deja BUILD/cli/deja --guests FOLDER [-r ROUNDS] [--only NAME,...] [--json FILE]

FOLDER is one in which tests/e2e/fetch_guests.py has left Debian's kernel and busybox. The same busybox does the same
work (workloads/job.sh) on the host and in each machine. Rounds are interleaved; a figure is the median over rounds of
the processor time that the machine used for a piece of work. Compare ratios, never times of different runs. QEMU is
measured where it is installed (Debian: qemu-system-x86).
"""
import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile

import marks

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "e2e"))
import initramfs  # noqa: E402

JOB = os.path.join(HERE, "workloads", "job.sh")
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
sh /job
poweroff -f
"""
APPEND = "console=ttyS0 panic=-1 quiet"


def machines(a, tmp):
    kernel, busybox = (os.path.join(a.guests, name) for name in ("vmlinuz-cloud", "busybox"))
    initrd = os.path.join(tmp, "job.cpio")
    initramfs.write(initrd, busybox, {"job": JOB}, INIT)
    guest = ["-kernel", kernel, "-initrd", initrd, "-append", APPEND]
    qemu = ["qemu-system-x86_64", "-accel", "tcg", "-m", "256", "-display", "none", "-serial", "stdio", "-monitor", "none",
            "-no-reboot", "-nic", "none", *guest]
    program = os.path.join(tmp, "busybox")
    shutil.copyfile(busybox, program)
    os.chmod(program, 0o755)
    m = {"native": ["env", "BB=" + program, "WORK=" + tmp, program, "sh", JOB],
         "deja": [a.deja, "run", "-m", "256M", "-seed", "1", *guest],
         "deja record": [a.deja, "record", "-o", os.path.join(tmp, "w.deja"), "-m", "256M", "-seed", "1", *guest]}
    if shutil.which("qemu-system-x86_64"):
        m["qemu tcg"] = qemu
        m["qemu icount"] = qemu + ["-icount", "shift=0,sleep=off"]
    return {name: cmd for name, cmd in m.items() if not a.only or name in a.only.split(",") or name == "native"}


def report(rounds):
    names = list(rounds)
    works = list(rounds["native"][0].cost)
    ms = {n: {w: statistics.median(r.cost[w][1] * 1e3 for r in rounds[n]) for w in works} for n in names}
    print("%-12s" % "ms" + "".join("%13s" % n for n in names))
    for w in works:
        print("%-12s" % w + "".join("%13.1f" % ms[n][w] for n in names))
    print("%-12s" % "by native" + "".join("%13.1f" % marks.mean(ms[n][w] / ms["native"][w] for w in works)
                                          for n in names))
    return ms


def check(rounds):
    results = {n: rounds[n][0].checks for n in rounds}
    for n in results:
        if results[n] != results["native"]:
            sys.exit("%s and native have other results:\n%s\n%s" % (n, results[n], results["native"]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deja", required=True)
    p.add_argument("--guests", required=True)
    p.add_argument("-r", "--rounds", type=int, default=3)
    p.add_argument("--only", default="")
    p.add_argument("--json")
    a = p.parse_args()
    a.guests = os.path.abspath(a.guests)
    with tempfile.TemporaryDirectory() as tmp:
        table = machines(a, tmp)
        rounds = {name: [] for name in table}
        for _ in range(a.rounds):
            for name, cmd in table.items():
                rounds[name].append(marks.run(cmd))
        ms = report(rounds)
        check(rounds)
        if a.json:
            with open(a.json, "w") as f:
                json.dump(ms, f, indent=1)


if __name__ == "__main__":
    main()
