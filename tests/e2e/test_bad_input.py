#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is wrong on the command line is said in one line that names it, and the status is 2."""
import common
from common import Case, deja, echo_guest

# [arguments, what the line must say]. {echo}, {empty}, {missing}, {folder}, {text}: files.
RUN = [
    ("-m", "-m"),
    ("-m 0", "-m 0"),
    ("-m 100K", "-m 100K"),
    ("-m 65G", "-m 65G"),
    ("-m 1.5G", "-m 1.5G"),
    ("-m -1", "-m -1"),
    ("-m 18446744073709551616", "-m 18446744073709551616"),
    ("-m 99999999999999999999G", "-m"),
    ("-m 1M -m 2M", "-m is given twice"),
    ("-kernel", "-kernel needs a value"),
    ("-kernel {missing}", "{missing}"),
    ("-kernel {empty}", "'{empty}' is empty"),
    ("-kernel {folder}", "{folder}"),
    ("-kernel /proc/self/mem", "cannot read '/proc/self/mem'"),
    ("-kernel {text}", "{text}"),
    ("-kernel {echo} -kernel {echo}", "given twice"),
    ("-kernel {echo} -initrd {missing}", "-initrd: cannot read '{missing}'"),
    ("-kernel {echo} -bios {echo} --boot32", "--boot32"),
    ("-kernel {echo} -vgabios {echo}", "-vgabios"),
    ("-vga cirrus", "-vga cirrus"),
    ("-device ps2-keyboard", "-device ps2-keyboard"),
    ("-machine pc,hpet=maybe", "-machine pc,hpet=maybe"),
    ("-initrd {echo}", "-initrd"),
    ("-bios {echo} -append word", "-append"),
    ("--boot32", "--boot32"),
    ("-bios {missing}", "{missing}"),
    ("-bios {empty}", "{empty}"),
    ("-smp 2", "-smp 2"),
    ("-smp 1,sockets=2", "-smp 1,sockets=2"),
    ("-machine q35", "q35"),
    ("-accel kvm", "kvm"),
    ("-enable-kvm", "-enable-kvm"),
    ("-cpu host", "host"),
    ("-rtc base=localtime", "base=localtime"),
    ("-rtc base=2026-02-30", "base=2026-02-30"),
    ("-rtc base=2026-01-01T25:00:00", "T25:00:00"),
    ("-rtc base=1969-12-31", "base=1969-12-31"),
    ("-rtc base=", "-rtc"),
    ("-rtc clock=vm", "clock=vm"),
    ("--seed", "--seed"),
    ("--seed -1", "--seed -1"),
    ("--seed 18446744073709551616", "--seed"),
    ("--seed 0x", "--seed 0x"),
    ("--seed 1x", "--seed 1x"),
    ("-perturb 7", "-perturb 7"),
    ("-perturb seed=0", "-perturb seed=0"),
    ("-perturb seed=1,kinds=skip+often", "kinds=skip+timer+hold+late"),
    ("-perturb seed=1,mean=0", "mean=N"),
    ("--ns-per-insn 0", "--ns-per-insn 0"),
    ("--ns-per-insn 1000001", "--ns-per-insn"),
    ("--engine=fast", "--engine=fast"),
    ("-serial", "-serial"),
    ("-serial tcp:1", "-serial tcp:1"),
    ("-serial file:", "-serial file:"),
    ("-serial unix:", "-serial unix:"),
    ("-serial unix:{missing},nowait", "nowait"),
    ("-kernel {echo} -serial unix:{missing}", "{missing}"),
    ("-kernel {echo} -serial file:{folder}", "{folder}"),
    ("-kernel {echo} -serial file:{missing}/x", "{missing}/x"),
    ("-serial stdio -serial stdio", "twice"),
    ("-serial null -serial null -serial null", "2 serial ports"),
    ("-debugcon pty", "-debugcon pty"),
    ("-device e1000", "e1000"),
    ("-device isa-debug-exit", "isa-debug-exit"),
    ("-action panic=later", "panic=later"),
    ("-sandbox maybe", "-sandbox maybe"),
    ("-display gtk", "gtk"),
    ("-drive file=x", "-drive"),
    ("-stats=yes", "-stats=yes"),
    ("-frobnicate", "-frobnicate"),
    ("-", "'-'"),
    ("---m 1M", "---m"),
    ("vmlinuz", "vmlinuz"),
    ("-o trace", "-o"),
    ("--sync", "--sync"),
]
RECORD = [
    ("", "-o"),
    ("-o", "-o needs a value"),
    ("-o {missing}/t -kernel {echo}", "{missing}/t"),
    ("-o {folder} -kernel {echo}", "{folder}"),
    ("-o {folder}/t -output {folder}/u", "{folder}/u"),
    ("-o {echo} -kernel {echo}", "{echo}"),
    ("-o {folder}/t -kernel {text}", "{text}"),
]
TRACES = [
    ("", ""),
    ("{missing}", "{missing}"),
    ("{empty}", "{empty}"),
    ("{folder}", "{folder}"),
    ("{text}", "{text}"),
    ("{echo}", "{echo}"),
    ("-frobnicate {echo}", "-frobnicate"),
]
PLAIN = [
    (["frobnicate"], "frobnicate"),
    (["help", "frobnicate"], "frobnicate"),
    (["--frobnicate"], "--frobnicate"),
]


class BadInput(Case):
    def setUp(self):
        super().setUp()
        self.files = {"echo": self.path("echo.bin"), "empty": self.path("empty"),
                      "missing": self.path("missing"), "folder": self.folder,
                      "text": self.path("text")}
        with open(echo_guest(), "rb") as source, open(self.files["echo"], "wb") as copy:
            copy.write(source.read())
        with open(self.files["empty"], "wb"):
            pass
        with open(self.files["text"], "w", encoding="ascii") as text:
            text.write("just a text\n" * 1000)

    def assertRefused(self, args, words):
        with self.subTest(" ".join(args)):
            result = deja(*args)
            lines = result.stderr.decode().splitlines()
            self.assertStatus(result, 2)
            self.assertEqual(result.stdout, b"")
            self.assertEqual(len(lines), 1, lines)
            self.assertTrue(lines[0].startswith("deja: "), lines)
            self.assertIn(words, lines[0])

    def refuse_all(self, command, table):
        for args, words in table:
            self.assertRefused([command] + [a.format(**self.files) for a in args.split()],
                               words.format(**self.files))

    def test_run(self):
        self.refuse_all("run", RUN)

    def test_record(self):
        self.refuse_all("record", RECORD)
        with open(self.files["echo"], "rb") as kept, open(echo_guest(), "rb") as original:
            self.assertEqual(kept.read(), original.read())

    def test_replay_info_and_dump(self):
        for command in ("replay", "info", "dump"):
            self.refuse_all(command, TRACES)

    def test_no_command(self):
        for args, words in PLAIN:
            self.assertRefused(args, words)
        result = deja()
        self.assertStatus(result, 2)
        self.assertIn(b"deja run", result.stderr)


class Help(Case):
    """What is asked for goes to standard output, with status 0."""

    def test_help_and_version(self):
        for args in (["--help"], ["help"], ["help", "run"], ["run", "--help"], ["help", "record"],
                     ["help", "replay"], ["help", "info"], ["help", "dump"], ["--version"]):
            with self.subTest(args):
                result = deja(*args)
                self.assertStatus(result, 0)
                self.assertEqual(result.stderr, b"")
                self.assertIn(b"deja", result.stdout)

    def test_harmless_options_of_qemu_are_taken(self):
        result = deja("run", "-kernel", echo_guest(), "-nographic", "-display", "none", "-machine",
                      "pc,accel=tcg", "-smp", "1", "--m", "16M", "-cpu", "x86-64-v2", "-nodefaults",
                      "-no-reboot", "-rtc", "base=2026-01-31T12:00:00", "-serial", "mon:stdio",
                      "-monitor", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                      "--seed=0x10", "-name", "guest", "-nic", "none", stdin=b"Q")
        self.assertStatus(result, 0)
        self.assertEqual(result.stdout, b"echo guest\r\n")


if __name__ == "__main__":
    common.main()
