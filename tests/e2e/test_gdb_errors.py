#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What goes wrong between deja and a debugger: addresses, traces, options, packets, clients. It is said, the
status is 2 where the user can mend it, and a guest never suffers from its debugger."""
import os
import random
import socket
import subprocess
import tempfile
import time

import common
import gdb_client
from common import deja
from gdb_client import PROBE, SWITCH, Client, GdbCase, framed, run_gdb, symbols_of

RUN = ("run", "-m", "64M", "-kernel", PROBE)


class Usage(GdbCase):
    """Said at once, with status 2, before anything runs."""

    def assertRefused(self, args, *texts):
        result = deja(*args, stdin=None)
        self.assertStatus(result, 2)
        self.assertEqual(result.stdout, b"")
        errors = result.stderr.decode()
        self.assertEqual(len(errors.splitlines()), 1, errors)
        for text in texts:
            self.assertIn(text, errors)

    def commands(self):
        trace = self.record("t.deja", "-kernel", SWITCH)
        yield "run", RUN
        yield "record", ("record", "-o", self.path("new.deja"), *RUN[1:])
        yield "replay", ("replay", trace)

    def test_addresses_that_are_none(self):
        for name, command in self.commands():
            for address, text in (("tcp:notaport", "port"), ("tcp:99999", "port"), ("tcp:", "port"), ("1234", "tcp:"),
                                  ("pigeon:1", "stdio"), ("unix:", "path"), ("unix:/nowhere/at/all", "No such file"),
                                  ("tcp:192.0.2.1:0", "192.0.2.1"), ("unix:" + "x" * 200, "longer"), ("", "address")):
                with self.subTest(command=name, address=address):
                    self.assertRefused((*command, "-gdb", address), "-gdb", address, text)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for name, command in self.commands():
                with self.subTest(name):
                    self.assertRefused((*command, "-gdb", f"tcp:{port}"), str(port), "in use")
        with socket.socket(socket.AF_UNIX) as taken:
            taken.bind(self.path("taken"))
            taken.listen()
            for name, command in self.commands():
                with self.subTest(name):
                    self.assertRefused((*command, "-gdb", "unix:" + self.path("taken")), "listens there already")

    def test_file_that_is_no_socket_is_left_alone(self):
        with open(self.path("precious"), "w", encoding="utf-8") as file:
            file.write("data")
        for name, command in self.commands():
            with self.subTest(name):
                self.assertRefused((*command, "-gdb", "unix:" + self.path("precious")), "not a socket")
        with open(self.path("precious"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "data")

    def test_stopped_without_a_debugger(self):
        self.assertRefused((*RUN, "-S"), "-S", "-gdb")
        self.assertRefused(("record", "-o", self.path("t"), *RUN[1:], "-S"), "-S", "-gdb")

    def test_standard_input_cannot_be_both(self):
        self.assertRefused((*RUN, "-gdb", "stdio"), "stdio", "-serial")
        self.assertRefused((*RUN, "-gdb", "stdio", "-serial", "stdio"), "stdio", "-serial")

    def test_options_without_their_values(self):
        self.assertRefused((*RUN, "-gdb"), "gdb")
        trace = self.record("t.deja", "-kernel", SWITCH)
        self.assertRefused(("replay", trace, "--gdb"), "--gdb")
        self.assertRefused(("replay", trace, "--gdb", "tcp:0", "--until", "soon"), "soon")
        self.assertRefused(("replay", trace, "--gdb", "tcp:0", "--checkpoint-mem", "0"), "checkpoint-mem")
        self.assertRefused(("debug", trace, "--at", "noon"), "noon")
        self.assertRefused(("debug",), "trace")
        self.assertRefused(("debug", trace, "a", "b"), "b")
        self.assertRefused(("debug", trace, "--nonsense", "x"), "nonsense")

    def test_debug_without_gdb(self):
        trace = self.record("t.deja", "-kernel", SWITCH)
        with tempfile.TemporaryDirectory() as tmp:
            result = deja("debug", trace, "--gdb", "/no/such/gdb", stdin=None, env=dict(os.environ, TMPDIR=tmp))
            self.assertStatus(result, 2)
            self.assertIn(b"/no/such/gdb", result.stderr)
            self.assertIn(b"install gdb", result.stderr)
            self.assertEqual(os.listdir(tmp), [])
            # One that is no gdb: nobody stays behind who would keep our pipes open.
            self.assertStatus(deja("debug", trace, "--gdb", "/bin/true", stdin=None,
                                   env=dict(os.environ, TMPDIR=tmp)), 0)


class Traces(GdbCase):
    """Recordings that are missing, cut or none."""

    def test_missing(self):
        for command in (("replay", self.path("none"), "--gdb", "tcp:0"), ("debug", self.path("none"))):
            result = deja(*command, stdin=None)
            self.assertStatus(result, 2)
            self.assertIn(b"No such file", result.stderr)

    def test_none(self):
        with open(self.path("text"), "w", encoding="utf-8") as file:
            file.write("this is no trace\n" * 100)
        with open(self.path("empty"), "wb"):
            pass
        for name in ("text", "empty"):
            for command in (("replay", self.path(name), "--gdb", "tcp:0"), ("debug", self.path(name))):
                with self.subTest(command):
                    result = deja(*command, stdin=None)
                    self.assertStatus(result, 2)
                    self.assertIn(name.encode(), result.stderr)

    def cut(self, share):
        """A recording with some typing in it, cut at that share of its bytes: without index, without end."""
        if not os.path.exists(self.path("whole.deja")):
            guest = self.live("record", "-o", self.path("whole.deja"), "--seed", "7", "-kernel", common.echo_guest())
            for i in range(60):
                guest.send(b"line %d\n" % i)
                guest.expect(b"line %d\n" % i)
            guest.send(b"Q")
            self.assertEqual(guest.finish()[0], 0)
        with open(self.path("whole.deja"), "rb") as file:
            data = file.read()
        with open(self.path("cut.deja"), "wb") as file:
            file.write(data[:int(len(data) * share)])
        return self.path("cut.deja")

    def test_cut_recording_is_walked_as_far_as_it_goes(self):
        start = 0x100020
        for share in (0.5, 0.9, 0.99):
            with self.subTest(share):
                trace = self.cut(share)
                plain = deja("replay", trace, stdin=None)
                self.assertStatus(plain, 0)
                # The last one lacks nothing but its index.
                self.assertIn(b"cut off" if share < 0.99 else b"replay exact", plain.stderr)
                server = self.serve("replay", trace)
                client = self.client(server)
                client.insert(1, start)
                stop = client.resume("c")
                self.assertEqual((stop.kind, stop.reasons), ("T", {"replaylog": "end"}))
                end = client.when()
                digest = client.digest()
                self.assertGreater(end, (1000, 0))
                self.assertIn(f"{end[0]:,} instructions", plain.stderr.decode())
                for _ in range(3):
                    client.resume("bs")
                client.resume("bc")
                self.assertEqual(client.when(), (0, 0))
                client.monitor("seek end")
                self.assertEqual((client.when(), client.digest()), (end, digest))
                client.send_packet("k")
                self.assertEqual(server.wait(), 0)
                self.assertEqual(server.out.data, plain.stdout)

    def test_cut_recording_in_gdb(self):
        out = run_gdb(self.serve("replay", self.cut(0.9)).address, "continue", "monitor when", "reverse-stepi",
                      "monitor events", "monitor checkpoints", "info registers rip")
        self.assertIn("No more reverse-execution history", out[0])
        self.assertRegex(out[1], r"^instruction ([\d,]+) of \1, ") # where it is cut is known now
        self.assertIn("input serial 0", out[3])
        out = subprocess.run([common.DEJA, "debug", self.path("cut.deja"), "--", "-nx", "-batch", "-ex", "deja-when"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=common.TIMEOUT, check=True).stdout.decode()
        self.assertRegex(out, r"(?m)^instruction ([\d,]+) of \1, ")

    def test_killed_recording_under_gdb(self):
        """The recorder is killed while gdb has the guest stopped: it replays to what gdb did last."""
        symbols = symbols_of(PROBE)
        trace = self.path("t.deja")
        server = self.serve("record", "-o", trace, "--seed", "7", *RUN[1:], "-append", "=CBW", "-S")
        client = self.client(server)
        client.insert(1, symbols["spin"])
        client.resume("c")
        client.remove(1, symbols["spin"])
        self.assertEqual(client.write(symbols["target"], b"changed"), "OK")
        time.sleep(1.5) # flushed every second at the latest
        server.process.kill()
        server.process.wait()
        server.out.thread.join()
        self.assertExactReplay(trace, server.out.data)
        client = self.client(self.serve("replay", trace))
        client.resume("c")
        self.assertEqual(client.register("rip"), symbols["spin"])
        self.assertEqual(client.read(symbols["target"], 7), b"changed")


class Packets(GdbCase):
    """Bytes that no gdb sends."""

    def checked(self, kind):
        if kind == "replay":
            return self.serve("replay", self.record("t.deja", "-kernel", SWITCH))
        return self.serve(*RUN, "-append", "=RSC", "-S")

    def each(self):
        for kind in ("run", "replay"):
            with self.subTest(kind):
                server = self.checked(kind)
                yield server, self.client(server)

    def assertAnswers(self, client):
        """Still there, still sane: after what came before has been answered."""
        client.send(b"+" + framed(b"qC"))
        text = b""
        while not text.endswith(framed(b"QC1")):
            text += client.byte()
        client.send(b"+")

    def test_garbage(self):
        for server, client in self.each():
            before = client.when()
            for data in (b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", bytes(range(4, 256)), b"+" * 5000, b"-" * 50,
                         b"$#", b"$#00", b"$#zz", b"##", b"$m10,10#00", b"$$$$", b"$}#5d", b"}" * 9):
                client.send(data)
                self.assertAnswers(client)
            client.close()
            self.assertEqual(self.client(server).when(), before)

    def test_requests_that_make_no_sense(self):
        requests = ["m", "m,", "mzz,4", "m0", "m0,", "m0,fffffffffffffffff", "m-1,4", "M0,4:zz", "M0,4:00",
                    "M0,1:0000", "G", "G00", "P", "P0", "P0=", "P0=zz", "P999=00", "P0=" + "00" * 9, "p",
                    "pffff", "pzz", "Z", "Z0", "Z9,0,1", "Z2,0,0", "Z2,ffffffffffffffff,2", "z0", "Z0,zz,1",
                    "Z0,0,1;X2,27", "Z0,0,1;Xffff,27", "vCont", "vCont;", "vCont;q", "vCont;s:9", "vCont;r",
                    "vCont;r5", "vCont;s:1;;", "H", "Hg99", "Hzz", "T99", "qXfer", "qXfer:",
                    "qXfer:features:read:target.xml", "qXfer:features:read:target.xml:z,1",
                    "qXfer:features:read:x.xml:0,10", "qXfer:nothing:read::0,10",
                    "qXfer:features:write:target.xml:0:x", "qRcmd", "qRcmd,", "qRcmd,zz", "qRcmd,0",
                    "qSearch:memory:0;10", "qSearch:memory:0;fffffffffff;", "qCRC:0,", "X0,4:ab", "x", "x0",
                    "vFile:open:2f,0,0", "vFile:pread:9,9,9", "vRun;;;", "vAttach;1", "R00", "!", "?", "i", "t",
                    "A", "b9600", "QStartNoAckMode;", "QPassSignals:zz", "Qqemu.PhyMemMode",
                    "Qqemu.PhyMemMode:7", "qqemu", "\x7f" * 30]
        for server, client in self.each():
            for request in requests:
                with self.subTest(request[:40]):
                    client.send(framed(request.encode("latin-1")))
                    self.assertAnswers(client)
            self.assertTrue(server.alive())

    def test_oversized(self):
        for server, client in self.each():
            for body in (b"m" * 200000, b"qRcmd," + b"41" * 100000, b"M0,10000:" + b"00" * 65536,
                         b"X0,ffff:" + b"}" * 99999):
                client.send(b"$" + body + b"#%02x" % (sum(body) & 255))
                self.assertAnswers(client)
            client.demand("m0,ffff" if server.args[0] == "run" else "m10000,10")
            self.assertAnswers(client)

    def test_partial_packets(self):
        for server, client in self.each():
            for byte in framed(b"m10000,4" if server.args[0] == "replay" else b"m200000,4"):
                client.send(bytes((byte,)))
            self.assertEqual(client.byte(), b"+")
            self.assertRegex(client.reply(), "^[0-9a-f]{8}$")
            client.send(b"$m10000,") # and then nothing more
            client.close()
            again = self.client(server)
            self.assertEqual(again.when(), (0, 0))
            again.send(b"$m10000,4#0") # cut short by a packet
            self.assertAnswers(again)

    def test_wrong_checksums_are_refused_until_they_do_not_count(self):
        for _, client in self.each():
            client.send(b"$?#00")
            self.assertEqual(client.byte(), b"-")
            client.send(b"$?#3f")
            self.assertEqual(client.byte(), b"+")
            first = client.receive_packet()
            client.send(b"-") # once more
            self.assertEqual(client.receive_packet(), first)
            client.start_no_ack()
            client.send(b"$?#00")
            self.assertEqual(client.receive_packet(), first)

    def test_requests_while_it_runs(self):
        server = self.serve(*RUN, "-append", "=CW", "-S")
        client = self.client(server)
        client.start("c")
        self.assertIsNotNone(server.out.expect(rb"\n"))
        for request in ("g", "m200000,4", "p0", "Z0,200000,1", "qRcmd,7768656e", "c", "s"):
            client.send(framed(request.encode()))
        client.send(b"\x03")
        deadline = time.monotonic() + common.TIMEOUT
        text = b""
        while b"$T02" not in text and time.monotonic() < deadline:
            text += client.byte()
        self.assertIn(b"$T02", text)
        self.assertTrue(server.alive())

    def mutated(self, rng, requests):
        data = bytearray(framed(rng.choice(requests)))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
            what = rng.randrange(3)
            at = rng.randrange(len(data))
            if what == 0:
                data[at] = rng.randrange(256)
            elif what == 1:
                del data[at:at + rng.randrange(4)]
            else:
                data[at:at] = rng.randbytes(rng.randrange(5))
            data = data or bytearray(b"$")
        if rng.random() < 0.8: # with a checksum that is right, where there is a packet
            begin, end = data.find(b"$"), data.rfind(b"#")
            if 0 <= begin < end:
                data[end:] = b"#%02x" % (sum(data[begin + 1:end]) & 255)
        return bytes(data)

    def connected(self, server, kind):
        """The server and a client; another server where a packet said 'k', or 'D' and the guest went to its end."""
        try:
            return server, server.client(handshake=False)
        except ConnectionRefusedError:
            self.assertIn(server.wait(), (0, 3), server.errors.data)
            server = self.checked(kind)
            return server, server.client(handshake=False)

    def test_mutated_packets(self):
        seed = int(os.environ.get("DEJA_TEST_SEED", "0")) or random.SystemRandom().getrandbits(32)
        print(f"DEJA_TEST_SEED={seed}", flush=True)
        requests = [b"g", b"p10", b"P1=0100000000000000", b"m10000,40", b"M11f00,4:01020304", b"X11f00,4:abcd",
                    b"Z0,1028f,1", b"Z2,106d8,4", b"Z1,1028f,1;X3,220127", b"z0,1028f,1", b"s", b"bs",
                    b"vCont;s:1", b"vCont;r10000,10010:1", b"qSupported:swbreak+;hwbreak+",
                    b"qXfer:features:read:target.xml:0,fff", b"qXfer:threads:read::0,ff",
                    b"qRcmd," + b"when".hex().encode(), b"qRcmd," + b"seek 5000".hex().encode(),
                    b"qRcmd," + b"info mem".hex().encode(), b"qRcmd," + b"events 0 5".hex().encode(),
                    b"qSearch:memory:10000;1000;abc", b"Hg1", b"Hc-1", b"T1", b"?", b"qfThreadInfo",
                    b"vFile:open:61,0,0", b"Qqemu.PhyMemMode:1", b"Qqemu.PhyMemMode:0", b"qOffsets",
                    b"G" + b"00" * 40]
        rng = random.Random(seed)
        for kind in ("run", "replay"):
            server = self.checked(kind)
            for _ in range(12):
                server, client = self.connected(server, kind)
                with client:
                    client.socket.settimeout(0.005)
                    try:
                        for _ in range(40):
                            client.send(self.mutated(rng, requests))
                            try:
                                client.socket.recv(65536)
                            except TimeoutError:
                                pass
                        client.send(b"\x03") # should it run
                    except ConnectionError: # a packet that says farewell
                        pass
            server, client = self.connected(server, kind)
            with client:
                client.send(b"\x03" + framed(b"?"))
                self.assertAnswers(client)


class Vanishing(GdbCase):
    """Clients that go without a word."""

    def long_recording(self):
        """Some forty million instructions."""
        return self.record("long.deja", "-kernel", PROBE, "-append", "=" + "B" * 80)

    def never(self, client):
        """A breakpoint that is reached all the time and never true: const8 0, end."""
        client.insert(0, symbols_of(PROBE)["bump"], 1, ";X3,220027")

    def assertQuickly(self, seconds, since):
        self.assertLess(time.monotonic() - since, seconds)

    def test_in_the_middle_of_a_long_reverse_continue(self):
        server = self.serve("replay", self.long_recording())
        client = self.client(server)
        client.monitor("seek end")
        end = client.when()
        self.never(client)
        client.start("bc")
        time.sleep(0.2)
        client.close()
        begun = time.monotonic()
        client = self.client(server) # at once, though the old one wanted much
        self.assertLessEqual(client.when(), end)
        self.assertQuickly(5, begun)
        client.resume("bs")
        client.monitor("seek 1000000")
        self.assertEqual(client.when(), (1000000, 0))
        client.send_packet("k")
        self.assertEqual(server.wait(), 0)

    def test_interrupt_of_a_long_reverse_continue(self):
        client = self.client(self.serve("replay", self.long_recording()))
        client.monitor("seek end")
        self.never(client)
        client.start("bc")
        time.sleep(0.2)
        begun = time.monotonic()
        stop = client.interrupt()
        self.assertQuickly(5, begun)
        self.assertIn((stop.signal, stop.reasons), [(2, {}), (5, {"replaylog": "begin"})])
        when, digest = client.when(), client.digest()
        client.monitor("seek end")
        client.monitor(f"seek {when[0]}+{when[1]}")
        self.assertEqual((client.when(), client.digest()), (when, digest))

    def test_interrupt_of_a_long_seek(self):
        client = self.client(self.serve("replay", self.long_recording()))
        client.send_packet("qRcmd," + b"seek end".hex())
        client.send(b"\x03")
        self.assertEqual(client.reply(), "OK")
        when, digest = client.when(), client.digest()
        client.monitor("seek begin")
        client.monitor(f"seek {when[0]}+{when[1]}")
        self.assertEqual((client.when(), client.digest()), (when, digest))

    def test_gdb_killed_again_and_again(self):
        symbols = symbols_of(PROBE)
        server = self.serve(*RUN, "-append", "=CW", "-S")
        for _ in range(5):
            gdb = subprocess.Popen(gdb_client.gdb_arguments(["continue"], PROBE, server.address),
                                   stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            while b"@@0@@" not in (line := gdb.stdout.readline()):
                self.assertNotEqual(line, b"")
            gdb.kill()
            gdb.wait()
            gdb.stdout.close()
            self.assertTrue(server.alive())
        with server.client() as client:
            self.assertEqual(client.write(symbols["go_on"], b"\1"), "OK")
            client.demand("D")
        self.assertEqual(server.wait(), 0)
        self.assertRegex(server.out.data, rb"^[a-p]{8}\n$")

    def test_client_that_does_not_read(self):
        server = self.serve("replay", self.record("t.deja", "-kernel", SWITCH))
        client = self.client(server)
        client.socket.settimeout(1)
        try:
            for _ in range(3000):
                client.send(framed(b"m10000,8000"))
        except (TimeoutError, ConnectionError):
            pass # it is thrown out, or not listened to
        client.close()
        again = self.client(server)
        self.assertEqual(again.when(), (0, 0))

    def test_connections_without_a_word(self):
        server = self.serve(*RUN, "-append", "=R", "-S")
        for _ in range(200):
            Client(server.address, handshake=False).close()
        client = self.client(server)
        self.assertEqual(client.when(), (0, 0))
        for _ in range(50):
            Client(server.address, handshake=False).close()
        self.assertEqual(client.resume("s").signal, 5)

    def test_termination_in_the_middle_of_a_long_reverse_continue(self):
        server = self.serve("replay", self.long_recording())
        client = self.client(server)
        client.monitor("seek end")
        self.never(client)
        client.start("bc")
        time.sleep(0.1)
        begun = time.monotonic()
        self.assertEqual(server.terminate(), 0)
        self.assertQuickly(5, begun)


if __name__ == "__main__":
    gdb_client.main()
