#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stock Debian kernels under gdb, without a file of their debug information."""
import os
import re
import shutil
import subprocess

import common
import fetch_guests
import gdb_client
from common import deja, linux


def icounts(text):
    """The places that deja-when and `monitor when` printed."""
    return [int(n.replace(",", "")) for n in re.findall(r"^instruction ([\d,]+)", text, re.M)]


class LinuxCase(gdb_client.GdbCase):
    def recorded(self, words, status):
        trace = self.path("linux.deja")
        result = deja("record", "-o", trace, *linux("cloud", words, seed=5), stdin=None)
        self.assertStatus(result, status)
        return trace

    def debug(self, trace, *commands, options=()):
        """`deja debug` with a script of gdb commands; what both printed."""
        script = ["-nx", "-batch", "-ex", "set pagination off"]
        for command in commands:
            script += ["-ex", command]
        p = subprocess.run([common.DEJA, "debug", trace, *options, "--", *script],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=common.TIMEOUT)
        self.assertEqual(p.returncode, 0, p.stdout.decode())
        return p.stdout.decode()


class Stock(LinuxCase):
    def test_walk(self):
        """Break by a kallsyms name, step, watch, go back to power-on and forward to the same state."""
        trace = self.recorded("quiet guest.poweroff", 0)
        out = self.debug(
            trace, "bt", "break do_exit", "reverse-continue", "bt", "stepi", "reverse-stepi",
            "deja-when", "monitor digest", "delete",
            "watch *(unsigned long *)&jiffies", "reverse-continue", "bt 2", "delete",
            "reverse-continue", "deja-when", "break do_exit", "continue", "deja-when", "monitor digest")
        # The recording ends in the power-off, called from userland.
        self.assertRegex(out, r"native_machine_power_off|acpi_power_off")
        self.assertRegex(out, r"(?s)do_syscall_64.*entry_SYSCALL_64")
        self.assertRegex(out, r"Breakpoint 1, 0x[0-9a-f]+ in do_exit")
        self.assertRegex(out, r"in do_group_exit")
        self.assertRegex(out, r"Hardware watchpoint 2: \*\(unsigned long \*\)&jiffies")
        old, new = map(int, re.search(r"Old value = (\d+)\nNew value = (\d+)", out).groups())
        self.assertEqual(old, new + 1)
        self.assertIn("No more reverse-execution history", out)
        places = icounts(out)
        self.assertEqual(places[1], 0)
        digests = re.findall(r"^[0-9a-f]{16}$", out, re.M)
        self.assertEqual(len(digests), 2)
        # Forward from power-on, the first call of do_exit: earlier than the last, or the same.
        self.assertLessEqual(places[2], places[0])
        if places[2] == places[0]:
            self.assertEqual(*digests)

    def test_there_and_back(self):
        trace = self.recorded("quiet guest.poweroff", 0)
        out = self.debug(
            trace, "break do_exit", "reverse-continue", "deja-when", "monitor digest", "delete",
            "reverse-continue", "deja-when", "tbreak start_kernel", "continue", "bt 1",
            "deja-seek 1000000000", "deja-seek begin", "deja-seek end", "break do_exit",
            "reverse-continue", "deja-when", "monitor digest")
        places = icounts(out)
        digests = re.findall(r"^[0-9a-f]{16}$", out, re.M)
        self.assertEqual(places[0], places[-1])
        self.assertEqual(*digests)
        self.assertRegex(out, r"in start_kernel")


class Panic(LinuxCase):
    def modules(self):
        """The modules' files under their own names, as a distribution has them."""
        guests = fetch_guests.ensure(common.FOLDER)
        folder = self.path("modules")
        os.mkdir(folder)
        for name in ("pvpanic", "pvpanic-mmio"):
            shutil.copy(os.path.join(os.path.dirname(guests["cloud"]), name + "-cloud.ko"),
                        os.path.join(folder, name + ".ko"))
        return folder

    def test_backtrace_and_modules(self):
        trace = self.recorded("guest.pvpanic=cloud guest.panic", 3)
        out = self.debug(
            trace, "bt", "info sharedlibrary", "break pvpanic_panic_notify", "reverse-continue", "bt",
            options=("--modules", self.modules()))
        self.assertRegex(out, r"(?s)in panic \(\).*sysrq_handle_crash.*write_sysrq_trigger.*ksys_write"
                              r".*entry_SYSCALL_64")
        self.assertRegex(out, r"Yes.*pvpanic\.ko")
        self.assertRegex(out, r"Breakpoint 1, 0x[0-9a-f]+ in pvpanic_panic_notify \(\) from \S*pvpanic\.ko")
        self.assertRegex(out, r"(?s)pvpanic_panic_notify.*atomic_notifier_call_chain.*in panic")


class Wrong(LinuxCase):
    def test_vmlinux_of_another_build(self):
        """Told by its build-id; the session goes on."""
        trace = self.recorded("quiet guest.poweroff", 0)
        other = self.path("vmlinux")
        source = self.path("other.s")
        with open(source, "w") as f:
            f.write(".globl _text, _stext, startup_64\n_text: _stext: startup_64: nop\n"
                    ".globl entry_SYSCALL_64, asm_exc_page_fault\n"
                    "entry_SYSCALL_64: nop\nasm_exc_page_fault: nop\n")
        subprocess.run(["gcc", "-nostdlib", "-static", "-Wl,--build-id=sha1",
                        "-Wl,-e,_text", "-Wl,-Ttext=0xffffffff81000000", "-o", other, source], check=True)
        out = self.debug(trace, "deja-when", "stepi", "reverse-stepi", options=(other,))
        self.assertRegex(out, r"build-id|not that of|another kernel")
        self.assertEqual(len(icounts(out)), 1)


if __name__ == "__main__":
    gdb_client.main()
