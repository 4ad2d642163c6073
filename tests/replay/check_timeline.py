#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Walks through the demo's recording, with checkpoints made and kept in various ways.

usage: check_timeline.py DEJA WALK PART [FIRMWARE]

PART  walks    several seeds, and budgets that force most checkpoints out
      index    the same from `deja index`'s file; one that is damaged, cut short, another trace's or
               an older version's is refused or harmless, and a walk comes to the same
      shadow   through a firmware that opens and closes the RAM behind its ROM
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

DEJA, WALK, PART, *FIRMWARE = sys.argv[1:]


def run(*command, status=0):
    p = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=280, text=True,
                       errors="replace")
    if status is not None and p.returncode != status:
        sys.exit(f"status {p.returncode}, not {status}: {' '.join(command)}\n{p.stdout}\n{p.stderr}")
    return p


def record(folder, name="demo.deja", seed=1, *options):
    trace = os.path.join(folder, name)
    run(DEJA, "record", "-o", trace, "--seed", str(seed), *options, status=3)
    return trace


def walk(trace, seed, operations, *more):
    result = run(WALK, trace, "--seed", str(seed), "--operations", str(operations), *more)
    print(result.stdout.strip())
    return result


def walks(folder):
    trace = record(folder)
    for seed in range(10, 14):
        walk(trace, seed, 150)
    for budget in ("1", "200000", "600000"):
        walk(trace, 20, 100, "--checkpoint-mem", budget)
    for seed in range(1, 4):
        walk(record(folder, "other-timing.deja", 1, "-perturb", f"seed={seed}"), seed, 50)


def shadow(folder):
    trace = os.path.join(folder, "shadow.deja")
    run(DEJA, "record", "-o", trace, "--seed", "1", "-m", "64M", "-bios", *FIRMWARE)
    for seed in range(40, 44):
        walk(trace, seed, 150)
        walk(trace, seed, 80, "--checkpoint-mem", "1")
    run(DEJA, "index", trace)
    walk(trace, 44, 80)
    # Of four stores to C0000h two reach the RAM there: one through the open window, one behind the ROM's back.
    found = run(DEJA, "find", trace, "--writes", "phys:0xc0000", "--json").stdout.splitlines()
    values = [json.loads(line).get("after") for line in found]
    if values != ["0x1234", None]:
        sys.exit(f"stores to phys:0xc0000: {found}")


def damaged(trace, index, good):
    """Flips bits all over the file: it may be refused, or found out later, never believed."""
    rng = random.Random(1)
    outcomes = {"same": 0, "refused": 0}
    for i in range(60):
        data = bytearray(good)
        # The header and the table, which is at the end, are small beside the contents.
        at = rng.randrange(0, 120) if i % 3 == 0 else rng.randrange(len(data))
        at = len(data) - rng.randrange(1, 4000) if i % 3 == 1 else at
        data[at] ^= 1 << rng.randrange(8)
        with open(index, "wb") as f:
            f.write(data)
        p = run(WALK, trace, "--seed", "5", "--operations", "3", status=None)
        if p.returncode == 0:
            outcomes["same"] += 1
        elif p.returncode == 1 and "the index beside the trace cannot be read" in p.stdout:
            outcomes["refused"] += 1
        else:
            sys.exit(f"byte {at} of {len(data)} flipped: status {p.returncode}\n{p.stdout}\n{p.stderr}")
    print("damaged:", outcomes)


def damaged_answers(trace, index, good):
    """Contents are fetched when a command looks at them: what it says is the truth, or an error."""
    questions = [("bisect", trace, "--when", "icount > 9000000", "--json"),
                 ("find", trace, "--writes", "phys:0x100000,0x20000", "--last", "--json"),
                 ("find", trace, "--exec", "panic", "--first", "--json")]
    with open(index, "wb") as f:
        f.write(good)
    truth = [run(DEJA, *q, status=None) for q in questions]
    rng = random.Random(2)
    refused = 0
    end = int.from_bytes(good[96:104], "little") # of pages: the output is behind them
    for i in range(12):
        data = bytearray(good)
        for _ in range((300, 20, 3)[i % 3]): # what is looked at is hit always, or now and then
            data[rng.randrange(end // 2, end)] ^= 1 << rng.randrange(8)
        with open(index, "wb") as f:
            f.write(data)
        for question, told in zip(questions, truth):
            p = run(DEJA, *question, status=None)
            if p.returncode == 2 and "cannot be read" in p.stderr:
                refused += 1
            elif "is not used" not in p.stderr and (p.returncode, p.stdout) != (told.returncode, told.stdout):
                sys.exit(f"a damaged index is believed: {question}\n{p.stdout}\n{p.stderr}\nnot\n{told.stdout}")
    print("answers refused:", refused)
    if refused == 0:
        sys.exit("no damage was ever found")


def damaged_output(trace, index, good, log):
    """Of what was printed a changed byte is never shown; without it the recording is replayed."""
    at = good.index(b"PANIC")
    with open(index, "wb") as f:
        f.write(good[:at] + b"H" + good[at + 1:])
    p = run(DEJA, "log", trace)
    if p.stdout != log or "damaged" not in p.stderr:
        sys.exit(f"log with a damaged index: {p.stderr}\n{p.stdout}")
    with open(index, "wb") as f:
        f.write(good[:96] + bytes(24) + good[120:])
    p = run(DEJA, "log", trace)
    if (p.stdout, p.stderr) != (log, ""):
        sys.exit(f"log with an index without output: {p.stderr}\n{p.stdout}")


def unusable(trace, index, data, why):
    with open(index, "wb") as f:
        f.write(data)
    p = run(DEJA, "debug", trace, "--gdb", "true")
    if why not in p.stderr:
        sys.exit(f"no word of {why!r}: {p.stderr}")
    walk(trace, 6, 3)


def index(folder):
    trace, other = record(folder), record(folder, "other.deja", 2)
    path = trace + ".index"
    log = run(DEJA, "log", trace).stdout
    run(DEJA, "index", trace)
    with open(path, "rb") as f:
        good = f.read()
    for seed in (31, 32):
        walk(trace, seed, 120)
    walk(trace, 33, 60, "--checkpoint-mem", "300000")
    unusable(trace, path, good[:len(good) // 2], "damaged")
    unusable(trace, path, b"", "no finished index")
    unusable(trace, path, good[:7] + b"\1" + good[8:], "another version of deja")
    unusable(trace, path, good[:32] + bytes(8) + good[40:], "another version of deja")
    shutil.copy(path, other + ".index")
    unusable(other, other + ".index", good, "another trace")
    damaged(trace, path, good)
    damaged_output(trace, path, good, log)
    damaged_answers(trace, path, good)


with tempfile.TemporaryDirectory() as tmp:
    {"walks": walks, "index": index, "shadow": shadow}[PART](tmp)
