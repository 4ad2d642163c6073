# SPDX-License-Identifier: MIT
"""Debugger's side of the end-to-end tests: deja as a server, gdb in batch mode, and a client of our own that
speaks the remote protocol packet by packet.

    server = self.serve("run", "-kernel", KERNEL, "-S")
    out = self.gdb(server, "break main", "continue", "print $rip", symbols=KERNEL)
    out[2]                                  # what the third command printed
    with server.client() as client:
        stop = client.resume("c")           # Stop(signal=5, reasons={"swbreak": ""})
        client.register("rip")
"""
import os
import re
import socket
import subprocess
import sys
import threading
import time

import common
from common import Case

SWITCH = os.environ.get("DEJA_TEST_SWITCH", "")
PROBE = os.environ.get("DEJA_TEST_PROBE", "")
DEMO = os.environ.get("DEJA_TEST_DEMO", "")

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) # where gdb finds lines

WAITING = re.compile(rb"waiting for gdb: target remote (\S+)\n")
INTERRUPT = b"\x03"


class Collector:
    """Reads a stream into memory for as long as it lasts, so that its writer never waits."""

    def __init__(self, stream):
        self.stream = stream
        self.data = b""
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            piece = os.read(self.stream.fileno(), 65536)
            with self.changed:
                self.data += piece
                self.ended = piece == b""
                self.changed.notify_all()
            if piece == b"":
                return

    def expect(self, pattern, timeout=None):
        """The first match; None: the stream ended, or the time is over."""
        deadline = time.monotonic() + (common.TIMEOUT if timeout is None else timeout)
        with self.changed:
            while True:
                match = re.search(pattern, self.data)
                if match or self.ended or time.monotonic() > deadline:
                    return match
                self.changed.wait(max(0.01, deadline - time.monotonic()))

    def close(self):
        self.thread.join(common.TIMEOUT)
        self.stream.close()


class Server:
    """A running deja that serves gdb."""

    def __init__(self, *args, stdin=subprocess.DEVNULL):
        self.args = args
        self.process = subprocess.Popen([common.DEJA, *args], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.out = Collector(self.process.stdout)
        self.errors = Collector(self.process.stderr)
        self.address = None

    def wait_until_ready(self):
        match = self.errors.expect(WAITING)
        if match is None:
            self.process.kill()
            raise AssertionError(f"deja {' '.join(self.args)} does not wait for gdb:\n" +
                                 self.errors.data.decode(errors="replace"))
        self.address = match.group(1).decode()

    def send(self, data):
        """To the guest's serial line."""
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def client(self, **more):
        return Client(self.address, **more)

    def alive(self):
        return self.process.poll() is None

    def wait(self):
        """For the end of the process by itself. Its status."""
        try:
            self.process.wait(common.TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"deja {' '.join(self.args)} did not end:\n" +
                                 self.errors.data.decode(errors="replace")) from None
        self.errors.thread.join(common.TIMEOUT)
        self.out.thread.join(common.TIMEOUT)
        return self.process.returncode

    def terminate(self):
        self.process.terminate()
        return self.wait()

    def close(self):
        if self.alive():
            self.process.kill()
            self.process.wait()
        elif self.process.returncode not in (0, 1, 2, 3): # it crashed: why that is, the test cannot know
            self.errors.thread.join(common.TIMEOUT)
            print(f"deja {' '.join(self.args)}: {self.process.returncode}\n" +
                  self.errors.data.decode(errors="replace"), flush=True)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.out.close()
        self.errors.close()


class Output(list):
    """What each command of a gdb printed; `text` is all of it."""

    def __init__(self, text, count):
        super().__init__([""] * count)
        self.text = text
        pieces = re.split(r"\n?@@(\d+)@@\n", text)
        for number, piece in zip(pieces[1::2], pieces[2::2]):
            self[int(number)] = piece.strip("\n")


def gdb_arguments(commands, symbols=None, connect=None, early=()):
    args = ["gdb", "-nx", "-q", "-batch"]
    for command in ("set confirm off", "set pagination off", "set width 0", "set remotetimeout 30", *early):
        args += ["-iex", command]
    if symbols:
        args.append(symbols)
    if connect:
        args += ["-ex", f"target remote {connect}"]
    for i, command in enumerate(commands):
        args += ["-ex", f"echo \\n@@{i}@@\\n", "-ex", command]
    return args + ["-ex", f"echo \\n@@{len(commands)}@@\\n"]


def run_gdb(address, *commands, symbols=None, early=(), status=0):
    """gdb in batch mode, connected; a command that fails is no reason to stop. Its Output."""
    result = subprocess.run(gdb_arguments(commands, symbols, address, early), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=common.TIMEOUT,
                            cwd=SOURCES)
    text = result.stdout.decode(errors="replace")
    if status is not None and result.returncode != status:
        raise AssertionError(f"gdb ended with {result.returncode}:\n{text}")
    return Output(text, len(commands) + 1)


# --- packets ---

class Stop:
    """A stop reply: T05...;"""

    def __init__(self, text):
        self.text = text
        self.kind = text[:1]
        self.signal = int(text[1:3], 16) if text[:1] in ("T", "S", "W", "X") else None
        self.registers = {}
        self.reasons = {}
        for field in text[3:].split(";") if self.kind == "T" else []:
            if not field:
                continue
            name, value = field.split(":", 1)
            if re.fullmatch(r"[0-9a-f]+", name):
                self.registers[int(name, 16)] = int.from_bytes(bytes.fromhex(value), "little")
            else:
                self.reasons[name] = value
        self.reasons.pop("thread", None)

    def __repr__(self):
        return f"Stop({self.text})"


class Failed(Exception):
    """The stub answered by an error."""


def framed(body):
    escaped = bytearray()
    for byte in body:
        if byte in b"#$}*":
            escaped += bytes((0x7d, byte ^ 0x20))
        else:
            escaped.append(byte)
    return b"$%s#%02x" % (bytes(escaped), sum(escaped) & 255)


class Client:
    """A debugger's end of the remote protocol (GDB manual, appendix E)."""

    def __init__(self, address, features="swbreak+;hwbreak+;vContSupported+;multiprocess-", handshake=True):
        self.console = ""
        self.no_ack = False
        self.pending = b""
        self.names = None
        if address.startswith("/") or address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(common.TIMEOUT)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host.strip("[]"), int(port)), common.TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if handshake:
            self.supported = self.request("qSupported:" + features).split(";")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # bytes

    def send(self, data):
        self.socket.sendall(data)

    def byte(self):
        while not self.pending:
            self.pending = self.socket.recv(65536)
            if not self.pending:
                raise EOFError("the server closed the connection")
        first, self.pending = self.pending[:1], self.pending[1:]
        return first

    def gone(self):
        """Whether the server closes the connection; what it sends before is dropped."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    # packets

    def send_packet(self, body):
        """Sends, and takes the acknowledgement."""
        if isinstance(body, str):
            body = body.encode("latin-1")
        self.send(framed(body))
        if not self.no_ack:
            ack = self.byte()
            if ack != b"+":
                raise AssertionError(f"{body!r} is answered by {ack!r}, not '+'")

    def receive_packet(self):
        """One packet's body, acknowledged."""
        while (first := self.byte()) != b"$":
            raise AssertionError(f"{first!r} between packets")
        raw, body = bytearray(), bytearray()
        while (byte := self.byte()) != b"#":
            raw += byte
        claimed = int(self.byte() + self.byte(), 16)
        if claimed != sum(raw) & 255:
            raise AssertionError(f"checksum {claimed:02x} is wrong: {bytes(raw)!r}")
        i = 0
        while i < len(raw):
            if raw[i] == 0x7d:
                body.append(raw[i + 1] ^ 0x20)
                i += 2
            elif raw[i] == 0x2a:
                body += body[-1:] * (raw[i + 1] - 29)
                i += 2
            else:
                body.append(raw[i])
                i += 1
        if not self.no_ack:
            self.send(b"+")
        return bytes(body).decode("latin-1")

    def reply(self):
        """The next packet that is no text for the user; that goes to `console`."""
        while True:
            text = self.receive_packet()
            if not re.fullmatch(r"O([0-9a-f]{2})+", text):
                return text
            self.console += bytes.fromhex(text[1:]).decode(errors="replace")

    def request(self, body):
        self.send_packet(body)
        return self.reply()

    def demand(self, body):
        """A request whose answer must not be an error."""
        reply = self.request(body)
        if reply == "" or re.match(r"E([0-9a-f]{2}$|\.)", reply):
            raise Failed(f"{body[:80]!r}: {reply!r}")
        return reply

    def start_no_ack(self):
        self.demand("QStartNoAckMode")
        self.no_ack = True

    # what is asked for

    def monitor(self, command):
        """What a monitor command prints."""
        before = self.console
        self.console = ""
        self.demand("qRcmd," + command.encode().hex())
        text, self.console = self.console, before
        return text

    def resume(self, how):
        """c, s, bc, bs, vCont;...: the stop."""
        return Stop(self.demand(how))

    def start(self, how):
        """As resume, without waiting: stop() or interrupt() comes later."""
        self.send_packet(how)

    def stop(self):
        return Stop(self.reply())

    def interrupt(self):
        self.send(INTERRUPT)
        return self.stop()

    def object(self, name, annex=""):
        text = ""
        while True:
            piece = self.demand(f"qXfer:{name}:read:{annex}:{len(text):x},4000")
            text += piece[1:]
            if piece[0] == "l":
                return text

    def numbers(self):
        """Registers by name: (number, bytes)."""
        if self.names is None:
            found = re.findall(r'<reg name="(\w+)" bitsize="(\d+)"[^>]* regnum="(\d+)"',
                               self.object("features", "target.xml"))
            self.names = {name: (int(number), int(bits) // 8) for name, bits, number in found}
        return self.names

    def register(self, name):
        number, _ = self.numbers()[name]
        return int.from_bytes(bytes.fromhex(self.demand(f"p{number:x}")), "little")

    def set_register(self, name, value):
        number, size = self.numbers()[name]
        return self.request(f"P{number:x}=" + value.to_bytes(size, "little").hex())

    def read(self, address, length):
        return bytes.fromhex(self.demand(f"m{address:x},{length:x}"))

    def write(self, address, data):
        return self.request(f"M{address:x},{len(data):x}:{data.hex()}")

    def insert(self, kind, address, length=1, condition=""):
        return self.demand(f"Z{kind},{address:x},{length:x}{condition}")

    def remove(self, kind, address, length=1):
        return self.demand(f"z{kind},{address:x},{length:x}")

    def when(self):
        """(instruction, entries) by `monitor when`."""
        match = re.match(r"instruction ([\d,]+)(?:\+(\d+))?", self.monitor("when"))
        return int(match.group(1).replace(",", "")), int(match.group(2) or 0)

    def digest(self):
        return self.monitor("digest").strip()


# --- cases ---

class GdbCase(Case):
    """Servers, gdbs and clients that are gone after the test."""

    def serve(self, command, *args, where="tcp:0", stdin=subprocess.DEVNULL):
        server = Server(command, *args, "-gdb", where, stdin=stdin)
        self.addCleanup(server.close)
        server.wait_until_ready()
        return server

    def client(self, server, **more):
        client = server.client(**more)
        self.addCleanup(client.close)
        return client

    def gdb(self, server, *commands, **more):
        return run_gdb(server.address, *commands, **more)

    def record(self, name, *args):
        """A recording made without a debugger, the guest's end a good one."""
        trace = self.path(name)
        result = common.deja("record", "-o", trace, "--seed", "7", "-m", "64M", *args, stdin=None)
        self.assertStatus(result, 0)
        return trace

    def dump(self, trace):
        """Its events and digests, without what names the file."""
        result = common.deja("dump", trace, stdin=None)
        self.assertStatus(result, 0)
        return result.stdout.decode().replace(trace, "")


def symbols_of(path):
    """The symbols of an ELF: addresses by name."""
    text = subprocess.run(["nm", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    found = {}
    for line in text.splitlines():
        address, _, name = line.rsplit(" ", 2)
        found[name] = int(address, 16)
    return found


def main():
    for name in ("gdb", "nm"):
        if subprocess.call(["which", name], stdout=subprocess.DEVNULL) != 0:
            print(f"{name} is not installed")
            sys.exit(77)
    common.main()
