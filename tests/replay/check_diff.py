#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja diff` on pairs of recordings whose first difference is known.

usage: check_diff.py DEJA CRAFT ECHO [unittest arguments]

CRAFT (craft.c) makes recordings with inputs and debuggers' changes at known instructions, and says by
brute force, comparing all of two machines after each move, where they first differ. ECHO is the guest
that sends back what it receives.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DEJA, CRAFT, ECHO = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
LENGTH = 3100000  # of the crafted recordings: the demo at work, then two hundred interrupts


def run(*command, status=0, **more):
    more.setdefault('stdin', subprocess.DEVNULL)
    if 'input' in more:
        del more['stdin']
    p = subprocess.run(command, capture_output=True, timeout=200, **more)
    if p.returncode != status:
        raise AssertionError(f'status {p.returncode}, not {status}: {" ".join(command)}\n'
                             f'{p.stdout.decode(errors="replace")}\n{p.stderr.decode(errors="replace")}')
    return p.stdout.decode()


class DiffCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix='deja-diff-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.plain = cls.craft('plain')

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name + '.deja')

    @classmethod
    def craft(cls, name, *options):
        if '--until' not in options:
            options += ('--until', str(LENGTH))
        run(CRAFT, 'record', cls.path(name), *options)
        return cls.path(name)

    def edit(self, name, what, n, *by):
        run(CRAFT, 'edit', self.plain, self.path(name), what, str(n), *map(str, by))
        return self.path(name)

    @classmethod
    def echo(cls, name, typed, *more):
        """The guest that sends back what it gets, a byte every 200,000 instructions."""
        inputs = [word for i, byte in enumerate(typed) for word in ('--input', f'{200000 * (i + 1)}:0:{byte:02x}')]
        return cls.craft(name, '--kernel', ECHO, *inputs, *more)

    def diff(self, a, b, *options, status=1):
        return json.loads(run(DEJA, 'diff', a, b, '--json', *options, status=status))

    def text(self, a, b, *options, status=1):
        return run(DEJA, 'diff', a, b, *options, status=status)


class Same(DiffCase):
    def test_a_recording_made_twice_is_the_same_run(self):
        again = self.craft('again')
        d = self.diff(self.plain, again, status=0)
        self.assertEqual(d['verdict'], 'same')
        self.assertEqual((d['config'], d['other_end']), ([], False))
        self.assertEqual(d['digests']['different'], 0)
        self.assertEqual(d['interrupts']['relation'], 'same')
        self.assertGreater(d['interrupts']['same'], 100)
        self.assertFalse(d['state']['compared'])
        self.assertTrue(self.text(self.plain, again, status=0).endswith('\nthe runs are the same\n'))

    def test_how_often_digests_are_taken_is_no_difference(self):
        d = self.diff(self.plain, self.craft('rare', '--interval', '200000'), status=0)
        self.assertEqual([c['key'] for c in d['config']], ['digest_interval'])
        self.assertEqual(d['config'][0]['effect'], 'remark')

    def test_a_shorter_run_differs_in_its_end_alone(self):
        d = self.diff(self.plain, self.craft('shorter', '--until', '1000000'))
        self.assertTrue(d['other_end'])
        self.assertEqual(d['interrupts']['relation'], 'after the end')
        self.assertEqual(d['state']['why'], 'the runs are the same as far as both go')

    def test_a_cut_recording_is_the_same_as_far_as_it_goes(self):
        cut = self.path('cut')
        with open(self.plain, 'rb') as f:
            data = f.read()
        for at in range(len(data) - 20, 0, -311):  # some of these cut between two frames of events
            with open(cut, 'wb') as f:
                f.write(data[:at])
            p = subprocess.run([DEJA, 'diff', self.plain, cut, '--json'], capture_output=True, timeout=60)
            if p.returncode == 2:
                break  # into the image
            d = json.loads(p.stdout)
            self.assertEqual((p.returncode, d['verdict']), (0, 'same'))
            self.assertEqual(d['b']['truncated'], at < len(data) - 20 or d['b']['end'] is None)
            self.assertLessEqual(d['common_icount'], LENGTH)
        text = run(DEJA, 'diff', self.plain, cut, status=2) if p.returncode != 2 else p.stderr.decode()
        self.assertRegex(text, r'\Adeja: [^\n]*cut[^\n]*\n\Z')


class Config(DiffCase):
    def test_another_seed_differs_from_power_on(self):
        d = self.diff(self.plain, self.craft('seed2', '--seed', '2'))
        self.assertEqual([(c['key'], c['a'], c['b'], c['effect']) for c in d['config']],
                         [('seed', '1', '2', 'run')])
        first = d['state']['first']
        self.assertEqual((first['icount'], first['before'], first['exact']), (0, None, True))
        self.assertEqual({f['name'] for f in first['fields']}, {f'cpu.rng[{i}]' for i in range(4)})
        # The demo asks for no random numbers.
        self.assertIsNone(d['state']['spread'])
        self.assertIsNone(d['state']['output'])

    def test_another_command_line_is_followed_to_where_it_matters(self):
        a, b = (self.echo('cmd-' + line, b'Q', '--append', line) for line in ('hello=1', 'hello=2'))
        d = self.diff(a, b)
        self.assertEqual([(c['key'], c['a'], c['b']) for c in d['config']], [('cmdline', 'hello=1', 'hello=2')])
        self.assertEqual([(m['a'], m['b']) for m in d['state']['first']['memory']], [('31', '32')])
        self.assertIsNone(d['state']['spread'])

    def test_another_kernel_or_size_of_ram_stops_after_the_events(self):
        larger = self.craft('larger', '--ram', '32')
        d = self.diff(self.plain, larger)
        self.assertEqual([(c['key'], c['effect']) for c in d['config']], [('ram_bytes', 'machine')])
        self.assertFalse(d['state']['compared'])
        self.assertIn('state: not compared', self.text(self.plain, larger))
        d = self.diff(self.plain, self.echo('kernel', b'Q'))
        self.assertIn('image kernel', [c['key'] for c in d['config'] if c['effect'] == 'machine'])
        self.assertFalse(d['state']['compared'])

    def test_force_compares_what_both_have(self):
        for a, b in ((self.plain, self.craft('more', '--ram', '32')),
                     (self.craft('less', '--ram', '8'), self.plain)):
            d = self.diff(a, b, '--force')
            self.assertTrue(d['state']['compared'])
            self.assertEqual(d['state']['unpaired_pages'],
                             abs(d['state']['up_to'] and self.ram(a) - self.ram(b)) // 4096)
            self.assertEqual(d['state']['first']['icount'], 0)  # the boot loader tells the size
        d = self.diff(self.plain, self.echo('other', b'Q'), '--force')
        self.assertIsNotNone(d['state']['first'])

    def ram(self, path):
        return json.loads(run(DEJA, 'info', '--json', path))['config']['ram_bytes']


class Inputs(DiffCase):
    def test_another_byte_is_followed_from_its_delivery(self):
        a, b = self.echo('a', b'abcQ'), self.echo('b', b'abdQ')
        d = self.diff(a, b)
        self.assertEqual(d['inputs']['relation'], 'other')
        self.assertEqual((d['inputs']['a']['data'], d['inputs']['b']['data']), ('63', '64'))
        at = d['inputs']['a']['icount']
        state = d['state']
        self.assertEqual((state['first']['icount'], state['first']['exact']), (at, True))
        self.assertEqual(state['first']['a']['happened'], ['input serial 0 "c"'])
        self.assertEqual([(f['a'], f['b']) for f in state['first']['fields']], [('63', '64')])
        # It is first used where the guest reads it: rax.
        self.assertEqual(state['spread']['a']['instruction']['text'], 'in al, dx')
        self.assertIn(('rax', '63', '64'), [(r['name'], r['a'][-2:], r['b'][-2:])
                                            for r in state['spread']['registers']])
        self.assertIsNone(state['parting'])
        self.assertEqual((state['output']['line'], state['output']['column'], state['output']['a']['text'],
                          state['output']['b']['text']), (2, 3, 'abc', 'abd'))

    def test_control_flow_parts_at_the_first_other_instruction(self):
        # E leaves by isa-debug-exit, x is sent back: the guest's list of commands decides.
        d = self.diff(self.echo('a', b'EQ'), self.echo('b', b'xQ'))
        parting = d['state']['parting']
        self.assertTrue(parting['exact'])
        self.assertEqual(parting['a']['instruction'], parting['b']['instruction'])
        self.assertIn(parting['a']['instruction']['text'].split()[0], ('jz', 'je', 'jnz'))
        self.assertNotEqual(parting['a']['next']['linear'], parting['b']['next']['linear'])
        self.assertTrue(d['other_end'])

    def test_an_input_that_one_side_lacks(self):
        # The same until then; whoever has more input is not told that it is over.
        d = self.diff(self.craft('one', '--input', '5000:0:61'),
                      self.craft('two', '--input', '5000:0:61', '--input', '9000:0:62'))
        self.assertEqual((d['inputs']['relation'], d['inputs']['same']), ('only in B', 1))
        self.assertEqual((d['inputs']['a'], d['inputs']['b']['icount']), (None, 9000))
        self.assertEqual(d['state']['first']['icount'], 9000)

    def test_an_input_at_another_time(self):
        d = self.diff(self.craft('early', '--input', '5000:0:61'),
                      self.craft('late', '--input', '5003:0:61'))
        self.assertEqual(d['inputs']['relation'], 'moved')
        self.assertEqual(d['state']['first']['icount'], 5000)

    def test_events_only_replays_nothing(self):
        a, b = self.echo('a', b'abcQ'), self.echo('b', b'abdQ')
        d = self.diff(a, b, '--events')
        self.assertEqual(d['inputs']['relation'], 'other')
        self.assertEqual(d['state'], {'compared': False, 'why': 'only events were to be compared'})

    def test_after_limits_how_far_it_is_followed(self):
        b = self.craft('b', '--write', '100000:0x5000:ab')
        self.assertEqual(self.diff(self.plain, b)['state']['up_to'], LENGTH)
        d = self.diff(self.plain, b, '--after', '1,000')
        self.assertEqual(d['state']['up_to'], 101000)
        self.assertEqual([row['after'] for row in d['state']['followed']], [1, 10, 100, 1000])
        self.assertEqual(self.diff(self.plain, b, '--after', '0')['state']['first']['icount'], 100000)


class Exact(DiffCase):
    """Changes at known places: the first difference is there and nowhere else, as brute force has it."""

    def brute(self, a, b, at):
        words = run(CRAFT, 'brute', a, b, str(max(0, at - 40)), str(at + 40)).split()
        self.assertNotEqual(words, ['same'])
        return int(words[0]), int(words[1]), [int(gpa, 16) for gpa in words[2:]]

    def assert_first(self, d, at, entries=0):
        first = d['state']['first']
        self.assertEqual((first['icount'], first['entries']), (at, entries))
        return first

    def addresses(self, place):
        return [int(m['gpa'], 16) + i for m in place['memory'] for i in range(len(m['a']) // 2)
                if m['a'][2 * i:2 * i + 2] != m['b'][2 * i:2 * i + 2]]

    def test_memory(self):
        rng = random.Random(4)
        for n in range(8):
            at = rng.choice((1, 17, 65536)) if n < 3 else rng.randrange(1, LENGTH)
            gpa = rng.randrange(0x5000, 0x90000) if n % 2 else rng.randrange(0x400000, 0x1000000)
            b = self.craft('w', '--write', f'{at}:{gpa:#x}:5b')
            with self.subTest(at=at, gpa=gpa):
                moment = self.brute(self.plain, b, at)
                d = self.diff(self.plain, b, '--after', '100000')
                first = self.assert_first(d, at)
                self.assertEqual(moment, (at, 0, [gpa]))
                self.assertEqual(self.addresses(first), [gpa])
                self.assertEqual((first['registers'], first['fields']), ([], []))
                self.assertEqual(first['before']['icount'], at - 1)
                self.assertIn('debug memory at', first['b']['happened'][0])

    def test_registers(self):
        rng = random.Random(5)
        for name in ('rax', 'rbx', 'rsi', 'r9', 'xmm5', 'fs_base', 'dr1', 'mxcsr'):
            at = rng.randrange(1, LENGTH)
            value = '802f' if name == 'mxcsr' else '0102030405060708' if name == 'xmm5' else '5b5b'
            b = self.craft('r', '--register', f'{at}:{name}:{value}')
            with self.subTest(at=at, name=name):
                moment = self.brute(self.plain, b, at)
                first = self.assert_first(self.diff(self.plain, b, '--after', '1000'), at)
                self.assertEqual(moment, (at, 0, []))
                self.assertEqual({r['name'].split('.')[-1 if 'fpu' in r['name'] else 0]
                                  for r in first['registers']}, {name.split('_')[0]})
                self.assertEqual(first['memory'], [])

    def test_a_change_that_changes_nothing_is_passed_over(self):
        b = self.craft('n', '--write', '5000:0x5000:00', '--write', '70000:0x5000:00',
                       '--write', '90001:0x6000:01')
        d = self.diff(self.plain, b)
        self.assertEqual(d['inputs']['b']['icount'], 5000)
        self.assertTrue(self.assert_first(d, 90001)['exact'])

    def test_a_change_that_is_undone_is_found(self):
        b = self.craft('u', '--write', '5000:0x5000:ab', '--write', '5100:0x5000:00',
                       '--write', '90001:0x6000:01')
        d = self.diff(self.plain, b)
        self.assertEqual(self.addresses(self.assert_first(d, 5000)), [0x5000])
        # That it goes away is a change, too.
        self.assertEqual((d['state']['spread']['icount'], d['state']['spread']['counts']['bytes']), (5100, 0))

    def test_when_nothing_differs_in_state_it_is_said(self):
        b = self.craft('z', '--write', '5000:0x5000:00')
        d = self.diff(self.plain, b)
        self.assertIsNone(d['state']['first'])
        self.assertEqual(d['digests']['different'], 0)
        self.assertIn('no difference was found', self.text(self.plain, b))

    def test_among_more_inputs_than_are_listed_it_is_found_by_halving(self):
        b = self.craft('noise', '--noise', '5000', '--write', '77777:0x5000:ab')
        d = self.diff(self.plain, b)
        first = self.assert_first(d, 77777)
        self.assertEqual(self.addresses(first), [0x5000])
        self.assertFalse(first['exact'])

    def test_a_changed_register_is_followed_to_where_it_is_used(self):
        """The demo returns by the stack pointer some hundred instructions later, and faults."""
        b = self.craft('p', '--register', '1000000:rsp:00000000')
        d = self.diff(self.plain, b)
        self.assert_first(d, 1000000)
        spread = d['state']['spread']
        n = self.last_alone(self.plain, b)
        self.assertLess((1000000 + n, 0), (spread['icount'], spread['entries']))
        self.assertLessEqual((spread['icount'], spread['entries']), (1000000 + n + 1, 0))
        self.assertEqual(spread['b']['happened'], ['exception 14'])
        self.assertEqual(spread['b']['instruction']['text'], 'ret')

    def last_alone(self, a, b):
        """How many instructions later the stack pointer is still all that differs: by rows at the end of
        what is followed."""
        alone, not_alone = 0, 5000
        while not_alone - alone > 1:
            after = (alone + not_alone) // 2
            counts = self.diff(a, b, '--after', str(after))['state']['followed'][-1]['counts']
            if (counts['registers'], counts['pages'], counts['fields']) == (1, 0, 0):
                alone = after
            else:
                not_alone = after
        return alone


class Divergence(DiffCase):
    def test_a_digest_that_this_deja_does_not_reproduce(self):
        b = self.edit('digest', 'digest', 7)
        d = self.diff(self.plain, b)
        self.assertEqual(d['inputs']['relation'], 'same')
        self.assertEqual((d['digests']['different'], d['digests']['first_different'],
                          d['digests']['last_equal']), (1, 7 * 65536, 6 * 65536))
        state = d['state']
        self.assertIsNone(state['first'])
        self.assertIsNone(state['divergence']['a'])
        self.assertEqual((state['divergence']['b']['what'], state['divergence']['b']['icount']),
                         ('digest', 7 * 65536))
        self.assertEqual(state['up_to'], 7 * 65536 - 1)
        text = self.text(self.plain, b)
        self.assertIn('replay of B diverges', text)
        self.assertIn('what this deja does instead is what A has recorded there', text)
        self.assertIn('no difference was found up to instruction 458,751', text)

    def test_what_comes_before_a_divergence_is_compared(self):
        """The inputs differ first; then one of the replays cannot go on."""
        b = self.craft('b', '--write', '100000:0x5000:ab')
        damaged = self.path('damaged')
        run(CRAFT, 'edit', b, damaged, 'digest', '9')
        d = self.diff(self.plain, damaged)
        self.assertEqual(d['state']['first']['icount'], 100000)
        self.assertEqual(d['state']['divergence']['b']['icount'], 9 * 65536)
        self.assertEqual(d['state']['up_to'], 9 * 65536 - 1)
        # Before the difference is reached at all.
        run(CRAFT, 'edit', b, damaged, 'digest', '1')
        d = self.diff(self.plain, damaged)
        self.assertIsNone(d['state']['first'])
        self.assertEqual(d['state']['up_to'], 65535)

    def test_an_interrupt_that_this_deja_does_not_reproduce(self):
        d = self.diff(self.plain, self.edit('moved', 'interrupt', 20, 1))
        self.assertEqual((d['interrupts']['relation'], d['interrupts']['same']), ('moved', 20))
        self.assertEqual(d['interrupts']['b']['icount'], d['interrupts']['a']['icount'] + 1)
        self.assertEqual(d['state']['divergence']['b']['what'], 'interrupt')
        self.assertIsNone(d['state']['first'])

    def test_at_power_on(self):
        d = self.diff(self.plain, self.edit('zero', 'digest', 0))
        self.assertEqual(d['state']['divergence']['b']['icount'], 0)
        self.assertIsNone(d['state']['first'])


class Command(DiffCase):
    def test_a_recording_that_cannot_be_replayed_is_compared_by_its_events(self):
        bare = self.edit('bare', 'image', 0)
        self.diff(self.plain, bare, status=0)
        d = self.diff(self.craft('b', '--write', '100000:0x5000:ab'), bare)
        self.assertEqual(d['inputs']['relation'], 'only in A')
        self.assertFalse(d['state']['compared'])
        self.assertIn(bare, d['state']['why'])

    def test_bad_usage_is_said_in_one_line(self):
        for args in ([], [self.plain], [self.plain] * 3, [self.plain, self.plain, '--bogus'],
                     [self.plain, self.plain, '--after', 'x'], [self.plain, self.plain, '--after'],
                     [self.plain, self.plain, '-sandbox', 'maybe'],
                     [self.plain, self.plain, '--checkpoint-mem', '0'],
                     [self.plain, '/nowhere/at.all'], [ECHO, self.plain],
                     [self.plain, self.plain, '--vmlinux', '/nowhere/vmlinux']):
            p = subprocess.run([DEJA, 'diff', *args], capture_output=True, timeout=60)
            self.assertEqual((p.returncode, p.stdout), (2, b''), args)
            self.assertRegex(p.stderr.decode(), r'\Adeja: [^\n]*\n\Z')

    def test_text_and_json_say_the_same(self):
        b = self.craft('b', '--write', '100000:0x5000:ab')
        text, d = self.text(self.plain, b), self.diff(self.plain, b)
        self.assertIn('first difference in state: after 100,000 instructions\n', text)
        self.assertIn('physical 0000005000', text)
        for row in d['state']['followed']:
            self.assertIn(f'{row["after"]:,}', text)
        # The demo's own symbols.
        self.assertRegex(d['state']['first']['a']['instruction']['symbol'], r'\A\w+\+0x')

    def test_an_index_beside_a_trace_changes_nothing(self):
        b = self.craft('indexed', '--write', '1500000:0x5000:ab')
        before = self.diff(self.plain, b)
        run(DEJA, 'index', b)
        self.assertEqual(self.diff(self.plain, b), before)

    def test_little_memory_for_checkpoints_changes_nothing(self):
        b = self.craft('little', '--write', '1500000:0x5000:ab')
        self.assertEqual(self.diff(self.plain, b, '--checkpoint-mem', '1M'), self.diff(self.plain, b))

    def test_an_interrupt_from_the_keyboard_ends_it(self):
        a = self.craft('long-a', '--until', '18000000')
        b = self.craft('long-b', '--until', '18000000', '--write', '1000:0x5000:ab')
        seen = set()
        for delay in (0.02, 0.05, 0.1, 0.2, 0.4):
            p = subprocess.Popen([DEJA, 'diff', a, b], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(delay)
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=60)
            seen.add(p.returncode)
            # Before it has taken over its signals it dies of it; after its work is done it does not matter.
            self.assertIn(p.returncode, (-signal.SIGINT, 1, 2), err)
            if p.returncode == 2:
                self.assertEqual(err, b'deja: diff: interrupted\n')


if __name__ == '__main__':
    unittest.main()
