#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a hunt to the culprit in a program on a stock kernel: two processes that share a journal, and no lock."""
import json

import common
import fetch_guests
import initramfs
from bugs import BugCase, built


class Journal(BugCase):
    ELF = built("journal")
    FAILURE = ["--output", "journal: BUG"]
    RUNS = 40
    SAYS = "journal: BUG: "
    END = "0x10000000,8" # of the journal

    def setUp(self):
        super().setUp()
        with open(self.path("journal.cpio"), "wb") as f:
            f.write(initramfs.of_program(self.ELF))
        # The kernel's tests of its ciphers are most of its boot.
        self.MACHINE = ["-kernel", fetch_guests.ensure(common.FOLDER)["cloud"], "-initrd", self.path("journal.cpio"),
                        "-append", "console=ttyS0 quiet cryptomgr.notests"]
        self.HUNT = ["-perturb", f"from={self.start()}"]

    def start(self):
        """When the program begins: what comes before is to stay as it is."""
        self.command("record", "-o", self.path("first.deja"), "--seed", str(self.SEED), *self.MACHINE)
        lines = [json.loads(line) for line in self.command("log", self.path("first.deja"), "--json").splitlines()]
        return next(line["icount"] for line in lines if line["text"] == "journal: services start")

    def test_to_the_culprit(self):
        read, writes = self.lost_update("journal_append", self.END)
        # The other process has appended meanwhile: by the same function, in another address space.
        self.assertBy(writes[0], "journal_append")
        self.assertEqual(writes[-1]["cr3"], read["cr3"])
        self.assertNotEqual(writes[0]["cr3"], read["cr3"])


if __name__ == "__main__":
    common.main()
