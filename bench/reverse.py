#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Going backwards at packet level: deja beside QEMU's record and replay, in one run.

usage: reverse.py --deja BUILD/cli/deja --kernel VMLINUZ --initrd INITRD [--at N] [--steps N] [--no-qemu]

Both record the same boot (INITRD's /init powers off at once), seek to instruction N, and step back: first
one, then ten, and deja a hundred. QEMU records with a snapshot at the start, which is what its reverse
commands go back to. An answer that does not come within the limit is a hang, and ends that machine.
"""
import argparse
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

APPEND = "console=ttyS0 panic=-1"
LIMIT = 240


class Hang(Exception):
    pass


class Remote:
    """The GDB remote protocol, no more than is needed here."""

    def __init__(self, path):
        deadline = time.monotonic() + 60
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Hang("nobody listens")
                time.sleep(0.05)
        self.socket.settimeout(LIMIT)
        self.buffer = b""
        self.ask("qSupported:swbreak+")
        self.ask("?")

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#" + b"%02x" % (sum(data) & 255))

    def reply(self):
        while True:
            found = re.search(rb"\$([^#]*)#..", self.buffer)
            if found:
                self.buffer = self.buffer[found.end():]
                self.socket.sendall(b"+")
                return found.group(1).decode("latin-1")
            try:
                more = self.socket.recv(65536)
            except socket.timeout:
                raise Hang("no answer within %d s" % LIMIT)
            if not more:
                raise Hang("the connection was closed")
            self.buffer += more

    def ask(self, text):
        self.send(text)
        return self.reply()

    def timed(self, text):
        start = time.monotonic()
        answer = self.ask(text)
        while answer.startswith("O") and answer != "OK":
            answer = self.reply()
        return (time.monotonic() - start) * 1e3, answer

    def monitor(self, command):
        return self.timed("qRcmd," + command.encode().hex())


def steps_back(remote, n):
    times = []
    for _ in range(n):
        ms, answer = remote.timed("bs")
        if not answer.startswith(("T05", "S05")):
            raise Hang("a step back was answered by %s" % answer[:40])
        times.append(ms)
    return times


def stop(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def run_deja(a, folder):
    trace, path = os.path.join(folder, "boot.deja"), os.path.join(folder, "deja.sock")
    guest = ["-m", "256M", "--seed", "1", "-kernel", a.kernel, "-initrd", a.initrd, "-append", APPEND]
    subprocess.run([a.deja, "record", "-o", trace, *guest], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process = subprocess.Popen([a.deja, "replay", trace, "--quiet", "--gdb", "unix:" + path],
                               stderr=subprocess.DEVNULL)
    try:
        remote = Remote(path)
        ms, _ = remote.monitor("seek end")
        print("deja: the first pass %.0f ms" % ms)
        ms, _ = remote.monitor("seek %d" % a.at)
        print("deja: seek to %d %.1f ms" % (a.at, ms))
        print("deja: a step back there %.2f ms" % steps_back(remote, 1)[0])
        times = steps_back(remote, a.steps)
        print("deja: %d more, median %.2f ms, worst %.2f" % (a.steps, statistics.median(times), max(times)))
        times = steps_back(remote, 100)
        print("deja: a hundred steps back %.0f ms" % sum(times))
    finally:
        stop(process)


def run_qemu(a, folder):
    disk, log, path = (os.path.join(folder, n) for n in ("rr.qcow2", "boot.rr", "qemu.sock"))
    subprocess.run(["qemu-img", "create", "-f", "qcow2", disk, "1G"], stdout=subprocess.DEVNULL, check=True)
    base = ["qemu-system-x86_64", "-accel", "tcg", "-m", "256", "-display", "none", "-no-reboot", "-nic",
            "none", "-monitor", "none", "-serial", "null", "-drive", "file=%s,if=none,id=rr" % disk,
            "-kernel", a.kernel, "-initrd", a.initrd, "-append", APPEND]
    mode = "shift=0,rr=%s,rrfile=" + log + ",rrsnapshot=init"
    start = time.monotonic()
    subprocess.run(base + ["-icount", mode % "record"], stdin=subprocess.DEVNULL, timeout=300,
                   stderr=subprocess.DEVNULL)
    print("QEMU: recorded in %.1f s, log %.1f MB" % (time.monotonic() - start,
                                                    os.path.getsize(log) / 1e6))
    process = subprocess.Popen(base + ["-icount", mode % "replay", "-S", "-gdb", "unix:%s,server=on" % path],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        remote = Remote(path)
        ms, _ = remote.monitor("replay_break %d" % a.at)
        ms, answer = remote.timed("c")
        print("QEMU: forward to %d %.0f ms (%s)" % (a.at, ms, answer[:12]))
        print("QEMU: a step back there %.0f ms" % steps_back(remote, 1)[0])
        times = steps_back(remote, 3)
        print("QEMU: 3 more, median %.0f ms, worst %.0f" % (statistics.median(times), max(times)))
    except (Hang, OSError) as why:
        print("QEMU: did not survive: %s" % why)
    finally:
        stop(process)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--deja", required=True)
    p.add_argument("--kernel", required=True)
    p.add_argument("--initrd", required=True)
    p.add_argument("--at", type=int, default=1000000000)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--no-qemu", action="store_true")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_deja(a, folder)
        sys.stdout.flush()
        if not a.no_qemu:
            run_qemu(a, folder)


if __name__ == "__main__":
    main()
