#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The console and the ends of runs, with a guest that sends back what it gets (echo.asm)."""
import os
import resource
import signal
import socket
import subprocess
import termios
import time

import common
from common import Case, deja, echo_guest

GREETING = b"echo guest\r\n"


def run(*more, **streams):
    return deja("run", "-kernel", echo_guest(), *more, **streams)


class Ends(Case):
    """How a run ends decides the status, and what is said."""

    def test_power_off_is_status_0_without_a_word(self):
        result = run(stdin=b"Q")
        self.assertStatus(result, 0)
        self.assertEqual((result.stdout, result.stderr), (GREETING, b""))

    def test_debug_exit_passes_its_code_on(self):
        self.assertStatus(run("-device", "isa-debug-exit,iobase=0xf4,iosize=4", stdin=b"E"), 43)

    def test_triple_fault_is_status_3_with_the_state_and_the_code(self):
        result = run(stdin=b"T")
        self.assertStatus(result, 3)
        for text in (b"triple fault", b"EAX", b"CR0", b"ud2", b"deja record"):
            self.assertIn(text, result.stderr)

    def test_reported_panic_is_status_3(self):
        result = run(stdin=b"P")
        self.assertStatus(result, 3)
        self.assertIn(b"panic", result.stderr)

    def test_guest_that_panicked_and_spins_is_stopped(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.send(b"P")
        self.assertEqual(guest.process.wait(common.TIMEOUT), 3)

    def test_halt_with_interrupts_off_ends_the_run(self):
        result = run(stdin=b"H")
        self.assertStatus(result, 0)
        self.assertIn(b"halted", result.stderr)

    def test_reset_starts_the_guest_again(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.expect(GREETING)
        guest.send(b"R")
        guest.expect(GREETING)
        guest.send(b"Q")
        self.assertEqual(guest.finish()[0], 0)

    def test_no_reboot_ends_at_a_reset(self):
        result = run("-no-reboot", stdin=b"RQ")
        self.assertStatus(result, 0)
        self.assertEqual(result.stdout, GREETING)

    def test_interrupt_stops_the_run(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            guest = self.live("run", "-kernel", echo_guest())
            guest.expect(GREETING)
            guest.signal(sig)
            self.assertEqual(guest.finish()[0], 0)

    def test_stats_go_to_standard_error(self):
        result = run("--stats", "--seed", "77", stdin=b"Q")
        self.assertStatus(result, 0)
        self.assertEqual(result.stdout, GREETING)
        self.assertRegex(result.stderr.decode(), r"(?s)instructions: .*seed: +77\n")


class Streams(Case):
    """Standard input and output that are no terminal."""

    def test_bytes_come_through_unchanged_and_in_order(self):
        text = bytes(b for b in range(256) if not chr(b).isupper()) * 40
        result = run(stdin=text)
        self.assertStatus(result, 0)
        self.assertEqual(result.stdout, GREETING + text + b"carrier lost\r\n")

    def test_null_device_on_standard_input_is_no_end_of_input(self):
        guest = subprocess.Popen([common.DEJA, "run", "-kernel", echo_guest()],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.addCleanup(guest.stdout.close)
        self.assertEqual(guest.stdout.read(len(GREETING)), GREETING)
        time.sleep(0.3)
        self.assertIsNone(guest.poll())
        guest.send_signal(signal.SIGINT)
        self.assertEqual(guest.stdout.read(), b"")
        self.assertEqual(guest.wait(common.TIMEOUT), 0)

    def test_closed_standard_descriptors_do_no_harm(self):
        command = f'exec "{common.DEJA}" run -kernel "{echo_guest()}" -serial file:{self.path("out")}'
        shell = subprocess.Popen(["/bin/sh", "-c", command + " <&- >&- 2>&-"])
        while not os.path.exists(self.path("out")) or not os.path.getsize(self.path("out")):
            self.assertIsNone(shell.poll())
            time.sleep(0.02)
        shell.terminate()
        self.assertEqual(shell.wait(common.TIMEOUT), 0)
        with open(self.path("out"), "rb") as out:
            self.assertEqual(out.read(), GREETING)

    def test_slow_reader_gets_everything(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.send(b"FQ")
        time.sleep(1)
        while guest.read_some(time.monotonic() + common.TIMEOUT):
            time.sleep(0.001)
        self.assertEqual(guest.output, GREETING + b"012345678\n" * 100000)
        self.assertEqual(guest.finish()[0], 0)

    def test_reader_that_goes_away_stops_the_run_and_is_told(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.expect(GREETING)
        guest.process.stdout.close()
        guest.send(b"F")
        self.assertEqual(guest.process.wait(common.TIMEOUT), 2)
        self.assertIn(b"standard output", guest.process.stderr.read())

    def test_stop_is_obeyed_while_nobody_reads(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.send(b"F")
        time.sleep(0.5)
        guest.signal(signal.SIGINT)
        self.assertEqual(guest.process.wait(common.TIMEOUT), 0)

    def test_full_file_ends_the_run_and_is_told(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

        with open(self.path("out"), "wb") as out:
            guest = subprocess.Popen([common.DEJA, "run", "-kernel", echo_guest()],
                                     stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=out,
                                     preexec_fn=limit)
        _, errors = guest.communicate(b"FQ", timeout=common.TIMEOUT)
        self.assertEqual(guest.returncode, 2)
        self.assertIn(b"standard output: File too large", errors)


class Places(Case):
    """-serial and -debugcon."""

    def test_file_gets_the_output(self):
        guest = self.live("run", "-kernel", echo_guest(), "-serial", "file:" + self.path("out"))
        while not os.path.exists(self.path("out")) or not os.path.getsize(self.path("out")):
            time.sleep(0.02)
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.finish()[0], 0)
        with open(self.path("out"), "rb") as out:
            self.assertEqual(out.read(), GREETING)

    def test_debug_ports_lead_to_the_debug_console(self):
        result = run("-debugcon", "file:" + self.path("debug"), stdin=b"DQ")
        self.assertStatus(result, 0)
        with open(self.path("debug"), "rb") as out:
            self.assertEqual(out.read(), b"dd")

    def test_socket_is_connected_to(self):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(self.path("sock"))
            server.listen()
            guest = self.live("run", "-kernel", echo_guest(), "-serial", "unix:" + self.path("sock"))
            client, _ = server.accept()
            with client:
                self.talk(client)
            self.assertEqual(guest.finish()[0], 0)

    def test_socket_is_listened_on_and_the_guest_waits_for_the_client(self):
        guest = self.live("run", "-kernel", echo_guest(), "-serial",
                          "unix:" + self.path("sock") + ",server")
        self.assertIn(b"waiting", guest.process.stderr.readline())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path("sock"))
            self.talk(client)
        self.assertEqual(guest.finish()[0], 0)

    def test_server_takes_a_second_client(self):
        guest = self.live("run", "-kernel", echo_guest(), "-serial",
                          "unix:" + self.path("sock") + ",server,nowait")
        with self.connect() as client:
            client.sendall(b"first")
            got = self.receive(client, until=b"first")
            # Nobody need be there for the greeting: the guest does not wait.
            self.assertTrue((GREETING + b"first").endswith(got), got)
        with self.connect() as client:
            client.sendall(b"second")
            self.assertEqual(self.receive(client, until=b"second"), b"second")
        with self.connect() as client:
            client.sendall(b"Q")
            self.assertEqual(guest.process.wait(common.TIMEOUT), 0)

    def test_pty_is_named_and_works(self):
        guest = self.live("run", "-kernel", echo_guest(), "-serial", "pty")
        name = guest.process.stderr.readline().split()[-1]
        slave = os.open(name, os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, slave)
        os.write(slave, b"hello")
        got = b""
        while b"hello" not in got:
            got += os.read(slave, 100)
        os.write(slave, b"Q")
        self.assertEqual(guest.process.wait(common.TIMEOUT), 0)

    def connect(self):
        """Connects when deja has come so far that it listens."""
        deadline = time.monotonic() + common.TIMEOUT
        client = socket.socket(socket.AF_UNIX)
        while True:
            try:
                client.connect(self.path("sock"))
                return client
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def receive(self, client, until):
        """Receives until what came ends so; it may come in pieces."""
        client.settimeout(common.TIMEOUT)
        got = b""
        while not got.endswith(until):
            data = client.recv(1000)
            self.assertNotEqual(data, b"", got)
            got += data
        return got

    def talk(self, client):
        expected = GREETING + b"hello"
        client.sendall(b"hello")
        self.assertEqual(self.receive(client, until=b"hello"), expected)
        client.sendall(b"Q")
        self.assertEqual(client.recv(100), b"")


class Terminal(Case):
    """A terminal on standard input: raw, with an escape key, and given back as it was."""

    def start(self, *more):
        guest = self.live("run", "-kernel", echo_guest(), *more, terminal=True)
        guest.expect(GREETING)
        return guest

    def assertRestored(self, guest):
        self.assertEqual(termios.tcgetattr(guest.slave), guest.mode_before)

    def test_every_key_is_the_guests(self):
        guest = self.start()
        guest.send(b"\x03\x1a\x1c\x04.")
        guest.expect(b"\x03\x1a\x1c\x04.")
        guest.send(b"Q")
        self.assertEqual(guest.finish()[0], 0)
        self.assertRestored(guest)

    def test_escape_x_ends_the_run(self):
        guest = self.start()
        guest.send(b"\x01x")
        self.assertEqual(guest.finish()[0], 0)
        self.assertRestored(guest)

    def test_escape_a_sends_the_escape_itself(self):
        guest = self.start()
        guest.send(b"<\x01a>")
        guest.expect(b"<\x01>")
        guest.send(b"\x01x")
        self.assertEqual(guest.finish()[0], 0)

    def test_escape_r_resets_the_guest(self):
        guest = self.start()
        guest.send(b"\x01r")
        guest.expect(GREETING)
        guest.send(b"\x01x")
        self.assertEqual(guest.finish()[0], 0)

    def test_escape_h_helps(self):
        guest = self.start()
        guest.send(b"\x01h\x01x")
        status, errors = guest.finish()
        self.assertEqual(status, 0)
        self.assertIn("Ctrl-A x", errors)

    def test_escape_may_come_in_two_reads(self):
        guest = self.start()
        guest.send(b"\x01")
        time.sleep(0.2)
        guest.send(b"x")
        self.assertEqual(guest.finish()[0], 0)

    def test_terminal_is_restored_when_killed(self):
        for sig in (signal.SIGTERM, signal.SIGSEGV, signal.SIGQUIT, signal.SIGABRT):
            guest = self.start()
            self.assertNotEqual(termios.tcgetattr(guest.slave), guest.mode_before)
            guest.signal(sig)
            guest.process.wait(common.TIMEOUT)
            self.assertRestored(guest)


class Sandbox(Case):
    def test_running_guest_is_inside_a_filter(self):
        guest = self.live("run", "-kernel", echo_guest())
        guest.expect(GREETING)
        with open(f"/proc/{guest.process.pid}/status", encoding="ascii") as status:
            mode = dict(line.split(":", 1) for line in status)["Seccomp"].strip()
        guest.send(b"Q")
        self.assertEqual(guest.finish()[0], 0)
        if os.environ.get("DEJA_TEST_SANITIZED") == "1":
            self.assertEqual(mode, "0")
        else:
            self.assertEqual(mode, "2")

    def test_forbidden_call_kills_and_is_named(self):
        if os.environ.get("DEJA_TEST_SANITIZED") == "1":
            self.skipTest("built with a sanitizer: runs without the filter")
        commands = ["set confirm off", "handle SIGSYS nostop noprint pass", "break live_run_to",
                    f"run run -kernel {echo_guest()} < /dev/null",
                    'print (int)open("/etc/passwd", 0)']
        result = subprocess.run(["gdb", "-q", "-nx", "-batch", common.DEJA] +
                                [word for c in commands for word in ("-ex", c)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=common.TIMEOUT)
        self.assertRegex(result.stdout.decode(), r"deja: killed: it made system call \d+, which")
        self.assertIn(b"terminated with signal SIGSYS", result.stdout)


if __name__ == "__main__":
    common.main()
