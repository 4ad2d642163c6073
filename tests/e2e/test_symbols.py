#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the symbols library finds in recorded runs of stock Debian kernels, against what the guests say."""
import os
import re
import subprocess

import common
from common import Case, deja, linux

DUMP = os.environ["DEJA_DUMP_SYMBOLS"]
SYMBOL = re.compile(r"^([0-9a-f]{8,16}) (.) (\S+)(\s\[\w+\])?$", re.M)


def dump(*args):
    result = subprocess.run([DUMP, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=common.TIMEOUT)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def gdb(executable, *commands):
    """What gdb prints, on both streams."""
    args = ["gdb", "-nx", "-batch"]
    for command in commands:
        args += ["-ex", command]
    result = subprocess.run([*args, executable], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=common.TIMEOUT)
    return result.stdout.decode()


def symbols_in(text):
    return sorted((int(address, 16), kind, name) for address, kind, name, module in
                  SYMBOL.findall(text.replace("\r\n", "\n")) if not module)


class SymbolCase(Case):
    def record(self, flavour, words, seed=None):
        """The recording's path, and what the guest printed."""
        trace = self.path(f"{flavour}-{seed}.deja")
        result = deja("record", "-o", trace, *linux(flavour, "quiet " + words, seed=seed), stdin=None)
        self.assertStatus(result, 0)
        return trace, result.stdout.decode()

    def dump(self, *args):
        status, out, errors = dump(*args)
        self.assertEqual((status, errors), (0, ""))
        return out


class Kallsyms(SymbolCase):
    def check(self, flavour, seed):
        """The guest's own list is the oracle. Returns where its text begins."""
        trace, printed = self.record(flavour, "guest.kallsyms", seed)
        elf = self.path("symbols.elf")
        expected = symbols_in(printed)
        self.assertGreater(len(expected), 80000)
        found = symbols_in(self.dump(trace, "elf", elf, "kallsyms"))
        self.assertEqual(len(found), len(expected))
        for pair in zip(found, expected):
            self.assertEqual(*pair)
        self.check_elf(elf, {name: address for address, _, name in expected})
        return dict((name, address) for address, _, name in expected)["_text"]

    def check_elf(self, elf, address):
        """gdb takes the file, and finds names and addresses in it."""
        out = gdb(elf, f"info symbol {address['do_idle'] + 5:#x}", "break start_kernel",
                  "p &linux_banner", f"info symbol {address['entry_SYSCALL_64']:#x}",
                  f"info symbol {address['vfs_read'] - 1:#x}")
        self.assertIn("do_idle + 5 in section .text", out)
        self.assertIn(f"Breakpoint 1 at {address['start_kernel']:#x}", out)
        self.assertIn(f"{address['linux_banner']:#x} <linux_banner>", out)
        self.assertIn("entry_SYSCALL_64 in section .text", out)
        self.assertNotIn("vfs_read", out)
        self.assertNotRegex(out, "warning|rror")

    def test_amd64(self):
        self.check("amd64", 1)

    def test_cloud(self):
        self.assertNotEqual(self.check("cloud", 1), self.check("cloud", 2))

    def test_early_boot(self):
        trace, _ = self.record("cloud", "guest.poweroff")
        for icount in (0, 1000000, 100000000):
            status, _, errors = dump(trace, "--until", str(icount), "layout")
            self.assertEqual(status, 1)
            self.assertIn("no kallsyms tables are mapped", errors)


if __name__ == "__main__":
    common.main()
