#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library as others get it: installed into an empty folder, found by pkg-config, and used to build
the example, with the shared and with the static library.

    test_installed.py BUILD SOURCE
"""
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

PREFIX = "/usr/local"


def run(*args, **more):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def skip(reason):
    print(reason)
    sys.exit(77)


def pkg_config(root, *words):
    folder = next(folder for folder, _, files in os.walk(root) if "gdbstub.pc" in files)
    env = {**os.environ, "PKG_CONFIG_LIBDIR": folder, "PKG_CONFIG_SYSROOT_DIR": root}
    return shlex.split(run("pkg-config", *words, "gdbstub", env=env))


def check_session(program, libraries):
    """A packet there and its reply back, and the end when the input ends."""
    env = {**os.environ, "LD_LIBRARY_PATH": libraries}
    out = subprocess.run([program, "stdio"], input=b"$qC#b4", env=env, stdout=subprocess.PIPE,
                         check=True, timeout=60).stdout
    assert out == b"+$QC1#c5", out


def check_headers(include):
    """Each by itself, in strict C11 and, where there is a compiler, in C++."""
    for name in ["gdbstub/gdbstub.h", "gdbstub/server.h"]:
        source = f"#include <{name}>\n"
        strict = ["-Wall", "-Wextra", "-pedantic-errors", "-Werror", "-fsyntax-only", f"-I{include}"]
        run("cc", "-x", "c", "-std=c11", *strict, "-", input=source)
        if shutil.which("c++"):
            run("c++", "-x", "c++", "-std=c++11", *strict, "-", input=source)


def main():
    build, source = sys.argv[1:]
    example = os.path.join(source, "gdbstub", "example", "example.c")
    for tool in ["meson", "pkg-config", "cc"]:
        if not shutil.which(tool):
            skip(f"there is no {tool}")
    with tempfile.TemporaryDirectory() as root:
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root,
            "--tags", "gdbstub,devel", stderr=subprocess.STDOUT)
        flags = pkg_config(root, "--cflags", "--libs")
        libraries = next(flag[2:] for flag in flags if flag.startswith("-L"))
        shared, static = os.path.join(root, "shared"), os.path.join(root, "static")
        run("cc", "-Wall", "-Werror", example, "-o", shared, *flags)
        check_session(shared, libraries)
        run("cc", "-Wall", "-Werror", example, "-o", static, *pkg_config(root, "--cflags"),
            os.path.join(libraries, "libgdbstub.a"))
        check_session(static, "")
        check_headers(root + PREFIX + "/include")
        assert pkg_config(root, "--modversion") == ["0.1"]


if __name__ == "__main__":
    main()
