#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the core imports: nothing that could make two runs differ.

usage: core_imports.py LIBRARY.a...

The machine's law (docs/layout.md) is that emu/ and devices/ reach no clock, random source, environment
or file descriptor of the host. This reads the undefined symbols of their objects, takes away what the
libraries define themselves, and fails on any name that is not listed here.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r"""^(
    mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|nlen)|
    (sn|vsn)printf|                       # into buffers of ours
    malloc|calloc|realloc|free|
    mmap(64)?|munmap|madvise|mincore|          # guest RAM, anonymous; mincore only skips untouched zeros
    _?setjmp|longjmp|_longjmp|__longjmp_chk|
    XXH3_\w+|XXH64\w*|XXH_\w+|
    __u?(div|mod|divmod)ti[34]|__popcountdi2|__(mem|str)\w+_chk|__(sn|vsn)printf_chk|
    abort|__assert_fail|                  # our own bugs only: invariant()
    __stack_chk_fail|_GLOBAL_OFFSET_TABLE_|
    __asan_\w+|__ubsan_\w+|__sanitizer_\w+|__tsan_\w+|__gcov\w*|__llvm\w*
)$""", re.X)

# Named for the message: the usual suspects, and why.
SUSPECTS = {
    r'clock_|time|gettimeofday|times': 'a host clock',
    r'rand|random|getrandom|getentropy': 'a host random source',
    r'getenv|secure_getenv|environ': 'the environment',
    r'read|write|open|socket|recv|send|poll|select|f(open|read|write|puts|printf)|printf|puts': 'a file descriptor',
    r'pthread_|fork': 'threads or processes',
    r'sin|cos|tan|pow|log|exp|sqrt|fma': "the host's mathematics library",
}


def symbols(library, kind):
    out = subprocess.run(['nm', '--' + kind, '--format=posix', library], check=True,
                         capture_output=True, text=True).stdout
    result, member = {}, library
    for line in out.splitlines():
        if line.endswith(':'):
            member = line[:-1]
        elif line.split():
            result.setdefault(line.split()[0], member)
    return result


def suspicion(name):
    for pattern, what in SUSPECTS.items():
        if re.match('_*(' + pattern + ')', name):
            return ' (' + what + ')'
    return ''


def main():
    wanted, defined = {}, set()
    for library in sys.argv[1:]:
        for name, member in symbols(library, 'undefined-only').items():
            wanted.setdefault(name, member)
        defined |= set(symbols(library, 'defined-only'))
    bad = sorted(n for n in wanted if n not in defined and not ALLOWED.match(n))
    for name in bad:
        print('%s imports %s%s' % (wanted[name], name, suspicion(name)))
    print('%d symbols imported, %d not allowed' % (len(set(wanted) - defined), len(bad)))
    return 1 if bad or not wanted else 0


if __name__ == '__main__':
    sys.exit(main())
