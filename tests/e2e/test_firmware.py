#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's SeaBIOS: started, recorded, replayed, and seen on its debug console and the text screen."""
import signal

import common
import fetch_guests
from common import Case, deja

END = b"No bootable device.\n"


class SeaBios(Case):
    def record(self, name, *more):
        """A recording that ends some time after the firmware has; and its debug console."""
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, "-seed", "3", "-m", "64M", "-serial", "null", "-debugcon", "stdio",
                          "-bios", fetch_guests.ensure_firmware(common.FOLDER)[name], *more)
        guest.expect(END)
        guest.signal(signal.SIGINT)
        self.assertEqual(guest.finish()[0], 0)
        return trace, guest.output

    def screen(self, trace):
        """The text screen at the end of a recording, without blank lines."""
        result = deja("debug", trace, "--at", "end", "--", "-batch", "-ex", "monitor screen", stdin=None)
        self.assertStatus(result, 0)
        lines = [line.rstrip() for line in (result.stdout + result.stderr).decode().split("\n")]
        return [line for line in lines if line]

    def check_end(self, name):
        trace, console = self.record(name)
        self.assertIn(b"Found QEMU fw_cfg", console)
        self.assertIn(b"PS2 keyboard initialized", console)
        self.assertIn(b"Running option rom at c000:0003", console)
        self.assertNotIn(b"WARNING", console)
        self.assertExactReplay(trace)
        log = deja("log", trace, "--port", "debug", stdin=None)
        self.assertStatus(log, 0)
        self.assertIn(END.strip(), log.stdout)
        screen = self.screen(trace)
        self.assertRegex("\n".join(screen), r"(?m)^SeaBIOS \(version .*\)$")
        self.assertIn("No bootable device.", screen)

    def test_256k(self):
        self.check_end("bios-256k.bin")

    def test_128k(self):
        self.check_end("bios.bin")

    def test_without_vga_bios(self):
        trace, console = self.record("bios-256k.bin", "-vga", "none")
        self.assertNotIn(b"Running option rom", console)
        self.assertExactReplay(trace)

    def test_equal_seeds(self):
        """The same machine says the same at the same instructions."""
        logs = []
        for _ in range(2):
            trace, console = self.record("bios-256k.bin")
            log = deja("log", trace, "--port", "debug", stdin=None)
            self.assertStatus(log, 0)
            logs.append((console[:console.index(END)], log.stdout[:log.stdout.index(END.strip())]))
        self.assertEqual(logs[0], logs[1])


class Kernel(Case):
    """Linux, started by the firmware, which its memory map and its tables then come from."""

    def check_boot(self, firmware, *more):
        trace = self.path("t.deja")
        guest = deja("record", "-o", trace, "-bios", fetch_guests.ensure_firmware(common.FOLDER)[firmware],
                     *common.linux("cloud", "guest.poweroff", seed=4), *more, stdin=None)
        self.assertStatus(guest, 0)
        self.assertIn(b"BIOS-e820: [mem 0x00000000000f0000-0x00000000000fffff] reserved", guest.stdout)
        self.assertRegex(guest.stdout, rb"ACPI: RSDP 0x00000000000F\w+ 000024 \(v02 DEJA  \)")
        self.assertIn(b"DMI: Bochs Bochs", guest.stdout)
        self.assertIn(b"guest: up", guest.stdout)
        self.assertNotIn(b"ACPI Error", guest.stdout)
        self.assertExactReplay(trace, guest.stdout)
        return guest.stdout

    def test_256k(self):
        self.check_boot("bios-256k.bin")

    def test_reboot(self):
        """After a reset the firmware finds its board as at power-on, and starts the kernel again."""
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, "-bios", fetch_guests.ensure_firmware(common.FOLDER)["bios-256k.bin"],
                          "-machine", "pc,hpet=on", "-device", "ps2-mouse",
                          *common.linux("cloud", "guest.reboot", seed=4))
        guest.expect(b"guest: up")
        guest.expect(b"guest: up")
        guest.signal(signal.SIGINT)
        self.assertEqual(guest.finish()[0], 0)
        self.assertExactReplay(trace, guest.output)

    def test_128k_with_hpet(self):
        self.assertIn(b"hpet0: at MMIO 0xfed00000", self.check_boot("bios.bin", "-machine", "pc,hpet=on", "-m", "4G"))


if __name__ == "__main__":
    common.main()
