#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A 32-bit kernel under gdb, which takes it for an i386: registers, symbols, breakpoints, there and back."""
import os

import gdb_client
from common import deja
from gdb_client import GdbCase, run_gdb, symbols_of

PROBE32 = os.environ["DEJA_TEST_PROBE32"]
CORE = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip")


class I386(GdbCase):
    def test_backwards_from_the_end(self):
        """deja debug alone: symbols from the image, a stack, a watchpoint and a condition, both evaluated backwards."""
        trace = self.record("t.deja", "-kernel", PROBE32)
        result = deja("debug", trace, "--", "-batch", "-ex", "watch *(int *)&last", "-ex", "reverse-continue", "-ex", "bt",
                      "-ex", "delete", "-ex", "break inner if $ebx == 41", "-ex", "reverse-continue",
                      "-ex", "print $ebx", "-ex", "reverse-stepi", "-ex", "x/i $eip", "-ex", "info symbol $eip",
                      "-ex", "print $cr0", "-ex", "print $fs_base", stdin=None)
        self.assertStatus(result, 0)
        text = result.stdout.decode() + result.stderr.decode()
        self.assertNotIn("warning", text.lower())
        self.assertRegex(text, r"Old value = 99\s+New value = 98")
        self.assertRegex(text, r"#0 .*inner \(\)[^#]*\s#1 .*outer \(\)[^#]*\s#2 .*paged \(\)")
        self.assertIn("$1 = 41", text)
        self.assertRegex(text, r"call\s+0x[0-9a-f]+ <inner>\s+outer \+ \d+ in section .text")
        self.assertIn("[ PE ET PG ]", text)

    def test_live_from_the_first_instruction(self):
        server = self.serve("run", "-m", "64M", "-kernel", PROBE32, "-S")
        text = run_gdb(server.address, "break inner", "continue", "print $eip == (long)&inner", "set $eax = 0x89abcdef",
                       "print/x $eax", "set var $xmm1.v4_int32[0] = 7", "print $xmm1.v4_int32[0]", "print $st0",
                       "info registers eflags", "finish", "print *(int *)&last", symbols=PROBE32).text
        self.assertIn("$1 = 1", text)
        self.assertIn("$2 = 0x89abcdef", text)
        self.assertIn("$3 = 7", text)
        self.assertRegex(text, r"\$4 = 3\.14159265358979323\d*")
        self.assertRegex(text, r"outer \(\) at .*probe32.asm")
        self.assertIn("$5 = 0", text)

    def test_packets(self):
        """The registers as gdb gets them: 32 bits each, in its order; a write changes all of one and nothing else."""
        trace = self.record("t.deja", "-kernel", PROBE32)
        client = self.client(self.serve("replay", trace))
        client.insert(1, symbols_of(PROBE32)["inner"])
        client.resume("c")
        description = client.object("features", "target.xml")
        self.assertIn("<architecture>i386</architecture>", description)
        for number, name in enumerate(CORE):
            self.assertRegex(description, rf'<reg name="{name}" bitsize="32" [^>]*regnum="{number}"')
        self.assertNotIn("\"r8\"", description)
        self.assertNotIn("xmm8", description)
        values = client.request("g")
        eip = symbols_of(PROBE32)["inner"]
        self.assertEqual(values[8 * 8:9 * 8], eip.to_bytes(4, "little").hex())
        self.assertEqual(client.request("p8"), eip.to_bytes(4, "little").hex())
        self.assertEqual(client.request("P0=efcdab89"), "OK")
        self.assertEqual(client.request("p0"), "efcdab89")
        self.assertEqual(client.request("g")[8:], values[8:])

    def test_a_64_bit_guest_stays_one(self):
        """Before it enters long mode it is 32-bit code as well."""
        client = self.client(self.serve("run", "-m", "64M", "-kernel", gdb_client.PROBE, "-S"))
        self.assertIn("<architecture>i386:x86-64</architecture>", client.object("features", "target.xml"))


if __name__ == "__main__":
    gdb_client.main()
