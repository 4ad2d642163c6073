#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`deja trace` on small guests: exactly the records that they were written to make, whatever way they are asked for.

usage: check_trace.py DEJA TRACE.elf WATCH.bin SWITCH.elf [unittest arguments]
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

DEJA, TRACE_GUEST, WATCH_GUEST, SWITCH_GUEST = map(os.path.abspath, sys.argv[1:5])
del sys.argv[1:5]
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')

FUNCTIONS = ('leaf:dslxpx,factorial:d,outer:d,inner:d,countdown:u,failing:,escape:,worker:d,switch:,sleeper:,'
             'ticked:')

# tests/guests/trace/trace.asm, from top to bottom.
CALLS = r'''
leaf(1, "hello\n", -3, 0x1234, NULL, 0x123456789) from main+0x2d -> 0x2a  in 2
factorial(3) from main+0x37
  factorial(2)
    factorial(1) -> 1  in 4
  factorial -> 2  in 12
factorial -> 6  in 20
outer(5) from main+0x41
  inner(6) by a jump -> 7  in 2
outer -> 7  in 4
countdown(4) from main+0x4b -> 0  in 10
failing() from main+0x52 -> -2  in 2
escape() from again+0xd never returned
escape() from again+0xd never returned
leaf(0, "hello\n", -3, 0x1234, NULL, 0x123456789) from after_escape+0x9 -> 0x2a  in 2
worker(1) from after_escape+0x38
  switch()
    worker(2)
      switch()
  switch -> 0x2a  in 8
worker -> 1  in 12
worker(3) from after_escape+0x42
  switch()
      switch -> 1  in 10
    worker -> 2  in 14
switch() from run_b+0xf
  switch -> 2  in 7
worker -> 3  in 11
sleeper() from after_escape+0x4f
  ticked() -> 0x20  in 2
sleeper -> 1  in 30, slept 0.000214 s
switch has not returned, called at N
'''.strip().splitlines()

SYSCALLS = r'''
write(1, "hello\n", 6) = 6  in 11
openat(AT_FDCWD, "/etc/a path that is longer than "..., O_WRONLY|O_CREAT|O_CLOEXEC, 0644) = ? restarted  in 10
openat(AT_FDCWD, "/etc/a path that is longer than "..., O_WRONLY|O_CREAT|O_CLOEXEC, 0644) = -13 EACCES  in 9
read(0, BUFFER, 100) = 5 "input"  in 16
syscall_999(0x1, 0x2, 0x3, 0x4, 0x0, 0x6) = -38 ENOSYS  in 17
getpid() = 4711  in 17
exit_group(3) = ?
'''.strip().splitlines()

FAULTS = '''
irq 32 pic stubs+0x200  at sleeper+0xe  in 20
#PF kernel write of 0x40000000, not present, cpl=0 cr3=100000  at fault  in 35
#PF kernel write of 0x40000000, not present, cpl=0 cr3=100000  at fault
'''.strip().splitlines()


def deja(*args, **more):
    more.setdefault('stdin', subprocess.DEVNULL)
    return subprocess.run([DEJA, *args], capture_output=True, timeout=240, text=True, errors='replace', **more)


def record(path, *options, status=0):
    result = deja('record', '-o', path, '--seed', '7', *options)
    if result.returncode != status:
        raise AssertionError(result.stderr)
    return result.stdout


def places(text):
    """The moment of each line: instructions, and entries into handlers behind them."""
    return [tuple(int(n) for n in (line.split()[0].replace(',', '') + '+0').split('+')[:2])
            for line in text.splitlines()]


def without_places(text, who=False):
    """Lines without instruction, time and process; with nothing that depends on where things lie."""
    lines = []
    for line in text.splitlines():
        match = re.match(r'^ *[\d,]+(?:\+\d+)? +\d+\.\d{6}  (.*)$', line)
        if match is None:
            raise AssertionError('no place: ' + line)
        line = match.group(1)
        if who:
            line = re.sub(r'^cr3=.{14}', '', line)
        line = re.sub(r'called at [\d,]+', 'called at N', line)
        lines.append(re.sub(r'read\(0, 0x[0-9a-f]+,', 'read(0, BUFFER,', line))
    return lines


class TraceCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def trace(self, *options, trace=None):
        result = deja('trace', trace or self.recording, *options)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        return result.stdout

    def records(self, *options, trace=None):
        return [json.loads(line) for line in self.trace(*options, '--json', trace=trace).splitlines()]

    def one_line(self, result, status, *parts):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, r'\Adeja: [^\n]*\n\Z')
        for part in parts:
            self.assertIn(part, result.stderr)


class Guest(TraceCase):
    """tests/guests/trace."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recording = cls.path('guest.deja')
        record(cls.recording, '-m', '64M', '-kernel', TRACE_GUEST)

    def test_calls_and_returns(self):
        self.assertEqual(without_places(self.trace('--functions', FUNCTIONS)), CALLS)

    def test_arguments_without_a_format_are_all_registers(self):
        line = without_places(self.trace('--functions', 'leaf'))[0]
        self.assertRegex(line, r'^leaf\(1, 0x[0-9a-f]{6}, -3, 0x1234, 0, 0x123456789\) from main\+0x2d -> 0x2a  in 2$')

    def test_functions_by_pattern_and_address(self):
        by_name = self.trace('--functions', 'leaf')
        address = self.records('--functions', 'leaf')[0]['address']
        self.assertEqual(self.trace('--functions', address), by_name)
        self.assertEqual(self.trace('--functions', 'le[a]f*'), by_name)
        self.assertEqual(self.trace('--functions', '*' + 'eaf'), by_name)

    def test_handler_is_entered_by_an_event_and_left_by_iret(self):
        """on_exception is jumped to; the stub of vector 32 is where the event leads."""
        stub = hex(int(self.records('--irqs')[0]['handler'], 16))
        lines = without_places(self.trace('--functions', stub + ',on_exception:'))
        at = lines.index('%s() from sleeper+0xe' % stub)
        self.assertEqual(lines[at + 1], '  on_exception()')
        self.assertEqual(lines[at + 2], '%s -> sleeper+0xe  in 20' % stub)

    def test_system_calls(self):
        text = self.trace('--syscalls')
        self.assertEqual(without_places(text, who=True), SYSCALLS)
        self.assertEqual(text.count('cr3=100000'), len(SYSCALLS))

    def test_system_calls_as_records(self):
        records = self.records('--syscalls')
        calls = [r for r in records if r['type'] == 'syscall']
        returns = {r['id']: r for r in records if r['type'] == 'sysreturn'}
        self.assertEqual([r.get('name') for r in calls],
                         ['write', 'openat', 'openat', 'read', None, 'getpid', 'exit_group'])
        self.assertEqual([r['number'] for r in calls], [1, 257, 257, 0, 999, 20, 231])
        self.assertEqual([r['bits'] for r in calls], [64] * 5 + [32, 64])
        self.assertEqual([returns[r['id']]['result'] for r in calls if r['id'] in returns],
                         [6, None, -13, 5, -38, 4711])
        self.assertNotIn(calls[-1]['id'], returns)
        self.assertEqual(calls[0]['args'][0], '0x1')
        for call in calls[:-1]:
            back = returns[call['id']]
            self.assertEqual(back['instructions'], back['icount'] - call['icount'])

    def test_interrupts_and_page_faults(self):
        text = self.trace('--irqs', '--page-faults', '--between', ':%d' % self.end_of_faults())
        self.assertEqual(without_places(text, who=True), FAULTS)

    def end_of_faults(self):
        return self.records('--syscalls')[0]['icount'] - 1

    def test_exceptions(self):
        faults = self.records('--exceptions')
        self.assertEqual([(r['name'], r['address'], r['error']) for r in faults if r['type'] == 'exception'],
                         [('#PF', '0x40000000', 2)] * 2)
        self.assertEqual([r['type'] for r in faults], ['exception', 'iret', 'exception'])

    def test_ports(self):
        lines = without_places(self.trace('--io', '40-43', '--between', ':%d' % self.end_of_faults()))
        self.assertEqual(lines, ['outb   43 = 0x30  pit  at sleeper+0x2', 'outb   40 = 0x00  pit  at sleeper+0x6',
                                 'outb   40 = 0x01  pit  at sleeper+0xa'])
        self.assertEqual(without_places(self.trace('--io=43')), lines[:1])
        self.assertIn('outw   604 = 0x2000  piix4 pm', self.trace('--io'))

    def test_records_of_several_kinds_are_in_order(self):
        text = self.trace('--functions', FUNCTIONS, '--syscalls', '--irqs', '--page-faults', '--io', '--msrs',
                          '--crs', '--exceptions')
        self.assertEqual(places(text), sorted(places(text)))
        # The interrupt is taken inside of the call, and the call of its handler is inside of both.
        lines = without_places(text, who=True)
        at = lines.index('sleeper() from after_escape+0x4f')
        self.assertEqual(lines[at + 4:at + 9],
                         ['irq 32 pic stubs+0x200  at sleeper+0xe', '  ticked() -> 0x20  in 2',
                          'outb   20 = 0x20  pic-master  at on_tick+0x7', 'iret to sleeper+0xe  in 20',
                          'sleeper -> 1  in 30, slept 0.000214 s'])

    def test_a_window_is_a_part_of_the_whole(self):
        records = self.records('--functions', FUNCTIONS)
        calls = {r['id']: r for r in records if r['type'] == 'call'}
        returns = [r for r in records if r['type'] == 'return']
        self.assertGreater(len(returns), 10)
        for back in returns:
            call = calls[back['id']]
            first, last = call['icount'], back['icount']
            # From the first instruction of the call to the one that it returns to ...
            part = self.records('--functions', FUNCTIONS, '--between', '%d,%d' % (first, last))
            self.assertEqual(part[0]['icount'], first)
            self.assertEqual(part[0]['text'], call['text'])
            self.assertIn(('return', last, back['instructions']),
                          [(r['type'], r['icount'], r.get('instructions')) for r in part])
            # ... and each end is left out when it is one further.
            part = self.records('--functions', FUNCTIONS, '--between', '{:,}..{:,}'.format(first + 1, last - 1))
            self.assertNotIn(first, [r['icount'] for r in part if r['type'] == 'call'])
            self.assertNotIn(last, [r['icount'] for r in part if r['type'] == 'return'])

    def test_an_index_changes_nothing(self):
        other = self.path('indexed.deja')
        record(other, '-m', '64M', '-kernel', TRACE_GUEST)
        options = ('--functions', FUNCTIONS, '--syscalls', '--io', '--irqs', '--page-faults')
        before = self.trace(*options, trace=other)
        self.assertEqual(deja('index', other).returncode, 0)
        self.assertEqual(self.trace(*options, trace=other), before)
        self.assertEqual(self.trace(*options), before)

    def test_one_address_space(self):
        options = ('--functions', FUNCTIONS, '--syscalls', '--io')
        self.assertEqual(self.trace(*options, '--cr3', '0x100000'),
                         ''.join(line for line in self.trace(*options).splitlines(True)
                                 if places(line)[0] > (self.paging_since(), 0)))
        self.assertEqual(self.trace(*options, '--cr3', '5000'), '')

    def paging_since(self):
        return next(r['icount'] for r in self.records('--crs') if r['register'] == 3)

    def test_without_symbols(self):
        lines = without_places(self.trace('--irqs', '--no-symbols'))
        self.assertRegex(lines[0], r'^irq 32 pic 0x[0-9a-f]+  at 0x[0-9a-f]+  in 20$')


class Watch(TraceCase):
    """tests/guests/watch: the accesses that its list has."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recording = cls.path('watch.deja')
        record(cls.recording, '-m', '64M', '-kernel', WATCH_GUEST)

    def test_devices_in_memory(self):
        lines = [re.sub(r'  at .*', '', line) for line in without_places(self.trace('--io', 'fe000000-ffffffff'))]
        self.assertEqual(lines, [
            'readl  fee00030 = 0x01050014  lapic', 'writel fee00080 = 0x00000010  lapic',
            'readl  fee00080 = 0x00000010  lapic', 'writel fee00080 = 0x00000000  lapic',
            'readq  fe001000 = 0xffffffffffffffff  (nobody)', 'writeb fe000ffe = 0xff  (nobody)',
            'writeb fe000fff = 0xff  (nobody)', 'writeb fe001000 = 0xff  (nobody)',
            'writeb fe001001 = 0xff  (nobody)', 'readl  fe001000 = 0xffffffff  (nobody)',
            'readb  fe001000 = 0xff  (nobody)', 'readb  fe001001 = 0xff  (nobody)'])

    def test_registers(self):
        text = self.trace('--msrs', '--crs')
        self.assertRegex(text, r'rdmsr c0000080 EFER = 0xd01  at ')
        self.assertRegex(text, r'wrmsr c0000103 TSC_AUX = 0x5  at ')
        self.assertRegex(text, r'cr0 = 0x8001003b, was 0x80010033  at ')
        self.assertRegex(text, r'cr8 = 0x5, was 0x0  at ')
        self.assertNotIn('12345', text) # it faulted

    def test_exceptions(self):
        text = self.trace('--exceptions')
        for line in ('#UD, cpl=0', '#BP, cpl=0', '#GP(0x48a), cpl=3', '#NP(0x73), cpl=0', '#DF(0x0), cpl=0'):
            self.assertIn(line, text)


class Modes(TraceCase):
    """tests/guests/switch: 16 and 32 bits."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recording = cls.path('modes.deja')
        record(cls.recording, '-m', '64M', '-kernel', SWITCH_GUEST)

    def test_every_call_returns_in_every_mode(self):
        # Of each how often, by its source; "real_far" is called and returns between segments.
        counts = {'real_add': 3 * 20, 'pm16_multiply': 7 * 16, 'fibonacci': 6 * 10, 'long_add': 6 * 10,
                  'compat_subtract': 3 * 12, 'work_real': 3, 'work_pm16': 7, 'work_pm32': 6, 'work_long': 6}
        records = self.records('--functions', ','.join(counts))
        for name, count in counts.items():
            calls = [r for r in records if r['type'] == 'call' and r['function'] == name]
            self.assertEqual((name, len(calls)), (name, count))
            self.assertEqual({r['entered'] for r in calls}, {'call'})
        self.assertEqual({r['type'] for r in records}, {'call', 'return'})
        self.assertEqual(sum(r['type'] == 'return' for r in records), sum(counts.values()))

    def test_handlers_return_in_every_mode(self):
        ticks = {'tick_real': 6, 'tick_pm16': 14, 'tick_pm32': 12, 'tick_long': 18}
        records = self.records('--functions', ','.join(ticks))
        for name, count in ticks.items():
            self.assertEqual((name, sum(r['type'] == 'call' and r['function'] == name for r in records)),
                             (name, count))
        self.assertEqual({(r['entered'], r['entries']) for r in records if r['type'] == 'call'}, {('event', 1)})
        self.assertEqual(sum(r['type'] == 'return' for r in records), sum(ticks.values()))
        irqs = self.records('--irqs')
        self.assertEqual(sum(r['type'] == 'interrupt' for r in irqs), sum(ticks.values()))
        self.assertEqual(sum(r['type'] == 'iret' for r in irqs), sum(ticks.values()))
        self.assertEqual({r['handler_symbol'] for r in irqs if r['type'] == 'interrupt'}, set(ticks))

    def test_arguments_are_on_the_stack(self):
        lines = without_places(self.trace('--functions', 'work_pm32:xx'))
        self.assertRegex(lines[0], r'^work_pm32\(0x[0-9a-f]+, 0x[0-9a-f]+\) from ')


class Demo(TraceCase):
    """The built-in guest: threads, interrupts, a crash."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recording = cls.path('demo.deja')
        cls.console = record(cls.recording, status=3).replace('\r', '')

    def test_what_is_written_to_the_line_is_what_was_seen(self):
        written = [r for r in self.records('--io', '3f8') if r['access'] == 'write']
        text = ''.join(chr(int(r['value'], 16)) for r in written if r['device'] == 'com1')
        self.assertEqual(text[text.index('\n'):].replace('\r', ''), self.console[self.console.index('\n'):])

    def test_the_arguments_of_put_char_are_what_was_seen(self):
        calls = [r for r in self.records('--functions', 'put_char:x') if r['type'] == 'call']
        text = ''.join(chr(int(r['args'][0], 16) & 0xff) for r in calls).replace('\r', '')
        self.assertEqual(text, self.console)

    def test_calls_of_all_threads_nest(self):
        """Each return is that of a call that waits; of those on one thread, the last."""
        records = self.records('--functions', 'thread_sleep_until,schedule,switch_stack,ledger_serve,print,put_char')
        waiting, ended = {}, 0
        for r in records:
            if r['type'] == 'call':
                self.assertEqual(r['entered'] in ('call', 'tail-call'), True, r)
                waiting[r['id']] = r
            elif r['type'] == 'return':
                call = waiting.pop(r['id'])
                ended += 1
                self.assertEqual((call['function'], call['depth']), (r['function'], r['depth']))
                self.assertEqual(r['instructions'], r['icount'] - call['icount'])
            else:
                self.assertEqual(r['type'], 'unfinished')
        self.assertGreater(ended, 1000)
        # What waits at the crash: threads that sleep, and what the crash is in.
        self.assertLess(len(waiting), 20)

    def test_interrupts_are_the_recorded_ones(self):
        irqs = [(r['icount'], r['vector'], r['source']) for r in self.records('--irqs') if r['type'] == 'interrupt']
        dump = [json.loads(line) for line in deja('dump', self.recording, '--json').stdout.splitlines()]
        self.assertEqual(irqs, [(e['icount'], e['vector'], e['source']) for e in dump if e.get('event') == 'interrupt'])

    def test_the_crash(self):
        last = self.records('--exceptions')[-1]
        self.assertEqual((last['type'], last['name'], last['symbol'][:5]), ('exception', '#UD', 'panic'))

    def test_of_a_recording_that_was_cut_there_is_what_there_is(self):
        cut = self.path('cut.deja')
        with open(self.recording, 'rb') as f:
            data = f.read()
        with open(cut, 'wb') as f:
            f.write(data[:-150]) # in the events, behind the image
        result = deja('trace', cut, '--io')
        self.one_line(result, 0, 'cut off')
        self.assertTrue(self.trace('--io').startswith(result.stdout))

    def test_usage(self):
        t = self.recording
        self.one_line(deja('trace'), 2, 'needs a trace')
        self.one_line(deja('trace', t), 2, 'something to trace')
        self.one_line(deja('trace', t, '--functions'), 2, '--functions')
        self.one_line(deja('trace', t, '--functions', 'nobody'), 2, 'no function nobody')
        self.one_line(deja('trace', t, '--functions', ','), 2, 'none')
        self.one_line(deja('trace', t, '--functions', 'print:q'), 2, 'letters')
        self.one_line(deja('trace', t, '--functions', '0x1z'), 2, '0x1z')
        self.one_line(deja('trace', t, '--functions', 'print', '--no-symbols'), 2, 'no symbols')
        self.one_line(deja('trace', t, '--irqs', '--between', '1,000,2,000'), 2, '--between')
        self.one_line(deja('trace', t, '--irqs', '--between', '9..5'), 2, '--between')
        self.one_line(deja('trace', t, '--irqs', '--nonsense'), 2, '--nonsense')
        self.one_line(deja('trace', t, '--irqs', '--between', '99,999,999:'), 2, 'behind the end')
        self.one_line(deja('trace', t, '--io=xyz'), 2, 'hexadecimal')
        self.one_line(deja('trace', t, '--cr3', 'q', '--irqs'), 2, '--cr3')
        self.one_line(deja('trace', t, '--irqs', '--vmlinux', self.path('none')), 2, 'none')
        self.one_line(deja('trace', t, t, '--irqs'), 2, 'a second')
        self.one_line(deja('trace', self.path('none.deja'), '--irqs'), 2, 'none.deja')

    def test_a_reader_that_goes_away_ends_it(self):
        p = subprocess.Popen([DEJA, 'trace', self.recording, '--functions', '*'], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        p.stdout.readline()
        p.stdout.close()
        self.assertEqual(p.wait(timeout=120), -13)
        self.assertEqual(p.stderr.read(), b'')
        p.stderr.close()


class Table(unittest.TestCase):
    """The system calls' names and numbers are those of the host's <asm/unistd.h> (linux-libc-dev)."""

    def rows(self, name):
        with open(os.path.join(SOURCES, 'cli', 'trace', 'syscall_table.c'), encoding='utf-8') as f:
            text = f.read()
        body = re.search(r'%s\[\] = \{\n(.*?)\n\};' % name, text, re.S).group(1)
        return {int(n): (s, args) for n, s, args in re.findall(r'\[(\d+)\] = \{"(\w+)", "(\w*)"\}', body)}

    def header(self, name):
        for folder in ('/usr/include/x86_64-linux-gnu/asm', '/usr/include/asm'):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                with open(path, encoding='utf-8') as f:
                    return {int(n): s for s, n in re.findall(r'#define __NR_(\w+) (\d+)\n', f.read())}
        raise unittest.SkipTest('there is no <asm/%s>: linux-libc-dev is not installed' % name)

    def compare(self, rows, header):
        newest = max(rows)
        for number, name in header.items():
            if number <= newest:
                self.assertEqual((number, rows.get(number, ('none',))[0]), (number, name))
        for number, (name, args) in rows.items():
            self.assertLessEqual(len(args), 6)
            self.assertRegex(args, r'^[dluxopsWVtRZAOPMCSw]*$')
            if number <= max(header):
                self.assertEqual((number, name), (number, header.get(number)))

    def test_64(self):
        self.compare(self.rows('rows_64'), self.header('unistd_64.h'))

    def test_32(self):
        self.compare(self.rows('rows_32'), self.header('unistd_32.h'))


if __name__ == '__main__':
    unittest.main(verbosity=2)
