#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja bisect --run` and `--gdb-script`: commands that judge, that misbehave, that are interrupted.

The answers are compared with those of --when, which check_bisect.py compares with asking at every moment.

usage: check_bisect_run.py DEJA DEMO_ELF GUESTS [unittest arguments]
"""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DEJA, DEMO_ELF, GUESTS = (os.path.abspath(path) for path in sys.argv[1:4])
del sys.argv[1:4]

PATIENCE_S = 240

# A client that speaks gdb's protocol as far as the tests need it, and misbehaves on demand. Begun as
# `client.py TICKS LIMIT [what else]`: bad from the moment on at which the guest's counter has reached the limit.
CLIENT = r'''
import os, socket, sys, time

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(os.environ["DEJA_GDB"])
    return s

def send(s, text):
    s.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) & 255))

def packet(s):
    data = b""
    while b"#" not in data or len(data) < data.index(b"#") + 3:
        got = s.recv(65536)
        if not got:
            raise SystemExit("client.py: the server has left: %r" % data)
        data += got
    s.sendall(b"+")
    return data[data.index(b"$") + 1:data.index(b"#")].decode()

def ask(s, text):
    send(s, text)
    return packet(s)

def note(text):
    with open(os.environ["NOTES"], "a") as f:
        f.write(text + "\n")

def linger(s):
    """What a command may leave behind: another process with its connection, that wants to come back."""
    if os.fork() == 0:
        os.setsid()
        gone = False
        try:
            while not gone:
                gone = s.recv(4096) == b""
        except ConnectionResetError:
            gone = True
        try:
            connect()
            note("came back")
        except OSError:
            note("gone" if gone else "still there")
        os._exit(0)

ticks, limit, how = int(sys.argv[1], 0), int(sys.argv[2]), sys.argv[3:]
s = connect()
value = int.from_bytes(bytes.fromhex(ask(s, "m%x,8" % ticks)), "little")
pc = ask(s, "p10")
if "write" in how:
    assert ask(s, "M%x,8:ffffffffffffff7f" % ticks) == "OK"
    assert ask(s, "P10=0000000000000000") == "OK"
    assert ask(s, "m%x,8" % ticks) == "ffffffffffffff7f"
if "run" in how:
    assert ask(s, "Z0,%x,1" % int.from_bytes(bytes.fromhex(pc), "little")) == "OK"
    assert ask(s, "Z2,%x,8" % ticks) == "OK"
    ask(s, "bc"); ask(s, "s"); ask(s, "bs"); ask(s, "c")
if "again" in how:
    s.close()
    s = connect()
    assert (ask(s, "m%x,8" % ticks), ask(s, "p10")) == (value.to_bytes(8, "little").hex(), pc)
if "kill" in how:
    send(s, "k")
if "half" in how:
    s.sendall(b"$m1")
if "running" in how:
    send(s, "c")
if "linger" in how:
    linger(s)
sys.exit(1 if value >= limit else 0)
'''


def symbols():
    table = subprocess.run(["nm", DEMO_ELF], capture_output=True, text=True, check=True).stdout
    return {name: int(value, 16) for value, _, name in (line.split() for line in table.splitlines())}


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("never came: " + what)
        time.sleep(0.02)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory(prefix="deja-bisect-run-")
        cls.trace = os.path.join(cls.shared.name, "demo.deja")
        cls.run_deja("record", "-o", cls.trace, "--seed", "1")
        cls.run_deja("index", cls.trace)
        cls.client = os.path.join(cls.shared.name, "client.py")
        with open(cls.client, "w") as f:
            f.write(CLIENT)
        cls.ticks = symbols()["ticks"]
        cls.truth = json.loads(cls.run_deja("bisect", cls.trace, "--json", "--when", "u64[ticks] >= 777").stdout)
        cls.turn = cls.truth["first"]["icount"]
        cls.around = f"{cls.turn - 30_000}..{cls.turn + 20_000}"

    @classmethod
    def tearDownClass(cls):
        cls.shared.cleanup()

    def setUp(self):
        """Folders of a test's own: one for its files, and one in which deja is to leave nothing."""
        self.folder = tempfile.mkdtemp(prefix="deja-bisect-run-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.tmp = tempfile.mkdtemp(prefix="t", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.tmp)
        self.notes = os.path.join(self.folder, "notes")
        self.env = dict(os.environ, TMPDIR=self.tmp, NOTES=self.notes)

    @staticmethod
    def run_deja(*args, **more):
        return subprocess.run([DEJA, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
                              text=True, **more)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def noted(self):
        if not os.path.exists(self.notes):
            return []
        with open(self.notes) as f:
            return f.read().splitlines()

    def bisect(self, *args, trace=None, status=0, **more):
        result = self.run_deja("bisect", trace or self.trace, *args, env=self.env, **more)
        self.assertEqual(result.returncode, status, (args, result.stdout, result.stderr))
        self.assertEqual(os.listdir(self.tmp), [], args)
        return result

    def answer(self, *args, **more):
        return json.loads(self.bisect("--json", *args, **more).stdout)

    def by_icount(self, body, *args, **more):
        """A command that judges by $i, the number of instructions."""
        return self.answer("--run", "i=$DEJA_ICOUNT; " + body, *args, **more)

    def by_client(self, *how):
        return f"python3 {self.client} {self.ticks:#x} 777 {' '.join(how)}"

    def assert_truth(self, found, truth=None):
        for place in ("first", "before"):
            for name in ("icount", "entries", "rip", "symbol", "instruction", "cpl", "vns"):
                self.assertEqual(found[place][name], (truth or self.truth)[place][name], name)
        self.assertEqual(found["answer"], "found")


class Answers(Case):
    def test_a_command_finds_what_a_condition_finds(self):
        found = self.answer("--run", self.by_client())
        self.assert_truth(found)
        self.assertEqual(found["run"], self.by_client())
        length = json.loads(self.run_deja("info", "--json", self.trace).stdout)["icount"]
        self.assertLessEqual(found["probes"], 4 + length.bit_length())

    def test_without_an_index_it_is_the_same(self):
        plain = os.path.join(self.folder, "plain.deja")
        os.link(self.trace, plain)
        self.assert_truth(self.by_icount(f"test $i -lt {self.turn}", trace=plain))
        self.assertEqual(sorted(os.listdir(self.folder)), ["plain.deja"])

    def test_gdb_in_a_command(self):
        self.assert_truth(self.answer("--between", self.around, "--run",
                                      "gdb -nx -q -batch -ex \"target remote $DEJA_GDB\" -ex 'python gdb.execute(\"quit "
                                      f"%d\" % (int(gdb.parse_and_eval(\"*(long *){self.ticks:#x}\")) >= 777))'"))

    def test_the_moment_is_exact_behind_an_entry_into_a_handler(self):
        trace = os.path.join(self.folder, "guest.deja")
        self.run_deja("record", "-o", trace, "--seed", "7", "-m", "64M", "-kernel",
                      os.path.join(GUESTS, "exceptions.bin"))
        truth = json.loads(self.run_deja("bisect", trace, "--json", "--when", "cr2 != 0").stdout)
        self.assertGreater(truth["first"]["entries"], 0)
        script = self.file("cr2.gdb", "if $cr2 != 0\n  quit 1\nend\n")
        self.assert_truth(self.answer("--gdb-script", script, trace=trace), truth)
        # By the name of the moment alone; and the debugger goes to the moment by that name.
        name = f"{truth['first']['icount']}+{truth['first']['entries']}"
        script = self.file("name.py", "import os, re\n"
                           "rip = int(gdb.parse_and_eval('$rip'))\n"
                           "moment = os.environ['DEJA_MOMENT']\n"
                           "monitor('seek begin')\n"
                           "said = monitor('seek ' + moment)\n"
                           "forget()\n"
                           "assert int(gdb.parse_and_eval('$rip')) == rip, said\n"
                           "icount, _, entries = moment.partition('+')\n"
                           "assert icount == os.environ['DEJA_ICOUNT']\n"
                           f"first = ({truth['first']['icount']}, {truth['first']['entries']})\n"
                           "gdb.execute('quit %d' % ((int(icount), int(entries or 0)) >= first))\n")
        found = self.answer("--gdb-script", script, "--between", f"{truth['first']['icount'] - 20},end", trace=trace)
        self.assert_truth(found, truth)
        self.assertIn(f"deja debug {trace} --at {truth['first']['icount']:,}+{truth['first']['entries']}\n",
                      self.bisect("--gdb-script", script, "--between", f"{truth['first']['icount'] - 20},end",
                                  trace=trace).stdout, name)

    def test_between(self):
        body = f"test $i -lt {self.turn}"
        for between in (f"{self.turn - 1},{self.turn}", f"{self.turn - 1_000:,}..{self.turn + 5:,}", f"begin,{self.turn}"):
            self.assert_truth(self.by_icount(body, "--between", between))
        found = self.by_icount(body, "--between", f"{self.turn},end")
        self.assertEqual((found["answer"], found["first"]["icount"], found["probes"]), ("begin", self.turn, 1))
        self.assertEqual(self.by_icount(body, "--between", f"0,{self.turn - 1}", status=1)["answer"], "never")

    def test_statuses(self):
        for bad in (1, 2, 99, 124, 126, 127):
            found = self.by_icount(f"test $i -lt 4000 || exit {bad}", "--between", "0,10000")
            self.assertEqual((found["answer"], found["first"]["icount"]), ("found", 4000), bad)
        for other in (128, 129, 200, 255):
            result = self.bisect("--run", f"exit {other}", status=2)
            self.assertEqual((result.stdout, result.stderr), ("", "deja: bisect: at instruction 0 the command's status was "
                             f"{other}, which ends the search: exit {other}\n"))
        for how in ("exec sh -c 'kill -9 $$'", "kill -SEGV $$"):
            result = self.bisect("--run", how, status=2)
            self.assertEqual(result.stdout, "")
            self.assertRegex(result.stderr, r"\Adeja: bisect: at instruction 0 a signal \(\w.*\) ended the command[^\n]*\n\Z")
        # Not at the begin, but on the way.
        result = self.bisect("--run", "test $DEJA_ICOUNT -gt 9000000 && test $DEJA_ICOUNT -lt 9999999 && exit 130; "
                             "test $DEJA_ICOUNT -lt 5000", status=2)
        self.assertRegex(result.stderr, r"at instruction 9,\d\d\d,\d\d\d the command's status was 130")

    def test_bad_from_the_begin_and_never_bad(self):
        found = self.answer("--run", "exit 1")
        self.assertEqual((found["answer"], found["first"]["icount"], found["probes"]), ("begin", 0, 1))
        self.assertIn("where the search begins", self.bisect("--run", "false").stdout)
        found = self.answer("--run", "true", status=1)
        self.assertEqual((found["answer"], found["probes"]), ("never", 2))
        self.assertEqual(self.bisect("--run", "true", status=1).stdout,
                         "true: good at the end: there is nothing to be found\n")

    def test_a_command_that_the_shell_cannot_run(self):
        plain = self.file("plain", "not a program")
        for command in ("no-such-command-at-all", plain):
            result = self.bisect("--run", command, status=2)
            self.assertEqual(result.stdout, "")
            self.assertRegex(result.stderr.splitlines()[-1], "could not run the command")
            self.assertTrue(result.stderr.endswith(": " + command + "\n"))
        # Only at the begin: that is the answer.
        self.assertEqual(self.by_icount("test $i -gt 0 || exit 127", "--between", "0,10000")["answer"], "begin")

    def test_what_the_command_is_given(self):
        relative = os.path.relpath(self.trace)
        command = ('test -S "$DEJA_GDB" || exit 200; echo "$DEJA_ICOUNT $DEJA_MOMENT $DEJA_TRACE $(cat | wc -c)" '
                   '>> "$NOTES"; echo to standard output; test $DEJA_ICOUNT -lt 4000')
        result = self.bisect("--json", "--run", command, "--between", "0,10000", trace=relative)
        found = json.loads(result.stdout)
        self.assertEqual(result.stderr, "to standard output\n" * found["probes"])
        self.assertEqual(len(self.noted()), found["probes"])
        for line in self.noted():
            icount, moment, trace, read = line.split(" ")
            self.assertEqual((moment, trace, read), (icount, os.path.realpath(self.trace), "0"))

    def test_the_text_says_how_often_it_asked(self):
        text = self.bisect("--run", f"test $DEJA_ICOUNT -lt {self.turn}").stdout
        self.assertRegex(text, r"\n  asked       \d+ times\n")
        self.assertIn(f"bad from instruction {self.turn:,}, ", text)
        self.assertIn(self.truth["before"]["instruction"], text)
        self.assertIn(self.truth["before"]["symbol"], text)


class Skips(Case):
    def test_places_that_are_skipped_are_stepped_around(self):
        turn = f"test $i -lt {self.turn}"
        for m, skipped in ((3, 1), (5, 2), (7, 3)):
            skip = (self.turn + skipped) % m
            self.assert_truth(self.by_icount(f"test $((i % {m})) = {skip} && exit 125; {turn}", "--between", self.around))
        for off, after, at_latest in ((0, self.turn - 1, self.turn + 1), (1, self.turn - 2, self.turn)):
            found = self.by_icount(f"test $((i % 2)) = {(self.turn + off) % 2} && exit 125; {turn}", "--between",
                                   f"{self.turn - 30_001 + off}..{self.turn + 20_001 - off}", status=1)
            self.assertEqual((found["answer"], found["after"], found["at_latest"]), ("undecided", after, at_latest))

    def test_a_block_that_is_skipped_is_left_undecided_exactly(self):
        found = self.by_icount("test $i -gt 6000000 && exit 1; test $i -lt 3000000 && exit 0; exit 125", status=1)
        self.assertEqual((found["answer"], found["after"], found["at_latest"]), ("undecided", 2_999_999, 6_000_001))
        text = self.bisect("--run", "i=$DEJA_ICOUNT; test $i -ge 6000 && exit 1; test $i -lt 5990 && exit 0; exit 125",
                           status=1).stdout
        self.assertRegex(text, "good at instruction 5,989, bad at 6,000, and what was tried between them was skipped")

    def test_what_turns_beside_a_block_is_found(self):
        for body, first in (
                ("test $i -ge 18000003 && exit 1; test $i -gt 17000000 && exit 0; test $i -lt 3000 && exit 0; exit 125", 18000003),
                ("test $i -gt 17000000 && exit 1; test $i -lt 2000 && exit 0; test $i -lt 3000 && exit 1; exit 125", 2000)):
            found = self.by_icount(body)
            self.assertEqual((found["answer"], found["first"]["icount"], found["before"]["icount"]),
                             ("found", first, first - 1))

    def test_ends_that_are_skipped(self):
        turn = f"test $i -lt {self.turn}"
        for skipped in ("test $i -lt 4000000 && exit 125; ", "test $i -gt 13000000 && exit 125; ",
                        f"test $i -lt {self.turn - 1} && exit 125; ", f"test $i -gt {self.turn} && exit 125; ",
                        "test $i -lt 9000000 && exit 125; test $i -gt 17000000 && exit 125; ",
                        # not as the simple way to move inwards takes it to be
                        "test $i -lt 1 && exit 125; test $i -gt 9000000 && test $i -lt 9500000 && exit 125; "):
            self.assert_truth(self.by_icount(skipped + turn))

    def test_where_it_cannot_be_told(self):
        for body, after, at_latest in (("exit 125", None, None),
                                       ("test $i -gt 6000000 && exit 1; exit 125", None, 6_000_001),
                                       ("test $i -gt 6000000 && exit 125; exit 0", 6_000_000, None)):
            found = self.by_icount(body, status=1)
            self.assertEqual((found["answer"], found["after"], found["at_latest"]), ("undecided", after, at_latest), body)
        self.assertRegex(self.bisect("--run", "exit 125", status=1).stdout,
                         "skipped at instruction 0, skipped at [0-9,]+, and nothing that was tried is good or bad")
        self.assertEqual(self.by_icount("test $i -lt 6000000 && exit 125; exit 0", status=1)["answer"], "never")


class Misbehaviour(Case):
    """Nothing that a command does reaches the next question, and nothing holds up the search."""

    def check(self, *how):
        found = self.answer("--run", self.by_client(*how), "--between", self.around)
        self.assert_truth(found)
        return found["probes"]

    def test_it_writes_and_runs(self):
        self.check("write")
        self.check("run")
        self.check("write", "run", "running")

    def test_a_second_client_finds_what_the_first_one_found(self):
        self.check("write", "again")
        self.check("run", "again", "write")
        self.check("kill")

    def test_it_leaves_in_the_middle(self):
        self.check("half")
        self.check("running")

    def test_what_it_leaves_behind_is_sent_away(self):
        for how in ("linger",), ("half", "linger"), ("running", "linger"):
            probes = self.check(*how)
            wait_until("an end of what was left behind", lambda: len(self.noted()) == probes)
            self.assertEqual(set(self.noted()), {"gone"}, how)
            os.unlink(self.notes)

    def test_it_leaves_a_process_without_a_connection(self):
        found = self.by_icount(f"sleep 60 >/dev/null 2>&1 & test $i -lt {self.turn}", "--between", self.around)
        self.assert_truth(found)

    def test_gdb_is_killed_inside(self):
        found = self.answer("--between", f"{self.turn - 40},{self.turn + 40}", "--run",
                            "gdb -nx -q -batch -ex \"target remote $DEJA_GDB\" -ex 'python import os; os.kill(os.getpid(), 9)'; "
                            f"test $? = 137 || exit 200; test $DEJA_ICOUNT -lt {self.turn}")
        self.assert_truth(found)


class Scripts(Case):
    GOOD = "if ticks >= 777\n  quit 1\nend\n"

    def test_a_script_finds_what_a_condition_finds(self):
        for args in ([], ["--vmlinux", DEMO_ELF]):
            found = self.answer("--gdb-script", self.file("a script.gdb", self.GOOD), "--between", self.around, *args)
            self.assert_truth(found)
            self.assertEqual(found["gdb_script"], self.folder + "/a script.gdb")

    def test_a_python_script(self):
        script = self.file("script.py", "import sys\nsys.exit(int(gdb.parse_and_eval('ticks')) >= 777)\n")
        self.assert_truth(self.answer("--gdb-script", script, "--between", self.around))

    def test_a_script_that_skips_and_moves(self):
        script = self.file("skip.gdb", f"if $icount < {self.turn - 20}\n  quit 125\nend\n"
                           "set $old = ticks\ndeja-seek begin\nset var ticks = 1000\ndeja-when\n"
                           "if $old >= 777\n  quit 3\nend\n")
        self.assert_truth(self.answer("--gdb-script", script, "--between", f"{self.turn - 40},{self.turn + 40}"))

    def test_an_error_is_no_verdict(self):
        for name, text, part in (
                ("typo.gdb", "prnt ticks\nquit 0\n", 'Undefined command: "prnt"'),
                ("symbol.gdb", "if tics >= 777\n  quit 1\nend\n", 'No symbol "tics"'),
                ("block.gdb", "python\nraise ValueError('sorry')\nend\n", "sorry"),
                ("memory.gdb", "print *(long *)0xffff123400000000\n", "Cannot access memory"),
                ("error.py", "gdb.parse_and_eval('tics')\n", 'No symbol "tics"'),
                ("wrong.py", "def f(:\n", "SyntaxError"),
                ("zero.py", "import sys\n1 / 0\n", "ZeroDivisionError"),
                ("words.py", "import sys\nsys.exit('sorry')\n", "sorry")):
            script = self.file(name, text)
            result = self.bisect("--gdb-script", script, status=2)
            self.assertEqual(result.stdout, "", name)
            self.assertIn(part, result.stderr, name)
            self.assertRegex(result.stderr.splitlines()[-1], r"\Adeja: bisect: at instruction [0-9,]+ there was an error in "
                                                             f"the script: {script}\\Z", name)

    def test_what_is_not_there_is_said(self):
        script, none = self.file("good.gdb", self.GOOD), os.path.join(self.folder, "none")
        for args, part in ((["--gdb-script", none], f"--gdb-script {none}: No such file or directory"),
                           (["--gdb-script", script, "--gdb", none], f"cannot start {none}: No such file or directory"),
                           (["--gdb-script", script, "--gdb", "/bin/true"], "gdb did not come as far as to run the script"),
                           (["--gdb-script", script, "--gdb", "/bin/false"], "gdb did not come as far as to run the script"),
                           (["--gdb-script", script, "--vmlinux", none], none)):
            result = self.bisect(*args, status=2)
            self.assertEqual(result.stdout, "")
            self.assertRegex(result.stderr, r"\Adeja: [^\n]*\n\Z")
            self.assertIn(part, result.stderr)
        result = self.bisect("--run", "true", trace=none, status=2)
        self.assertRegex(result.stderr, rf"\Adeja: {none}: [^\n]*\n\Z")

    def test_a_gdb_that_cannot_connect_is_no_verdict(self):
        gdb = self.file("gdb", "#!/bin/sh\nexport DEJA_GDB=/nowhere/at/all\nexec gdb \"$@\"\n")
        os.chmod(gdb, 0o700)
        result = self.bisect("--gdb-script", self.file("good.gdb", self.GOOD), "--gdb", gdb, status=2)
        self.assertIn("/nowhere/at/all", result.stderr)
        self.assertRegex(result.stderr.splitlines()[-1], "gdb did not come as far as to run the script")


class Interrupts(Case):
    # Notes the processes that there are: a shell, and two that it starts.
    BUSY = 'sleep 1000 & a=$!; sleep 1001 & echo "$$ $a $!" >> "$NOTES"; wait'

    def begin(self, *args, **more):
        p = subprocess.Popen([DEJA, "bisect", self.trace, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=self.env, start_new_session=True, **more)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        return p

    def assert_clean_end(self, p):
        out, err = p.communicate(timeout=PATIENCE_S)
        self.assertEqual((p.returncode, out, err), (2, "", "deja: bisect: interrupted\n"))
        self.assertEqual(os.listdir(self.tmp), [])
        for pid in " ".join(self.noted()).split():
            wait_until("the end of the command", lambda pid=pid: not is_running(pid))

    def searcher(self, p):
        with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
            return int(f.read().split()[0])

    def test_while_a_command_runs(self):
        for sig, to_group in ((signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGHUP, True)):
            p = self.begin("--run", self.BUSY)
            wait_until("a command", self.noted)
            searcher = self.searcher(p)
            (os.killpg if to_group else os.kill)(p.pid, sig)
            self.assert_clean_end(p)
            wait_until("the end of the search", lambda pid=searcher: not is_running(pid))
            os.unlink(self.notes)

    def test_twice_and_a_command_that_does_not_want_to_end(self):
        p = self.begin("--run", "trap '' TERM INT HUP; " + self.BUSY + "; while :; do sleep 1; done")
        wait_until("a command", self.noted)
        for _ in range(5):
            os.killpg(p.pid, signal.SIGINT)
            time.sleep(0.05)
        self.assert_clean_end(p)

    def test_while_gdb_runs_the_guest(self):
        script = self.file("loop.gdb", "shell echo >> \"$NOTES\"\nwhile 1\n  continue\n  deja-seek begin\nend\n")
        p = self.begin("--gdb-script", script)
        wait_until("the script", self.noted)
        os.killpg(p.pid, signal.SIGINT)
        out, err = p.communicate(timeout=PATIENCE_S)
        self.assertEqual((p.returncode, out, err.splitlines()[-1]), (2, "", "deja: bisect: interrupted"))
        self.assertEqual(os.listdir(self.tmp), [])

    def test_the_searching_process_dies(self):
        p = self.begin("--run", self.BUSY)
        wait_until("a command", self.noted)
        os.kill(self.searcher(p), signal.SIGKILL)
        out, err = p.communicate(timeout=PATIENCE_S)
        self.assertEqual((p.returncode, out, err), (2, "", "deja: bisect: the process that replays the recording was killed by signal 9 (Killed)\n"))
        self.assertEqual(os.listdir(self.tmp), [])

    def test_the_search_does_not_outlive_its_command(self):
        p = self.begin("--run", self.BUSY)
        wait_until("a command", self.noted)
        searcher = self.searcher(p)
        p.kill()
        p.wait()
        wait_until("the end of the search", lambda: not is_running(searcher))
        os.kill(int(self.noted()[0].split()[0]), signal.SIGKILL)
        for pid in self.noted()[0].split()[1:]:
            os.kill(int(pid), signal.SIGKILL)
        for name in os.listdir(self.tmp):
            shutil.rmtree(os.path.join(self.tmp, name))


class Terminal(Case):
    def test_it_says_how_far_it_has_got(self):
        reader, writer = pty.openpty()
        p = subprocess.Popen([DEJA, "bisect", self.trace, "--run", "test $DEJA_ICOUNT -lt 4000", "--between", "0,10000"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer, env=self.env)
        os.close(writer)
        text = b""
        while True:
            try:
                got = os.read(reader, 65536)
            except OSError:
                break
            if not got:
                break
            text += got
        os.close(reader)
        self.assertIn(b"bad from instruction 4,000", p.communicate(timeout=PATIENCE_S)[0])
        lines = re.findall(rb"deja: instruction ([0-9,]+): (good|bad|skipped), about (\d+) more to ask\r\n", text)
        self.assertEqual(lines[0][:2], (b"0", b"good"))
        self.assertEqual(lines[1][:2], (b"10,000", b"bad"))
        left = [int(line[2]) for line in lines]
        self.assertLessEqual(abs(left[0] - (len(lines) - 1)), 4)
        self.assertLessEqual(left[-1], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
