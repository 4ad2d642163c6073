#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The commands record, replay, log, info and dump on the demo guest: output, messages, exit status.

usage: check_commands.py DEJA
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DEJA = os.path.abspath(sys.argv.pop(1))


def deja(*args, **kwargs):
    kwargs.setdefault('stdin', subprocess.DEVNULL)
    return subprocess.run([DEJA, *args], capture_output=True, timeout=120, **kwargs)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.trace = os.path.join(cls.folder.name, 't.deja')
        cls.recorded = deja('record', '-o', cls.trace, '--seed', '7')

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def other(self, name):
        return os.path.join(self.folder.name, name)

    def one_line(self, result, status, *parts):
        """The command failed with `status` and said so in one line that has all `parts`."""
        text = result.stderr.decode()
        self.assertEqual(result.returncode, status, text)
        self.assertRegex(text, r'\Adeja: [^\n]*\n\Z')
        for part in parts:
            self.assertIn(part, text)

    def test_replay_prints_what_the_guest_printed_and_one_line(self):
        result = deja('replay', self.trace)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, self.recorded.stdout)
        self.assertIn(b'PANIC', result.stdout)
        self.assertRegex(result.stderr.decode(),
                         r'\Adeja: replay exact: [\d,]+ instructions, [\d,]+ interrupts, 0 inputs, '
                         r'\d+ digests in [\d.]+ s \([\d.]+ MIPS\)\n\Z')

    def test_quiet_prints_the_line_only(self):
        result = deja('replay', '--quiet', self.trace)
        self.assertEqual((result.returncode, result.stdout), (0, b''))
        self.assertIn(b'replay exact', result.stderr)

    def test_log_is_what_the_guest_printed_each_line_with_its_place(self):
        result = deja('log', self.trace, '--json')
        self.assertEqual((result.returncode, result.stderr), (0, b''))
        lines = [json.loads(line) for line in result.stdout.decode().splitlines()]
        self.assertEqual('\n'.join(line['text'] for line in lines),
                         self.recorded.stdout.decode().replace('\r', '').rstrip('\n'))
        places = [line['icount'] for line in lines if line['text']]
        self.assertEqual(places, sorted(places))
        # The place is where the line begins: before it, the line is not there yet.
        panic = next(line for line in lines if line['text'].startswith('PANIC'))
        for until, seen in ((panic['icount'], False), (panic['icount'] + 1, True)):
            part = deja('replay', self.trace, '--until', str(until)).stdout
            self.assertEqual(part.endswith(b'P'), seen)
        text = deja('log', self.trace).stdout.decode()
        self.assertIn(f"{panic['icount']:,}", text)
        self.assertIn(panic['text'], text)

    def test_log_from_an_index_is_the_same(self):
        trace = self.other('indexed.deja')
        shutil.copy(self.trace, trace)
        want = [deja('log', trace, *more) for more in ([], ['--json'], ['--port', 'debug'])]
        self.assertEqual(deja('index', trace).returncode, 0)
        for result, more in zip(want, ([], ['--json'], ['--port', 'debug'])):
            again = deja('log', trace, *more)
            self.assertEqual((again.returncode, again.stdout, again.stderr), (0, result.stdout, b''))

    def test_debug_begins_where_text_was_printed(self):
        script = ['-batch', '-ex', 'printf "at %lu\\n", $icount', '-ex', 'p/x $edx', '-ex', 'p/c $eax', '-ex', 'x/i $pc']
        line = next(l for l in map(json.loads, deja('log', self.trace, '--json').stdout.splitlines())
                    if l['text'].startswith('PANIC'))
        for text, byte in (('PANIC', 'C'), ('/^P/', 'P'), ('/pan.*$/i', r'\\n')):
            result = deja('debug', self.trace, '--at-output', text, '--', *script).stdout.decode()
            self.assertRegex(result, "= '?0x3f8")
            at = int(re.search(r'at (\d+)', result).group(1))
            self.assertGreaterEqual(at, line['icount'])
            self.assertRegex(result, f"= -?\\d+ '({byte})'")
        self.one_line(deja('debug', self.trace, '--at-output', 'no such text', '--', *script), 1, 'no such text')
        self.one_line(deja('debug', self.trace, '--at-output', '/(/', '--', *script), 2, '--at-output')

    def test_log_of_a_line_that_is_silent_or_not_there(self):
        result = deja('log', self.trace, '--port', '1')
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b'', b''))
        self.one_line(deja('log', self.trace, '--port', '2'), 2, '--port', '2')
        self.one_line(deja('log'), 2, 'needs a trace')
        self.one_line(deja('log', self.other('none')), 2, 'none')

    def test_until_stops_on_the_exact_instruction(self):
        for text in ('0', '1', '1234567', '1,234,567', '0x12d687'):
            result = deja('replay', '--until', text, self.trace)
            count = int(text.replace(',', ''), 0)
            self.one_line(result, 0, '--until', 'replay exact so far: {:,} instr'.format(count))

    def test_until_behind_the_end_is_the_end(self):
        self.one_line(deja('replay', '-until', str(2**64 - 1), self.trace), 0, 'replay exact: ')

    def test_info_and_dump_agree(self):
        info = json.loads(deja('info', '--json', self.trace).stdout)
        events = [json.loads(line)
                  for line in deja('dump', '--json', self.trace).stdout.splitlines()]
        kinds = [event['event'] for event in events]
        for kind in ('input', 'interrupt', 'digest', 'mark'):
            self.assertEqual(info['events'][kind + 's']['count'], kinds.count(kind))
        self.assertEqual(sum(v['count'] for v in info['interrupts']), kinds.count('interrupt'))
        self.assertEqual(events[0]['icount'], 0)
        self.assertEqual(events[0]['event'], 'digest')
        self.assertEqual(events[-1]['event'], 'end')
        self.assertEqual(events[-1]['reason'], info['end']['reason'])
        self.assertEqual(events[-1]['digest'], info['end']['digest'])
        self.assertEqual(events[-1]['icount'], info['icount'])
        self.assertEqual(info['seeds'], [7])
        self.assertEqual(info['bytes'], os.path.getsize(self.trace))
        self.assertEqual([i['role'] for i in info['images']], ['kernel'])
        self.assertFalse(info['truncated'])

    def test_text_has_a_line_for_each_event(self):
        text = deja('dump', self.trace).stdout.decode().splitlines()
        as_json = deja('dump', '--json', self.trace).stdout.splitlines()
        self.assertEqual(len(text), len(as_json))
        for line, event in zip(text, map(json.loads, as_json)):
            self.assertEqual(line.split()[:2], [str(event['icount']), event['event']])
        info = deja('info', self.trace).stdout.decode()
        self.assertRegex(info, r'image: +"kernel" ')
        self.assertRegex(info, r'end: +"exit", exit code 3, digest [0-9a-f]{16}\n')

    def test_a_cut_trace_is_replayed_as_far_as_it_goes(self):
        cut = self.other('cut.deja')
        with open(self.trace, 'rb') as f, open(cut, 'wb') as g:
            g.write(f.read()[:-150])
        info = json.loads(deja('info', '--json', cut).stdout)
        self.assertTrue(info['truncated'])
        self.assertIsNone(info['end'])
        result = deja('replay', '--quiet', cut)
        lines = result.stderr.decode().splitlines()
        self.assertEqual((result.returncode, len(lines)), (0, 2))
        self.assertIn(cut + ': the recording is cut off after byte %d' % info['whole_bytes'],
                      lines[0])
        self.assertIn('replay exact up to there: {:,} instr'.format(info['icount']), lines[1])
        self.one_line(deja('dump', cut), 0, 'cut off')

    def test_a_killed_recording_is_replayed_as_far_as_it_goes(self):
        killed = self.other('killed.deja')
        read_end, write_end = os.pipe()  # a console that stays silent: the guest runs in wall time
        p = subprocess.Popen([DEJA, 'record', '-o', killed], stdin=read_end,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while p.poll() is None and time.monotonic() < deadline:
            if os.path.exists(killed) and b'interrupt' in deja('dump', killed).stdout:
                break
            time.sleep(0.05)
        p.kill()
        self.assertEqual(p.wait(), -signal.SIGKILL)
        os.close(read_end)
        os.close(write_end)
        result = deja('replay', '--quiet', killed)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b'cut off after byte', result.stderr)

    def test_sigterm_ends_a_recording_cleanly(self):
        stopped = self.other('stopped.deja')
        read_end, write_end = os.pipe()
        p = subprocess.Popen([DEJA, 'record', '-o', stopped], stdin=read_end,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        p.stdout.read(10)
        p.terminate()
        p.communicate(timeout=60)
        os.close(read_end)
        os.close(write_end)
        self.assertEqual(p.returncode, 0)
        info = json.loads(deja('info', '--json', stopped).stdout)
        self.assertEqual((info['end']['reason'], info['inputs']), ('user', {'stop': 1}))
        self.one_line(deja('replay', '--quiet', stopped), 0, 'replay exact: ')

    def test_what_is_typed_is_replayed(self):
        typed = self.other('typed.deja')
        live = deja('record', '-o', typed, stdin=None, input=b'+a+q')
        result = deja('replay', typed)
        self.assertEqual((result.returncode, result.stdout), (0, live.stdout))
        events = [json.loads(line) for line in deja('dump', '--json', typed).stdout.splitlines()]
        data = ''.join(e['data'] for e in events if e.get('kind') == 'serial')
        self.assertEqual(bytes.fromhex(data), b'+a+q')

    def test_a_trace_that_is_no_trace_is_named(self):
        bad = self.other('bad.deja')
        with open(bad, 'wb') as f:
            f.write(b'MZ' * 100)
        for command in ('replay', 'info', 'dump'):
            self.one_line(deja(command, bad), 2, bad + ': ', 'not a deja trace')
            self.one_line(deja(command, bad + '.none'), 2, bad + '.none: ', 'No such file')

    def test_damage_is_named_with_its_byte(self):
        bad = self.other('damaged.deja')
        with open(self.trace, 'rb') as f:
            data = f.read()
        for command in (['dump'], ['info'], ['replay', '--quiet']):
            noticed = 0
            for at in range(20, 600, 20):  # the events, the end and the index
                flipped = bytearray(data)
                flipped[-at] ^= 0x10
                with open(bad, 'wb') as f:
                    f.write(flipped)
                result = deja(*command, bad)
                if result.returncode != 0:
                    self.one_line(result, 2, bad + ': ', 'byte ')
                    noticed += 1
            self.assertGreater(noticed, 5)

    def test_bad_usage_is_said_in_one_line(self):
        for args in (['replay'], ['replay', self.trace, self.trace], ['replay', '--until'],
                     ['replay', self.trace, '--until', 'x'], ['replay', self.trace, '--bogus'],
                     ['replay', self.trace, '-sandbox', 'maybe'], ['info'], ['dump'],
                     ['info', self.trace, '--bogus'], ['dump', self.trace, self.trace]):
            self.one_line(deja(*args), 2, args[0])

    def test_a_trace_is_not_written_over_its_kernel(self):
        kernel = self.other('kernel')
        with open(kernel, 'wb') as f:
            f.write(b'\x7fELF precious')
        self.one_line(deja('record', '-o', kernel, '-kernel', kernel), 2, kernel)
        with open(kernel, 'rb') as f:
            self.assertEqual(f.read(), b'\x7fELF precious')

    def test_a_trace_that_cannot_be_written_is_said(self):
        self.one_line(deja('record', '-o', '/dev/full'), 2, '/dev/full: ', 'No space left')
        self.one_line(deja('record', '-o', self.folder.name), 2, self.folder.name)


if __name__ == '__main__':
    unittest.main()
