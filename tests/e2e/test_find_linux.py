#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Questions to the recording of a stock Debian kernel's boot: its own symbols, its user processes, its console."""
import json

import common
from common import Case, deja, linux


class Stock(Case):
    def find(self, *args, trace, status=0):
        result = deja("find", trace, "--json", *args, stdin=None)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        return [json.loads(line) for line in result.stdout.decode().splitlines()]

    def check_word(self, trace):
        """The tick's counter: each store finds what the one before has left, and adds ticks."""
        hits = self.find("--writes", "jiffies_64,8", trace=trace)
        ticks = [h for h in hits if h["symbol"].startswith(("do_timer+", "tick_do_update_jiffies64+"))]
        self.assertGreater(len(ticks), 50)
        for before, after in zip(hits, hits[1:]):
            self.assertEqual(before["after"], after["before"])
        for hit in ticks:
            self.assertLess(int(hit["before"], 0), int(hit["after"], 0))
            self.assertRegex(hit["object"], "^jiffies")
            self.assertEqual(hit["cpl"], 0)
        word = hits[5]["address"] + ",8"
        self.assertEqual(self.find("--writes", word, trace=trace), hits)
        self.assertEqual(self.find("--writes", word, "--last", "--value", hits[7]["after"], trace=trace), hits[7:8])
        self.assertEqual(self.find("--writes", word, "--first", "--between", f"{hits[8]['icount']}..end", trace=trace),
                         hits[8:9])

    def check_users(self, trace):
        first = self.find("--event", "syscall", "--first", trace=trace)[0]
        again = self.find("--exec", first["rip"], "--cpl", "3", "--first", trace=trace)[0]
        self.assertEqual((first["cpl"], first["icount"], first["cr3"]), (3, again["icount"], again["cr3"]))
        # write(2) of init's greeting: before the console prints it.
        said = self.find("--output", "guest: up", "--first", trace=trace)[0]
        self.assertTrue(self.find("--event", "syscall=1", "--between", f"0..{said['icount']}", trace=trace))
        self.assertRegex(said["symbol"], "io_serial_out|serial8250")
        fault = self.find("--event", "exception=14", "--cpl", "3", "--first", trace=trace)[0]
        self.assertEqual((fault["cpl"], fault["vector"], int(fault["error"], 0) & 4), (3, 14, 4))

    def check_console(self, trace):
        log = [json.loads(line) for line in deja("log", trace, "--json", stdin=None).stdout.decode().splitlines()]
        hits = self.find("--output", "/^\\[ /", trace=trace)
        self.assertEqual([h["text"] for h in hits], [line["text"] for line in log if line["text"].startswith("[ ")])

    def check_bisect(self, trace):
        """A gdb script with the kernel's symbols, which are where KASLR puts them from early on: the memory comes later."""
        initial, ticks = 2**32 - 300 * 250, 150 # INITIAL_JIFFIES
        script = self.path("ticks.py")
        with open(script, "w") as f:
            f.write("import sys\n"
                    "try:\n"
                    "    now = int(gdb.parse_and_eval('*(unsigned long *)&jiffies_64'))\n"
                    "except gdb.MemoryError:\n"
                    "    sys.exit(125)\n"
                    f"sys.exit(now >= {initial + ticks})\n")
        found = []
        for how in (["--gdb-script", script], ["--when", f"u64[jiffies_64] >= {initial + ticks}"]):
            result = deja("bisect", trace, "--json", *how, stdin=None)
            self.assertStatus(result, 0)
            found.append(json.loads(result.stdout))
        self.assertEqual(found[0]["answer"], "found")
        for place in ("first", "before"):
            self.assertEqual(found[0][place], found[1][place])
        self.assertRegex(found[0]["before"]["symbol"], r"^(do_timer|tick_do_update_jiffies64)\+")

    def test_questions(self):
        trace = self.path("t.deja")
        self.assertStatus(deja("record", "-o", trace, *linux("cloud", "guest.poweroff", seed=1), stdin=None), 0)
        started = self.find("--exec", "start_kernel", trace=trace)
        self.assertEqual(len(started), 1)
        self.assertRegex(started[0]["symbol"], r"^start_kernel\+0x0/")
        self.assertStatus(deja("index", trace, stdin=None), 0)
        self.assertEqual(self.find("--exec", "start_kernel", trace=trace), started)
        self.check_word(trace)
        self.check_users(trace)
        self.check_console(trace)
        self.check_bisect(trace)


if __name__ == "__main__":
    common.main()
