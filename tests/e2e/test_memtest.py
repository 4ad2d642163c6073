#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memtest86+, started as Linux is: a whole pass over 32 MiB, recorded and replayed."""
import re
import signal

import common
import fetch_guests
from common import Case

# The last test waits twice for bits to fade, 160 seconds, by the time-stamp counter.
NS_PER_INSN = "100"
SHOWN = set(range(3, 11)) # the tests before are over before the screen is written anew


class Memtest(Case):
    def check_pass(self, name):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, "-m", "32M", "-seed", "1", "-ns-per-insn", NS_PER_INSN,
                          "-kernel", fetch_guests.ensure_memtest(common.FOLDER)[name],
                          "-append", "console=ttyS0,115200")
        while guest.expect(b"| Pass:  ") and guest.expect(b" ") == b"0": # it is written anew every two seconds
            pass
        guest.signal(signal.SIGINT)
        self.assertEqual(guest.finish(), (0, ""))
        tests = [int(number) for number in re.findall(rb" #(\d+) +\[", guest.output)]
        self.assertLessEqual(SHOWN, set(tests))
        self.assertEqual(set(re.findall(rb"Errors: *(\d+)", guest.output)), {b"0"})
        self.assertIn(b"32MB [28MB of 31.6MB]", guest.output)
        self.assertExactReplay(trace, guest.output)

    def test_x64(self):
        self.check_pass("memtest-x64")

    def test_ia32(self):
        self.check_pass("memtest-ia32")


if __name__ == "__main__":
    common.main()
