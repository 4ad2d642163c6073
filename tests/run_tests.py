#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test of a build folder in parallel, and says at the end how it went.

    tests/run_tests.py BUILD [arguments for `meson test`]

The output of each test that failed is printed, with the command that repeats it; the last line is
"N passed, N failed, N skipped". The exit status is 1 if a test failed or none ran.
"""
import json
import os
import shlex
import subprocess
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}
LINES_SHOWN = 120


def read_log(path):
    """The results, one JSON object a line; a run that was cut short leaves its last line broken."""
    results = []
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                try:
                    results.append(json.loads(line))
                except ValueError:
                    pass
    except FileNotFoundError:
        pass
    return results


def tail(text):
    lines = text.rstrip().splitlines()
    if len(lines) > LINES_SHOWN:
        lines[:-LINES_SHOWN] = [f"... {len(lines) - LINES_SHOWN} lines more in the log"]
    return "\n".join(lines)


def print_failure(result):
    print(f"\n==== {result['result']}: {result['name']}")
    print("$ " + shlex.join(result.get("command") or []))
    for stream in ("stdout", "stderr"):
        if result.get(stream):
            print(tail(result[stream]))


def print_skip(result):
    reason = tail(result.get("stdout") or result.get("stderr") or "").splitlines()
    print(f"skipped: {result['name']}" + (f" ({reason[-1]})" if reason else ""))


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: run_tests.py BUILD [arguments for `meson test`]")
    build, more = sys.argv[1], sys.argv[2:]
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    status = subprocess.call(["meson", "test", "-C", build, *more])
    results = read_log(log)
    passed = [r for r in results if r["result"] in PASSED]
    skipped = [r for r in results if r["result"] in SKIPPED]
    failed = [r for r in results if r["result"] not in PASSED | SKIPPED]
    for result in skipped:
        print_skip(result)
    for result in failed:
        print_failure(result)
    print(f"\n{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    sys.exit(1 if failed or not passed or status != 0 else 0)


if __name__ == "__main__":
    main()
