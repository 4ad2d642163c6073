#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the program once more with other options.

usage: build_variant.py SOURCE BUILD OUTPUT MESON_OPTION...
"""
import os
import shutil
import subprocess
import sys

source, build, output = (os.path.abspath(p) for p in sys.argv[1:4])
build = os.path.join(build, 'build')
if not os.path.exists(os.path.join(build, 'build.ninja')):
    os.makedirs(build, exist_ok=True)
    subprocess.run(['meson', 'setup', build, source] + sys.argv[4:], check=True,
                   stdout=subprocess.DEVNULL)
subprocess.run(['ninja', '-C', build, '--quiet', 'cli/deja'], check=True)
shutil.copy2(os.path.join(build, 'cli', 'deja'), output)
