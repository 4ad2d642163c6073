# SPDX-License-Identifier: MIT
"""Machines that print marks, timed from outside, so that no clock of a guest plays a part.

A guest prints `B name` where something begins, `E name N` where it ends after N instructions (or 1, to time it as a
whole), `R name result`, and HALT at the end, each on a line.
"""
import math
import os
import pty
import re
import select
import signal
import statistics
import subprocess
import sys
import time

MARK = re.compile(rb"(?:^|[^\w])([BER]) ([A-Za-z0-9_.-]+)((?: [^\r\n]*)?)\r?$")
LIMIT = 900
TICKS = 0.02 # seconds: processor time comes in ticks of the host's clock; of less the elapsed time says more


def cpu_seconds(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                total += int(f.read().split()[0])
        except FileNotFoundError: # a thread that has ended since
            pass
    return total / 1e9


class Console:
    """Takes the guest's lines as they come."""

    def __init__(self, pid):
        self.pid, self.line, self.began = pid, b"", {}
        self.cost, self.checks, self.halted = {}, {}, False

    def take(self, data):
        for line in (self.line + data).split(b"\n")[:-1]:
            self.take_line(line)
        self.line = (self.line + data).split(b"\n")[-1]

    def take_line(self, line):
        m = MARK.search(line)
        self.halted = self.halted or line.strip() == b"HALT"
        if not m:
            return
        kind, name, rest = m.group(1), m.group(2).decode(), m.group(3).split()
        if kind == b"B":
            self.began[name] = (cpu_seconds(self.pid), time.monotonic())
        elif kind == b"R":
            self.checks[name] = b" ".join(rest)
        elif name in self.began and rest and int(rest[0]) > 0:
            cpu, wall = cpu_seconds(self.pid) - self.began[name][0], time.monotonic() - self.began[name][1]
            self.cost[name] = (int(rest[0]), cpu if cpu > TICKS else wall)


def stop(p):
    try:
        os.killpg(p.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    p.wait()


def run(cmd, fifo=None):
    """One round of a machine: its Console, at the end. With `fifo`, the console is that path, for a program that wants
    a terminal besides."""
    rd, wr = os.pipe()
    screen = None
    if fifo is not None:
        if os.path.exists(fifo):
            os.remove(fifo)
        os.mkfifo(fifo)
        os.close(rd)
        os.close(wr)
        rd, (screen, wr) = os.open(fifo, os.O_RDWR | os.O_NONBLOCK), pty.openpty()
    p = subprocess.Popen(cmd, stdin=wr if screen else subprocess.DEVNULL, stdout=wr,
                         stderr=wr if screen else subprocess.DEVNULL, start_new_session=True,
                         env=dict(os.environ, TERM="vt100", LINES="25", COLUMNS="80"))
    os.close(wr)
    console, end = Console(p.pid), time.monotonic() + LIMIT
    while not console.halted and time.monotonic() < end:
        ready = select.select([rd] + ([screen] if screen else []), [], [], 1)[0]
        if screen in ready:
            os.read(screen, 65536) # thrown away
        if rd in ready:
            data = os.read(rd, 65536)
            if not data:
                break
            console.take(data)
    stop(p)
    os.close(rd)
    if screen:
        os.close(screen)
    if not console.halted:
        sys.exit("did not come to its end: " + " ".join(cmd))
    return console


def mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))
