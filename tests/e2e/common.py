# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: running deja, talking to a guest, and the guests.

Each test script is run as `script DEJA FOLDER [unittest arguments]`: the binary under test, and the
folder where echo.bin is and where kernels are kept once fetched.
"""
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import fetch_guests

TIMEOUT = float(os.environ.get("DEJA_TEST_TIMEOUT", "240"))
PROMPT = b"# "

DEJA = ""
FOLDER = ""


def main():
    global DEJA, FOLDER
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} DEJA FOLDER [unittest arguments]")
    DEJA, FOLDER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        sys.exit(1)
    if program.result.testsRun == len(program.result.skipped):
        print("; ".join(reason for _, reason in program.result.skipped))
        sys.exit(77) # a skip, to meson


def echo_guest():
    return os.path.join(FOLDER, "echo.bin")


def linux(flavour, words="", seed=None):
    """Options that boot Debian's kernel of that flavour with the test's init."""
    if flavour in fetch_guests.I386:
        guests = fetch_guests.ensure_i386(FOLDER)
        initrd = guests["initrd-i386"]
    else:
        guests = fetch_guests.ensure(FOLDER)
        initrd = guests["initrd"]
    options = ["-kernel", guests[flavour], "-initrd", initrd,
               "-append", f"console=ttyS0 {words}".strip()]
    return options + (["--seed", str(seed)] if seed is not None else [])


def deja(*args, stdin=b"", **more):
    """Runs deja to its end with bytes on standard input; None: nothing there, not even an end."""
    source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run([DEJA, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=TIMEOUT, **source, **more)


class Live:
    """A running deja, its console at our end."""

    def __init__(self, *args, terminal=False):
        self.output = b""
        self.seen = 0
        self.slave = None
        if terminal:
            self.reader, self.slave = pty.openpty()
            mode = termios.tcgetattr(self.slave)
            mode[1] &= ~termios.OPOST # what we see is what was written
            termios.tcsetattr(self.slave, termios.TCSANOW, mode)
            self.mode_before = termios.tcgetattr(self.slave)
            self.process = subprocess.Popen([DEJA, *args], stdin=self.slave, stdout=self.slave,
                                            stderr=subprocess.PIPE, preexec_fn=self.own_terminal)
            self.writer = self.reader
        else:
            self.process = subprocess.Popen([DEJA, *args], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.reader = self.process.stdout.fileno()
            self.writer = self.process.stdin.fileno()

    def own_terminal(self):
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def read_some(self, deadline):
        """False at the end of output, or when the time is over."""
        ready, _, _ = select.select([self.reader], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.reader, 65536)
        except OSError: # the terminal's other end is closed
            return False
        self.output += data
        return data != b""

    def expect(self, text):
        """Reads until `text` comes after what was expected before; returns what stood in between."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            at = self.output.find(text, self.seen)
            if at >= 0:
                between = self.output[self.seen:at]
                self.seen = at + len(text)
                return between
            if not self.read_some(deadline):
                self.process.kill()
                raise AssertionError(f"no {text!r} after:\n" +
                                     self.output[self.seen:].decode(errors="replace")[-3000:] +
                                     self.process.stderr.read().decode(errors="replace"))

    def send(self, data):
        os.write(self.writer, data)

    def command(self, line):
        """Types a command at the guest's shell; returns what it printed."""
        self.send(line.encode() + b"\n")
        self.expect(line.encode() + b"\r\n")
        return self.expect(PROMPT).decode()

    def signal(self, sig):
        self.process.send_signal(sig)

    def finish(self):
        """Waits for the end of the run. Returns its status and what it said on standard error."""
        deadline = time.monotonic() + TIMEOUT
        if self.slave is None:
            self.process.stdin.close()
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read_some(time.monotonic() + 0.05)
        while self.read_some(time.monotonic() + (0 if self.slave is not None else 1)):
            pass
        if self.process.poll() is None:
            self.process.kill()
            raise AssertionError("deja did not end:\n" + self.output.decode(errors="replace")[-3000:])
        errors = self.process.stderr.read().decode(errors="replace")
        return self.process.returncode, errors

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        if self.slave is not None:
            os.close(self.reader)
            os.close(self.slave)
        else:
            self.process.stdout.close()
            self.process.stdin.close()


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="deja-e2e-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def live(self, *args, terminal=False):
        session = Live(*args, terminal=terminal)
        self.addCleanup(session.close)
        return session

    def assertStatus(self, run, status):
        self.assertEqual(run.returncode, status,
                         f"{' '.join(run.args)}\n{run.stdout.decode(errors='replace')[-3000:]}\n"
                         f"{run.stderr.decode(errors='replace')[-3000:]}")

    def assertExactReplay(self, trace, output=None):
        """Replays `trace`; what the guest prints must be `output`, if given. Returns it."""
        replay = deja("replay", trace, stdin=None)
        self.assertStatus(replay, 0)
        if output is not None:
            self.assertEqual(replay.stdout, output)
        return replay.stdout
