#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stock Debian kernels: booted, used, recorded and replayed."""
import re
import termios
import time

import common
from common import Case, deja, linux, PROMPT


def events(trace):
    """The events of a recording, a line each, without what names the recording itself."""
    result = deja("dump", trace, stdin=None)
    if result.returncode != 0:
        raise AssertionError(result.stderr.decode())
    return result.stdout.decode().replace(trace, "")


class Boot(Case):
    def boot_to_shell(self, flavour, *more):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, *linux(flavour), *more, terminal=True)
        guest.expect(b"guest: up")
        guest.expect(PROMPT)
        self.assertIn("Linux i686" if flavour == "686" else "Linux x86_64", guest.command("uname -sm"))
        self.assertIn("5050", guest.command("echo $(( $(seq -s + 1 100) ))"))
        self.assertIn("x86-64-v2", guest.command("grep -m1 'model name' /proc/cpuinfo"))
        self.assertNotRegex(guest.command("dmesg"), r"Oops|BUG:|WARNING:|call trace|Call Trace")
        guest.send(b"poweroff -f\n")
        status, errors = guest.finish()
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(termios.tcgetattr(guest.slave), guest.mode_before)
        self.assertExactReplay(trace, guest.output)
        return trace

    def test_amd64(self):
        self.boot_to_shell("amd64")

    def test_cloud(self):
        self.boot_to_shell("cloud")

    def test_686(self):
        trace = self.boot_to_shell("686")
        gdb = deja("debug", trace, "--", "-batch", "-ex", "info symbol $eip", "-ex", "info line panic",
                   "-ex", "print $cr0", "-ex", "reverse-stepi", stdin=None)
        self.assertStatus(gdb, 0)
        text = gdb.stdout.decode() + gdb.stderr.decode()
        self.assertRegex(text, r"acpi_\w+ \+ \d+ in section .text") # powers off
        self.assertRegex(text, r"for address 0x[0-9a-f]{8} <panic>")
        self.assertIn("PE MP ET NE WP AM PG", text)

    def test_686_pae(self):
        """Three levels of page tables, pages that are not executable, memory above 4 GiB."""
        trace = self.path("t.deja")
        guest = deja("record", "-o", trace, "-m", "4G", *linux("686-pae", "guest.poweroff cryptomgr.notests"), stdin=None)
        self.assertStatus(guest, 0)
        self.assertIn(b"NX (Execute Disable) protection: active", guest.stdout)
        self.assertRegex(guest.stdout, rb"HighMem  \[mem 0x[0-9a-f]+-0x000000013fffffff\]")
        self.assertIn(b"guest: up", guest.stdout)
        self.assertExactReplay(trace, guest.stdout)

    def test_32_bit_entry(self):
        result = deja("run", *linux("cloud", "guest.poweroff"), "--boot32", stdin=None)
        self.assertStatus(result, 0)
        self.assertIn(b"guest: up", result.stdout)

    def test_panic(self):
        result = deja("run", *linux("cloud", "guest.pvpanic=cloud guest.panic"), stdin=None)
        self.assertStatus(result, 3)
        self.assertIn(b"Kernel panic - not syncing", result.stdout)
        self.assertIn(b"end Kernel panic", result.stdout)
        self.assertIn(b"the guest panicked", result.stderr)

    def test_reboot(self):
        result = deja("run", *linux("cloud", "guest.reboot"), "-no-reboot", stdin=None)
        self.assertStatus(result, 0)
        self.assertEqual(result.stdout.count(b"guest: up"), 1)
        guest = self.live("run", *linux("cloud", "guest.reboot"))
        guest.expect(b"guest: up")
        guest.expect(b"guest: up")

    def test_optional_devices(self):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, *linux("cloud"), "-machine", "pc,hpet=on", "-device", "ps2-mouse",
                          terminal=True)
        guest.expect(PROMPT)
        log = guest.command("dmesg")
        self.assertRegex(log, r"hpet0: at MMIO 0xfed00000, IRQs 2, 8, 0")
        self.assertRegex(log, r"serio: i8042 AUX port at 0x60,0x64 irq 12")
        guest.send(b"poweroff -f\n")
        self.assertEqual(guest.finish(), (0, ""))
        self.assertExactReplay(trace, guest.output)


class Replay(Case):
    def test_typed_session(self):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, *linux("cloud"), terminal=True)
        guest.expect(PROMPT)
        guest.command("echo hello; cat /proc/interrupts")
        guest.command("cat /proc/sys/kernel/random/uuid; date; dmesg | md5sum")
        time.sleep(1) # time in which nothing happens
        guest.command("sleep 1; cat /proc/uptime")
        guest.send(b"poweroff -f\n")
        self.assertEqual(guest.finish(), (0, ""))
        self.assertExactReplay(trace, guest.output)
        self.assertExactReplay(trace, guest.output)

    def test_equal_seeds(self):
        traces = [self.path(name) for name in ("a.deja", "b.deja")]
        outputs = []
        for trace in traces:
            result = deja("record", "-o", trace, *linux("cloud", "guest.work", seed=5), stdin=None)
            self.assertStatus(result, 0)
            outputs.append(result.stdout)
        self.assertEqual(outputs[0], outputs[1])
        first, second = map(events, traces)
        self.assertIn("digest", first)
        self.assertEqual(first, second)
        self.assertExactReplay(traces[0], outputs[0])

    def text_address(self, seed):
        result = deja("run", *linux("cloud", "guest.kaslr", seed=seed), stdin=None)
        self.assertStatus(result, 0)
        return re.search(r"([0-9a-f]{16}) T _text", result.stdout.decode()).group(1)

    def test_kaslr(self):
        addresses = [self.text_address(seed) for seed in (1, 1, 2, 3)]
        self.assertEqual(addresses[0], addresses[1])
        self.assertGreater(len(set(addresses)), 1)
        self.assertNotIn("0" * 16, addresses)

    def test_killed(self):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, *linux("cloud"))
        guest.expect(PROMPT)
        guest.send(b"echo one\n")
        guest.expect(PROMPT)
        time.sleep(1.5) # flushed every second at the latest
        guest.process.kill()
        guest.process.wait()
        replay = deja("replay", trace, stdin=None)
        self.assertStatus(replay, 0)
        self.assertIn(b"echo one", replay.stdout)
        self.assertIn(b"guest: up", replay.stdout)


if __name__ == "__main__":
    common.main()
