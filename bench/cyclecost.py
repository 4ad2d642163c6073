#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a guest instruction costs, by kind: deja beside the host, QEMU and Bochs.

usage: cyclecost.py --deja BUILD/cli/deja [-r ROUNDS] [--only NAME,...] [--json FILE]

The guest (cyclecost/) runs loops of known lengths and prints where each begins and ends; lines are time-stamped here,
so that no clock of a guest plays a part. The same loops as a Linux program are the host's own speed. Rounds are
interleaved; a figure is the median over rounds of the processor time that the emulator used for the loop, by
instruction. Compare ratios, never times of different runs. Needs nasm and ld; QEMU and Bochs are measured where
they are installed (Debian: qemu-system-x86, bochs, bochs-term).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import marks

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cyclecost")
SCALES = {"native": 1000, "bochs": 30} # percent of the loops' lengths: long enough to time, short enough to wait for
BOCHSRC = """config_interface: textconfig
display_library: term
megs: 64
cpu: model=corei7_sandy_bridge_2600k, count=1, ips=100000000, reset_on_triple_fault=0
clock: sync=none, time0=utc
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path={image}, mode=flat, cylinders=2, heads=16, spt=63
boot: disk
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
com1: enabled=1, mode=file, dev={serial}
"""


def build(folder, scale):
    """The guest as an ELF file and as a disk, and the program."""
    out = lambda name: os.path.join(folder, name)
    nasm = lambda form, name, to, *more: subprocess.run(
        ["nasm", "-f", form, "-I", HERE + "/", "-I", folder + "/", "-DSCALE=%d" % scale, *more, "-o", out(to),
         os.path.join(HERE, name)], check=True)
    os.makedirs(folder)
    nasm("bin", "kernel.asm", "kernel.bin")
    nasm("bin", "elfwrap.asm", "guest.elf")
    nasm("elf64", "native.asm", "native.o")
    subprocess.run(["ld", "-N", "--no-warn-rwx-segments", "-o", out("native"), out("native.o")], check=True)
    sectors = (os.path.getsize(out("kernel.bin")) + 511) // 512
    nasm("bin", "boot.asm", "boot.bin", "-DKSECT=%d" % sectors)
    with open(out("disk.img"), "wb") as disk:
        for name in ("boot.bin", "kernel.bin"):
            with open(out(name), "rb") as part:
                disk.write(part.read())
        disk.truncate(2 * 16 * 63 * 512)
    return folder


def machines(a, tmp):
    """name -> command; one that contains SERIAL writes the console to that file."""
    guests = {scale: build(os.path.join(tmp, str(scale)), scale) for scale in (100, *SCALES.values())}
    elf = os.path.join(guests[100], "guest.elf")
    qemu = ["qemu-system-x86_64", "-accel", "tcg", "-m", "64", "-display", "none", "-serial", "stdio", "-monitor", "none",
            "-no-reboot", "-nic", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", elf]
    m = {"native": [os.path.join(guests[SCALES["native"]], "native")],
         "deja": [a.deja, "run", "-m", "64M", "-kernel", elf],
         "deja record": [a.deja, "record", "-o", os.path.join(tmp, "cc.deja"), "-m", "64M", "-kernel", elf]}
    if shutil.which("qemu-system-x86_64"):
        m["qemu tcg"] = qemu
        m["qemu icount"] = qemu + ["-icount", "shift=0,sleep=off"]
    if shutil.which("bochs"):
        rc, go = os.path.join(tmp, "bochsrc"), os.path.join(tmp, "go")
        with open(rc, "w") as f:
            f.write(BOCHSRC.format(image=os.path.join(guests[SCALES["bochs"]], "disk.img"),
                                   serial=os.path.join(tmp, "serial")))
        with open(go, "w") as f:
            f.write("c\n")
        m["bochs"] = ["bochs", "-q", "-f", rc, "-rc", go]
    return {name: cmd for name, cmd in m.items() if not a.only or name in a.only.split(",") or name == "native"}


def terminal_of(name, tmp):
    """Bochs wants a terminal, and its console is a file: a named pipe."""
    if name != "bochs":
        return None
    lock = os.path.join(tmp, str(SCALES["bochs"]), "disk.img.lock") # left behind when it was killed
    if os.path.exists(lock):
        os.remove(lock)
    return os.path.join(tmp, "serial")


def report(rounds, names):
    loops = list(rounds["deja"][0].cost) if "deja" in rounds else list(rounds[names[-1]][0].cost)
    ns = {n: {l: statistics.median(r.cost[l][1] / r.cost[l][0] * 1e9 for r in rounds[n])
              for l in loops if l in rounds[n][0].cost} for n in names}
    print("%-12s" % "ns" + "".join("%13s" % n for n in names) + "%14s" % "deja/native")
    for l in loops:
        ratio = ns["deja"][l] / ns["native"][l] if "deja" in ns and l in ns["native"] else None
        print("%-12s" % l + "".join("%13.2f" % ns[n][l] if l in ns[n] else "%13s" % "" for n in names) +
              ("%14.2f" % ratio if ratio else ""))
    for n in names[1:]:
        both = [l for l in ns["native"] if l in ns[n]]
        total = [sum(c[i] for c in rounds[n][0].cost.values()) for i in (0, 1)]
        print("%-12s %5.2f times native in the geometric mean, %4.0f million instructions a second over the whole guest" % (
            n, marks.mean(ns[n][l] / ns["native"][l] for l in both), total[0] / total[1] / 1e6))
    return ns


def check(rounds, names):
    """Equal results at equal scales: an emulator that is wrong is not fast."""
    scaled = [n for n in names if n not in SCALES]
    for n in scaled[1:]:
        if rounds[n][0].checks != rounds[scaled[0]][0].checks:
            print("%s and %s have other results" % (n, scaled[0]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deja", required=True)
    p.add_argument("-r", "--rounds", type=int, default=3)
    p.add_argument("--only", default="")
    p.add_argument("--json")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        table = machines(a, tmp)
        rounds = {name: [] for name in table}
        for _ in range(a.rounds):
            for name, cmd in table.items():
                rounds[name].append(marks.run(cmd, terminal_of(name, tmp)))
        ns = report(rounds, list(table))
        check(rounds, list(table))
        if a.json:
            with open(a.json, "w") as f:
                json.dump(ns, f, indent=1)


if __name__ == "__main__":
    main()
