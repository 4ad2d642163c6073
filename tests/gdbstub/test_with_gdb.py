#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The real gdb against the example computer, over each transport.

    test_with_gdb.py EXAMPLE RICH [unittest arguments]

What the computer runs is in gdbstub/example/example.c: a loop that counts to 5 at 0x200. RICH is a
target that has all the rest (rich_target.c).
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

EXAMPLE = ""
RICH = ""
TIMEOUT = 60


def gdb_command(target, *commands, before=()):
    args = ["gdb", "-nx", "-q", "-batch"]
    # gdb asks again after two seconds, which a busy host may take, and then takes the second answer for that to
    # its next question.
    for command in ["set confirm off", "set width 0", "set remotetimeout 30", *before, f"target remote {target}", *commands]:
        args += ["-ex", command]
    return args


def gdb(target, *commands, before=()):
    """What gdb says to these commands, both streams in one."""
    env = {**os.environ, "LC_ALL": "C", "DEBUGINFOD_URLS": ""}
    return subprocess.run(gdb_command(target, *commands, before=before), stdin=subprocess.DEVNULL, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=TIMEOUT).stdout


class Example:
    """The example, serving an address, until the end of a `with`."""

    def __init__(self, address):
        self.process = subprocess.Popen([EXAMPLE, address], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.target = line.removeprefix("target remote ").strip()

    def __enter__(self):
        return self.target

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class WithGdb(unittest.TestCase):
    def check(self, output, *patterns):
        """The patterns are in the output, in this order."""
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.MULTILINE).search(output, at)
            self.assertTrue(found, f"no {pattern!r} after character {at} of:\n{output}")
            at = found.end()

    def stdio(self, *commands):
        return gdb(f"| exec {EXAMPLE} stdio 2>/dev/null", *commands)


class Transports(WithGdb):
    def session(self, target):
        self.check(gdb(target, "stepi", "p/x $pc", "detach"), r"= 0x105$", r"detached")

    def test_tcp(self):
        with Example("tcp:0") as target:
            self.assertRegex(target, r"^localhost:\d+$")
            self.session(target)
            self.check(gdb(target, "p/x $pc"), r"= 0x105$") # the next client

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            with Example(f"unix:{folder}/gdb") as target:
                self.session(target)

    def test_stdio(self):
        self.check(self.stdio("stepi", "p/x $pc", "detach"), r"= 0x105$", r"detached")

    def test_with_acks(self):
        output = gdb(f"| exec {EXAMPLE} stdio 2>/dev/null", "stepi", "p/x $pc",
                     before=["set remote noack-packet off"])
        self.check(output, r"= 0x105$")

    def test_second_client(self):
        with Example("tcp:0") as target:
            host, port = target.split(":")
            with socket.create_connection((host, int(port))) as first:
                first.sendall(b"$qC#b4")
                self.assertEqual(first.recv(64), b"+$QC1#c5")
                self.check(gdb(target), r"another debugger is connected")
                first.sendall(b"$qC#b4")
                self.assertEqual(first.recv(64), b"+$QC1#c5")

    def test_port_in_use(self):
        with Example("tcp:0") as target:
            port = target.split(":")[1]
            second = subprocess.run([EXAMPLE, f"tcp:{port}"], stderr=subprocess.PIPE, text=True,
                                    timeout=TIMEOUT)
            self.assertEqual(second.stderr, f"tcp:{port}: port is in use\n")
            self.assertEqual(second.returncode, 1)


class Debugging(WithGdb):
    def test_registers_and_memory(self):
        output = self.stdio("set $eax = 0x12345678", "set {int}0x300 = 0x23242a7d", "p/x $eax",
                            "p/x *(int *)0x300", "x/2xb 0x300", "x/x 0x9000", "info registers eip")
        self.check(output, r"= 0x12345678$", r"= 0x23242a7d$", r"0x300:\t0x7d\t0x2a$",
                   r"Cannot access memory at address 0x9000", r"eip +0x100")

    def test_code(self):
        self.check(self.stdio("x/4i $pc"), r"=> 0x100:\tmov +\$0x5,%ecx", r"0x105:\tmov +0x200,%eax",
                   r"0x10a:\tinc +%eax", r"0x10b:\tmov +%eax,0x200")

    def test_find(self):
        self.check(self.stdio("find /b 0, 0xfff, 0x75, 0xf2", "find /b 0, 0xfff, 0x99"),
                   r"^0x111$", r"^1 pattern found", r"^Pattern not found")

    def test_steps_both_ways(self):
        self.check(self.stdio("stepi 4", "p/x $pc", "reverse-stepi 3", "p/x $pc", "reverse-stepi 9"),
                   r"= 0x110$", r"= 0x105$", r"No more reverse-execution history", r"0x0*100 in")

    def test_breakpoint(self):
        self.check(self.stdio("break *0x110", "continue", "p $eax", "continue", "p $eax",
                              "reverse-continue", "p $eax"),
                   r"Breakpoint 1,", r"= 1$", r"Breakpoint 1,", r"= 2$", r"Breakpoint 1,", r"= 1$")

    def test_watchpoint(self):
        self.check(self.stdio("watch *(int *)0x200", "continue", "continue", "reverse-continue",
                              "p/x $pc", "p *(int *)0x200"),
                   r"Old value = 0\nNew value = 1", r"Old value = 1\nNew value = 2",
                   r"Old value = 2\nNew value = 1", r"= 0x10b$", r"= 1$")

    def test_what_is_not_supported_is_said(self):
        self.check(self.stdio("rwatch *(int *)0x200", "continue"), r"Hardware read watchpoint 1",
                   r"Could not insert hardware watchpoint 1")

    def conditional(self, *condition):
        return self.stdio("set breakpoint condition-evaluation target", *condition, "set debug remote 1",
                          "continue", "set debug remote 0", "p $ecx", "p *(int *)0x200")

    def test_condition_is_evaluated_by_the_stub(self):
        output = self.conditional("break *0x10b if $ecx == 2")
        self.check(output, r"Z0,10b,1;X", r"Breakpoint 1", r"= 2$", r"= 3$")
        self.assertEqual(len(re.findall(r"Packet received: T05", output)), 1)

    def test_condition_with_memory_and_logic(self):
        output = self.conditional("break *0x110 if *(int *)0x200 * 2 > 7 && !($eax == 0) || $ecx < 0")
        self.check(output, r"Z0,110,1;X", r"Breakpoint 1", r"= 2$", r"= 4$")
        self.assertEqual(len(re.findall(r"Packet received: T05", output)), 1)

    def test_end_and_beginning(self):
        self.check(self.stdio("continue", "p *(int *)0x200", "reverse-continue", "p *(int *)0x200"),
                   r"No more reverse-execution history", r"= 5$",
                   r"No more reverse-execution history", r"= 0$")

    def test_kill(self):
        self.check(self.stdio("stepi", "kill"), r"killed")

    def test_interrupt(self):
        """SIGINT while the target runs; that it does is seen by what gdb sent."""
        args = gdb_command(f"| exec {EXAMPLE} stdio 2>/dev/null", "stepi", "set $ecx = -1",
                           "set debug remote 1", "continue", "set debug remote 0", "stepi", "p 1")
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, bufsize=1,
                                   preexec_fn=os.setsid)
        output = ""
        for line in process.stdout:
            output += line
            if "Sending packet: $vCont;c" in line:
                process.send_signal(signal.SIGINT)
        process.wait(timeout=TIMEOUT)
        process.stdout.close()
        self.check(output, r"Packet received: T02", r"SIGINT", r"= 1$")

    def test_thread(self):
        self.check(self.stdio("info threads"), r"^\* 1 +Thread 1 ")


class Everything(WithGdb):
    def rich(self, *commands, extended=False):
        target = f"| exec {RICH} stdio {EXAMPLE} 2>/dev/null"
        if not extended:
            return gdb(target, *commands)
        args = [arg.replace("target remote |", "target extended-remote |")
                for arg in gdb_command(target, *commands)]
        return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT).stdout

    def reason(self, name, *patterns, before=()):
        output = self.rich(*before, f"monitor next {name}", "continue")
        self.check(output, f"the next stop is {name}", "said while running", *patterns)

    def test_threads_have_names(self):
        output = self.rich("info threads", "thread 2", "p/x $rip", "set $rip = 5", "p/x $rip",
                           "thread 1", "p/x $rip")
        self.check(output, r'^\* 1 +Thread 1 "CPU 0" \(running, CPL 0\)',
                   r'^  2 +Thread 2 "CPU <1>" \(halted & idle\)', r"= 0x10100$", r"= 0x5$",
                   r"= 0x10000$")

    def test_executable_is_read_from_the_target_and_moved(self):
        output = self.rich("info address main", "info files")
        self.check(output, r"Reading symbols from target:/prog",
                   r"main. is a function at address 0x7[0-9a-f]{6}\.")

    def test_memory_map(self):
        self.check(self.rich("info mem", "x/x 0x19000"), r"0x0*10000 +\t?0x0*18000 rw",
                   r"Cannot access memory at address 0x19000")

    def test_monitor_error(self):
        self.check(self.rich("monitor nonsense", "p 1"), r"no such command", r"Rcmd", r"= 1$")

    def test_access_watchpoints(self):
        self.reason("rwatch", r"hit Hardware read watchpoint 1",
                    before=["rwatch *(int *)0x10040"])
        self.reason("awatch", r"hit Hardware access \(read/write\) watchpoint 1",
                    before=["awatch *(int *)0x10040"])

    def test_library_event(self):
        self.reason("library", r"Stopped due to shared library event",
                    before=["set stop-on-solib-events 1"])

    def test_exec_event(self):
        self.reason("exec", r"is executing new program: /nowhere")

    def test_exit_and_death(self):
        self.reason("exited", r"exited with code 07")
        self.reason("terminated", r"terminated with signal SIGTRAP")

    def test_history_ends(self):
        self.reason("begin", r"No more reverse-execution history")
        self.reason("end", r"No more reverse-execution history")

    def test_killed_target_is_run_again(self):
        output = self.rich("stepi", "p/x $rip", "kill", "set remote exec-file /prog", "run",
                           "p/x $rip", "stepi", "p/x $rip", extended=True)
        self.check(output, r"= 0x10001$", r"killed", r"= 0x10000$", r"= 0x10001$")


def main():
    global EXAMPLE, RICH
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    EXAMPLE, RICH = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    if not shutil.which("gdb"):
        print("there is no gdb")
        sys.exit(77) # a skip, to meson
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)


if __name__ == "__main__":
    main()
