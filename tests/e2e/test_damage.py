#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recordings that were cut short, and files that were damaged afterwards."""
import os
import resource
import signal
import subprocess
import time

import common
from common import Case, deja, echo_guest

GREETING = b"echo guest\r\n"


class Cut(Case):
    def record(self, keys, **more):
        trace = self.path("t.deja")
        result = deja("record", "-o", trace, "-kernel", echo_guest(), stdin=keys, **more)
        return trace, result

    def test_recording_replays_what_was_shown(self):
        trace, result = self.record(b"hello, world" * 50 + b"Q")
        self.assertStatus(result, 0)
        self.assertEqual(self.assertExactReplay(trace), result.stdout)

    def test_bad_end_of_the_guest_is_not_one_of_its_replay(self):
        trace, result = self.record(b"T")
        self.assertStatus(result, 3)
        self.assertIn(f"deja replay {trace}".encode(), result.stderr)
        self.assertExactReplay(trace, GREETING)

    def test_killed_recorder_leaves_what_was_typed(self):
        trace = self.path("t.deja")
        guest = self.live("record", "-o", trace, "-kernel", echo_guest())
        guest.expect(GREETING)
        guest.send(b"typed before the end")
        guest.expect(b"typed before the end")
        time.sleep(1.5) # the trace is flushed every second at the latest
        guest.process.kill()
        guest.process.wait()
        replay = deja("replay", trace, stdin=None)
        self.assertStatus(replay, 0)
        self.assertTrue(replay.stdout.startswith(GREETING + b"typed before the e"), replay.stdout)

    def test_full_disk_ends_the_recording_and_is_told(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

        trace = self.path("t.deja")
        guest = subprocess.Popen([common.DEJA, "record", "-o", trace, "-kernel", echo_guest()],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, preexec_fn=limit)
        output, errors = guest.communicate(os.urandom(200000).translate(None, b"QEHTRPFD"),
                                           timeout=common.TIMEOUT)
        self.assertEqual(guest.returncode, 2)
        self.assertIn(trace.encode(), errors)
        self.assertIn(b"File too large", errors)
        replay = deja("replay", trace, stdin=None)
        self.assertStatus(replay, 0)
        self.assertGreater(len(replay.stdout), len(GREETING))
        self.assertTrue(output.startswith(replay.stdout) or replay.stdout.startswith(output))

    def test_truncated_file_gives_a_result_or_one_line(self):
        trace, result = self.record(b"hello" * 400 + b"Q")
        self.assertStatus(result, 0)
        with open(trace, "rb") as f:
            whole = f.read()
        for cut in range(0, len(whole), max(1, len(whole) // 60)):
            self.check_damaged(whole[:cut])

    def test_flipped_bit_gives_a_result_or_one_line(self):
        trace, result = self.record(b"hello" * 400 + b"Q")
        self.assertStatus(result, 0)
        with open(trace, "rb") as f:
            whole = f.read()
        for at in range(0, len(whole), max(1, len(whole) // 60)):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << at % 8
            self.check_damaged(bytes(damaged))

    def check_damaged(self, data):
        path = self.path("damaged.deja")
        with open(path, "wb") as f:
            f.write(data)
        for command in ("replay", "info", "dump"):
            result = deja(command, path, stdin=None)
            self.assertIn(result.returncode, (0, 1, 2), (command, result.stderr))
            if result.returncode == 2:
                self.assertIn(path.encode(), result.stderr)


if __name__ == "__main__":
    common.main()
