#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The stock Linux boot, power-on to power-off: deja beside QEMU, interleaved, medians and ratios.

usage: boot.py --deja BUILD/cli/deja --kernel VMLINUZ --initrd INITRD [-r ROUNDS] [--only LABEL,...]
               [--json FILE]

INITRD's /init powers off at once. Rounds are interleaved (A B C A B C ...), so that a slow change of the
host's load does not fall on one machine only; compare ratios, never seconds of different runs. Beside
the times it prints what recording costs, the trace's size without its embedded images, and the time
of a whole process that starts, replays one instruction of the embedded guest and ends.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

APPEND = 'console=ttyS0 panic=-1'
QEMU = ['qemu-system-x86_64', '-accel', 'tcg', '-m', '256', '-display', 'none', '-serial', 'stdio',
        '-monitor', 'none', '-no-reboot', '-nic', 'none']


def machines(a, tmp):
    guest = ['-kernel', a.kernel, '-initrd', a.initrd, '-append', APPEND]
    deja = [a.deja]
    trace = os.path.join(tmp, 'boot.deja')
    rr = os.path.join(tmp, 'boot.rr')
    icount = lambda mode: ['-icount', 'shift=0,rr=%s,rrfile=%s' % (mode, rr)]
    m = {
        'deja run': deja + ['run', '-m', '256M', '--seed', '1'] + guest,
        'deja record': deja + ['record', '-o', trace, '-m', '256M', '--seed', '1'] + guest,
        'deja replay': deja + ['replay', trace],
    }
    if shutil.which(QEMU[0]):
        m['qemu tcg'] = QEMU + guest
        m['qemu icount'] = QEMU + ['-icount', 'shift=0,sleep=off'] + guest
        m['qemu rr=record'] = QEMU + icount('record') + guest
        m['qemu rr=replay'] = QEMU + icount('replay') + guest
    if a.only:
        m = {k: v for k, v in m.items() if k in a.only.split(',')}
    return m, trace, rr


def timed(cmd):
    """Wall seconds, processor seconds of the whole process, and what it said on standard error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    t = time.monotonic()
    p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, timeout=900)
    t = time.monotonic() - t
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode != 0 or (b'reboot: Power down' not in p.stdout):
        sys.exit('%s: status %d\n%s%s' % (' '.join(cmd), p.returncode, p.stdout[-500:].decode(),
                                          p.stderr[-500:].decode()))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return t, cpu, p.stderr.decode()


def trace_info(deja, trace):
    return json.loads(subprocess.run([deja, 'info', '--json', trace], check=True,
                                     capture_output=True).stdout)


def start_up(deja):
    """Seconds from start to the first instruction: the embedded guest, stopped by its own budget."""
    times = []
    with tempfile.TemporaryDirectory() as tmp:
        trace = os.path.join(tmp, 's.deja')
        subprocess.run([deja, 'record', '-o', trace], stdin=subprocess.DEVNULL, capture_output=True)
        for _ in range(7):
            t = time.monotonic()
            subprocess.run([deja, 'replay', trace, '--until', '1'], stdin=subprocess.DEVNULL,
                           capture_output=True, check=True)
            times.append(time.monotonic() - t)
    return statistics.median(times)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--deja', required=True)
    ap.add_argument('--kernel', required=True)
    ap.add_argument('--initrd', required=True)
    ap.add_argument('-r', '--rounds', type=int, default=3)
    ap.add_argument('--only', default='')
    ap.add_argument('--json')
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        table, trace, rr = machines(a, tmp)
        times = {label: [] for label in table}
        cpus = {label: [] for label in table}
        mips = []
        for n in range(a.rounds):
            for label, cmd in table.items():
                if label == 'qemu rr=replay' and n > 0:
                    continue  # minutes each
                seconds, cpu, err = timed(cmd)
                times[label].append(seconds)
                cpus[label].append(cpu)
                found = re.search(r'([\d.]+) MIPS', err)
                if found:
                    mips.append((label, float(found.group(1))))
                print('round %d  %-16s %8.2f s, processor %8.2f s' % (n + 1, label, seconds, cpu),
                      flush=True)
        medians = {label: statistics.median(t) for label, t in times.items()}
        base = medians.get('deja run')
        cpu = {label: statistics.median(c) for label, c in cpus.items()}
        print('\n%-16s %10s %14s %12s %14s' % ('machine', 'seconds', '/ deja run', 'processor',
                                              '/ deja run'))
        for label, t in medians.items():
            print('%-16s %10.2f %14s %12.2f %14s' % (
                label, t, '%.3f' % (t / base) if base else '', cpu[label],
                '%.3f' % (cpu[label] / cpu['deja run']) if base else ''))
        result = {'seconds': medians, 'rounds': times, 'processor': cpus, 'mips': mips}
        if os.path.exists(trace):
            info = trace_info(a.deja, trace)
            events = sum(e['bytes'] for e in info['events'].values())
            result['info'] = info
            print('trace: %d bytes in all; events %d bytes before compression; %d instructions' %
                  (info['bytes'], events, info['icount']))
        if os.path.exists(rr):
            result['qemu_log_bytes'] = os.path.getsize(rr)
            print('QEMU log: %d bytes' % os.path.getsize(rr))
        result['start_up_seconds'] = start_up(a.deja)
        print('start to first instruction (replay --until 1 of the embedded guest): %.1f ms' %
              (1000 * result['start_up_seconds']))
        if a.json:
            with open(a.json, 'w') as f:
                json.dump(result, f, indent=1)


main()
