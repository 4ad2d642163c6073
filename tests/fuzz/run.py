#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets for as long as one likes, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.

    tests/fuzz/run.py [--seconds N] [--build DIR] [TARGET...]    fuzz each target (all of them) for N seconds (60)
    tests/fuzz/run.py --merge [TARGET...]                        keep inputs that reach more than the corpus
    tests/fuzz/run.py --coverage [--show FILE] [TARGET...]       which lines the kept corpus reaches, by file

Needs clang with its run-time libraries (Debian: clang, libclang-rt-14-dev; --coverage: llvm). What the fuzzer finds goes on from run to run
in DIR/found/TARGET, what crashes or hangs is in DIR/findings/TARGET. The exit status is 1 if something did.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"

# The longest input that makes sense, and how many bytes one allocation may have (MiB).
LIMITS = {
    "cpu": (600, 64),
    "decode": (24, 16),
    "devices": (1600, 64),
    "expr": (512, 64),
    "gdbstub": (4096, 64),
    "trace": (4096, 64),
}
HANG_SECONDS = 20   # under the sanitizers and beside other work; alone and without, a tenth and less
MERGED_FILES = 290  # of a corpus in the tree
MERGED_BYTES = 290 << 10

FUZZER_OPTIONS = ["-Dlibfuzzer=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=2"]
COVERAGE_OPTIONS = ["-Dc_args=-fprofile-instr-generate -fcoverage-mapping", "-Dc_link_args=-fprofile-instr-generate",
                    "-Doptimization=1"]


def build(folder, options, programs):
    if not (folder / "build.ninja").exists():
        # meson runs what it compiles, and instrumented programs would leave profiles where they are run
        subprocess.run(["env", "CC=clang", "LLVM_PROFILE_FILE=/dev/null", "meson", "setup", folder, ROOT, *options],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "--quiet", "-C", folder, *(f"tests/fuzz/{p}" for p in programs)], check=True,
                   stdout=subprocess.DEVNULL)


def last_number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def fuzz(folder, target, seconds):
    """True if nothing was found."""
    found, findings = folder / "found" / target, folder / "findings" / target
    max_len, max_alloc = LIMITS[target]
    for path in found, findings:
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [folder / f"tests/fuzz/libfuzzer_{target}", f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}",
         f"-malloc_limit_mb={max_alloc}", "-rss_limit_mb=2048", f"-max_len={max_len}", "-print_final_stats=1", "-entropic=0",
         "-reload=0", f"-artifact_prefix={findings}/", found, CORPUS / target],
        capture_output=True, text=True, errors="replace")
    log = done.stderr
    print(f"{target:8} {last_number(r'number_of_executed_units: *([0-9]+)', log):12,} executions in {seconds} s, "
          f"coverage {last_number(r'cov: ([0-9]+)', log):,}, features {last_number(r'ft: ([0-9]+)', log):,}, "
          f"slowest input {last_number(r'slowest_unit_time_sec: *([0-9]+)', log)} s, "
          f"{'nothing found' if done.returncode == 0 else 'FOUND'}", flush=True)
    if done.returncode != 0:
        print(log[-6000:])
    return done.returncode == 0


def evenly(paths, most_files, most_bytes):
    """As many of the paths as there is room for, of all sizes alike."""
    count = min(len(paths), max(most_files, 0))
    while count > 0:
        chosen = [paths[i * len(paths) // count] for i in range(count)]
        if sum(p.stat().st_size for p in chosen) <= most_bytes:
            return chosen
        count = count * 9 // 10
    return []


def merge(folder, target):
    """The kept files stay; of those that libFuzzer finds to reach more, what there is room for is added."""
    kept = CORPUS / target
    files = list(kept.iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        merged = pathlib.Path(scratch)
        for path in files:
            shutil.copy(path, merged / path.name)
        subprocess.run([folder / f"tests/fuzz/libfuzzer_{target}", "-merge=1", merged, folder / "found" / target],
                       check=True, capture_output=True)
        new = sorted((p for p in merged.iterdir() if not (kept / p.name).exists()), key=lambda p: p.stat().st_size)
        taken = evenly(new, MERGED_FILES - len(files), MERGED_BYTES - sum(p.stat().st_size for p in files))
        for path in taken:
            shutil.copy(path, kept / path.name[:12])
    print(f"{target:8} {len(taken)} of {len(new)} new files taken")


def coverage(folder, targets, show):
    programs = [folder / f"tests/fuzz/fuzz_{t}" for t in targets]
    build(folder, COVERAGE_OPTIONS, [p.name for p in programs])
    with tempfile.TemporaryDirectory() as scratch:
        for target, program in zip(targets, programs):
            count = sum(1 for _ in (CORPUS / target).iterdir())
            subprocess.run(["env", f"LLVM_PROFILE_FILE={scratch}/{target}.%p", program, CORPUS / target, "1", str(count)],
                           check=True, stdout=subprocess.DEVNULL)
        data = f"{scratch}/data"
        subprocess.run(["llvm-profdata", "merge", "-o", data, *pathlib.Path(scratch).glob("*.*")], check=True)
        objects = [arg for p in programs[1:] for arg in ("-object", p)]
        what = ["show", "-show-line-counts-or-regions"] if show else ["report"]
        subprocess.run(["llvm-cov", *what, programs[0], *objects, f"-instr-profile={data}",
                        *([ROOT / show] if show else ["-ignore-filename-regex=tests/"])], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", metavar="TARGET", nargs="*", help=" ".join(LIMITS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build-fuzz")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--show", metavar="FILE", help="with --coverage: the lines of this file")
    args = parser.parse_args()
    targets = args.targets or list(LIMITS)
    if unknown := [t for t in targets if t not in LIMITS]:
        parser.error(f"no target {unknown[0]}")
    folder = args.build.resolve()
    if args.coverage:
        coverage(folder.with_name(folder.name + "-coverage"), targets, args.show)
        return 0
    build(folder, FUZZER_OPTIONS, [f"libfuzzer_{t}" for t in targets])
    if args.merge:
        for target in targets:
            merge(folder, target)
        return 0
    return 0 if all([fuzz(folder, target, args.seconds) for target in targets]) else 1


sys.exit(main())
