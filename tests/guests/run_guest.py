#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run one guest of tests/guests in one way.

usage: run_guest.py DEJA GUEST MODE [DEJA_O0]

MODE  live      deja run: the guest checks itself and powers off (status 0; `shutdown` ends by a triple fault)
      replay    recorded, then replayed exactly
      until     replayed up to a third and to the middle: both stop on the exact instruction
      o0        recorded, then replayed by DEJA_O0, a build without optimisation: the same digests
      same      recorded twice: equal events and digests
"""
import os
import re
import subprocess
import sys
import tempfile


def run(*cmd):
    p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    return p.returncode, p.stdout.decode(errors='replace'), p.stderr.decode(errors='replace')


def fail(what, cmd, out):
    print('FAIL: %s\n  %s\n%s\n%s' % (what, ' '.join(cmd), out[1], out[2]))
    sys.exit(1)


def expect(code, *cmd):
    out = run(*cmd)
    if out[0] != code:
        fail('status %d, not %d' % (out[0], code), cmd, out)
    return out


def boot(guest):
    """How a guest is started: firmware images by their name."""
    return ('-m', '64M', '-bios' if guest.endswith('.rom') else '-kernel', guest)


def to_its_end(guest, *cmd):
    """Runs it until it says that all is well."""
    shuts_down = os.path.basename(guest).startswith('shutdown')
    out = expect(3 if shuts_down else 0, *cmd, *boot(guest))
    if 'FAIL' in out[1] or shuts_down != ('triple fault' in out[2]):
        fail('the guest found a difference', cmd + (guest,), out)


def record(deja, guest, trace):
    to_its_end(guest, deja, 'record', '-o', trace, '--seed', '7')


def main():
    deja, guest, mode = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as tmp:
        trace = os.path.join(tmp, 'a.deja')
        if mode == 'live':
            return to_its_end(guest, deja, 'run')
        record(deja, guest, trace)
        if mode == 'replay':
            expect(0, deja, 'replay', trace)
        elif mode == 'until':
            total = int(re.search(r'([\d,]+) instructions', expect(0, deja, 'replay', trace)[2])
                        .group(1).replace(',', ''))
            for n in (total // 3, total // 2):
                cmd = (deja, 'replay', trace, '--until', str(n))
                out = expect(0, *cmd)
                if '{:,} instructions'.format(n) not in out[2]:
                    fail('did not stop at %d' % n, cmd, out)
        elif mode == 'o0':
            expect(0, sys.argv[4], 'replay', trace)
        elif mode == 'same':
            again = os.path.join(tmp, 'b.deja')
            record(deja, guest, again)
            a = expect(0, deja, 'dump', trace)[1]
            b = expect(0, deja, 'dump', again)[1]
            if a != b or 'digest' not in a:
                fail('two recordings differ', (deja, 'dump', trace), (0, a[:2000], b[:2000]))
        else:
            sys.exit('unknown mode ' + mode)


main()
