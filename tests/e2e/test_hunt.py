#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""deja hunt: what it finds, that it finds the same however it is carried out, and that it can be stopped at any time."""
import glob
import json
import os
import random
import re
import shlex
import signal
import subprocess
import time

import common
from common import Case, deja, echo_guest, linux

# The demo for six short days: one run in five or so fails, the unperturbed one does not.
DEMO = ["--append", "days=6 customers=600"]
SITE = "exit 3 | PANIC: ledger is off by #: expected #, found # | in panic"
GOLDEN, MASK = 0x9e3779b97f4a7c15, (1 << 64) - 1


def jump_guest():
    return os.path.join(common.FOLDER, "jump.bin")


def splitmix64(seed, n):
    """The nth output of SplitMix64, from 1: how the manual says that seeds come about."""
    z = (seed + n * GOLDEN) & MASK
    z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ z >> 27) * 0x94d049bb133111eb) & MASK
    return z ^ z >> 31


class HuntCase(Case):
    def hunt(self, *args, status=0):
        run = deja("hunt", *args, stdin=None)
        self.assertStatus(run, status)
        return run

    def outcome(self, folder):
        with open(os.path.join(self.path(folder), "hunt.json"), encoding="utf-8") as f:
            return json.load(f)

    def results(self, folder):
        """All of hunt.json but how long it took."""
        outcome = self.outcome(folder)
        del outcome["time"]
        return outcome

    def traces(self, folder):
        return sorted(os.path.basename(p) for p in glob.glob(os.path.join(self.path(folder), "*.deja")))

    def info(self, trace):
        run = deja("info", "--json", trace, stdin=None)
        self.assertStatus(run, 0)
        return json.loads(run.stdout)

    def assertTracesAreTheirRuns(self, folder):
        """Every recording replays exactly, and ends as hunt.json says of its run."""
        outcome = self.outcome(folder)
        runs = {run["trace"]: run for run in outcome["runs"] + [outcome["unperturbed"]] if "trace" in run}
        self.assertEqual(sorted(runs), self.traces(folder))
        for name, run in runs.items():
            path = os.path.join(self.path(folder), name)
            self.assertExactReplay(path)
            info = self.info(path)
            self.assertEqual((info["end"]["reason"], info["icount"], info["vns"], info["end"]["digest"]),
                             (run["end"], run["icount"], run["vns"], run["digest"]))

    def results_so_far(self, folder):
        lines = 0
        for path in glob.glob(os.path.join(self.path(folder), "results", "*.jsonl")):
            with open(path, "rb") as f:
                lines += f.read().count(b"\n")
        return lines

    def start(self, *args, runs):
        """A hunt that has done some runs and goes on."""
        process = subprocess.Popen([common.DEJA, "hunt", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(self.end_group, process)
        folder = args[args.index("-o") + 1]
        deadline = time.monotonic() + common.TIMEOUT
        while self.results_so_far(folder) < runs:
            self.assertIsNone(process.poll(), "it ended early")
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return process

    def end_group(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def assertNobodyLeft(self, process):
        """All processes of the hunt's session have ended."""
        deadline = time.monotonic() + common.TIMEOUT
        while True:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            self.assertLess(time.monotonic(), deadline, "workers outlive the hunt")
            time.sleep(0.01)


class Found(HuntCase):
    def test_the_demo(self):
        run = self.hunt("--runs", "60", "-o", self.path("h"), *DEMO)
        outcome = self.outcome("h")
        self.assertTrue(outcome["complete"])
        self.assertEqual([r["run"] for r in outcome["runs"]], list(range(1, 61)))
        failed = [r for r in outcome["runs"] if r["failed"]]
        self.assertEqual(outcome["failed"], len(failed))
        self.assertTrue(5 <= len(failed) <= 55, len(failed))
        self.assertEqual({r["status"] for r in failed}, {3})
        self.assertEqual({r["end"] for r in outcome["runs"] if not r["failed"]}, {"poweroff"})
        self.assertFalse(outcome["unperturbed"]["failed"])
        site, = outcome["sites"]
        self.assertEqual((site["site"], site["count"], site["first"]), (SITE, len(failed), failed[0]["run"]))
        # the first three of the site are kept, and nothing else
        self.assertEqual(site["traces"], [f"run-{r['run']:06}.deja" for r in failed[:3]])
        self.assertEqual(self.traces("h"), ["run-000000.deja", *site["traces"]])
        self.assertTracesAreTheirRuns("h")
        self.assertIn(f"60 runs, {len(failed)} failed".encode(), run.stdout)
        self.assertIn(SITE.encode(), run.stdout)

    def test_seeds_are_those_of_the_manual(self):
        self.hunt("--runs", "3", "--seed", "77", "--until", "1000", "-o", self.path("h"), *DEMO, status=1)
        for run in self.outcome("h")["runs"]:
            self.assertEqual(int(run["seed"], 16), splitmix64(77, run["run"]))
            self.assertEqual(int(run["machine_seed"], 16), 77)
        self.hunt("--runs", "3", "--seed", "77", "--until", "1000", "--vary-seed", "-o", self.path("v"), *DEMO, status=1)
        for run in self.outcome("v")["runs"]:
            self.assertEqual(int(run["seed"], 16), splitmix64(77, run["run"]))
            self.assertEqual(int(run["machine_seed"], 16), splitmix64(int(run["seed"], 16), 1))

    def assertCanBeRecordedAnew(self, *args):
        run = self.hunt("-o", self.path("h"), *args)
        command = re.search(r"^to record it anew: (deja record -o T.deja .*)$", run.stdout.decode(), re.M).group(1)
        name = re.search(r"^to see it again: deja replay .*/(run-[0-9]+.deja)$", run.stdout.decode(), re.M).group(1)
        command = command.replace("deja record -o T.deja", f"{shlex.quote(common.DEJA)} record -o {self.path('T.deja')}")
        subprocess.run(command, shell=True, capture_output=True, timeout=common.TIMEOUT)
        anew, kept = self.info(self.path("T.deja")), self.info(os.path.join(self.path("h"), name))
        self.assertEqual(anew["end"], kept["end"])

    def test_the_command_that_is_printed_records_the_same_run(self):
        self.assertCanBeRecordedAnew("--runs", "30", "--seed", "5", *DEMO)

    def test_the_same_with_seeds_of_the_machine_and_narrower_perturbation(self):
        self.assertCanBeRecordedAnew("--runs", "30", "--vary-seed", "-perturb", "kinds=skip+timer,mean=30000,from=100000",
                                     "-rtc", "base=2001-02-03", "-m", "16M", *DEMO)

    def test_a_run_that_does_not_end(self):
        self.hunt("--runs", "12", "-o", self.path("h"), "-kernel", jump_guest())
        outcome = self.outcome("h")
        site, = outcome["sites"]
        self.assertEqual(site["site"], "does not end")
        self.assertEqual(outcome["overlong"], site["count"])
        self.assertEqual(outcome["limit"], outcome["unperturbed"]["icount"] * 4 + 50000000)
        self.assertEqual({r["icount"] for r in outcome["runs"] if r["failed"]}, {outcome["limit"]})
        self.assertTracesAreTheirRuns("h")

    def test_nothing(self):
        run = self.hunt("--runs", "5", "-o", self.path("h"), "--append", "days=1 fixed", status=1)
        self.assertIn(b"5 runs, 0 failed", run.stdout)
        self.assertIn(b"not failed: poweroff", run.stdout)
        self.assertEqual(self.outcome("h")["sites"], [])
        self.assertEqual(self.traces("h"), ["run-000000.deja"])

    def test_json_is_the_file(self):
        run = self.hunt("--runs", "5", "--json", "-o", self.path("h"), *DEMO, "--until", "900000", status=1)
        printed = json.loads(run.stdout)
        del printed["time"]
        self.assertEqual(printed, self.results("h"))


class Criteria(HuntCase):
    def failed(self, *args, status=0, guest=("--append", "days=6 customers=600")):
        self.hunt("--runs", "30", "-o", self.path("h"), *args, *guest, status=status)
        outcome = self.outcome("h")
        os.rename(self.path("h"), self.path(f"h{random.random()}"))
        return {r["run"] for r in outcome["runs"] if r["failed"]}, outcome

    def test_all_say_the_same_of_the_demo(self):
        bad, _ = self.failed()
        everyone = set(range(1, 31))
        self.assertTrue(bad and bad != everyone)
        for criterion in (("--status", "3"), ("--output", "PANIC: ledger"), ("--output", "/off by -?[0-9]+:/"),
                          ("--fail-when", 'seen("PANIC")'), ("--when=seen(/off by/)",), ("--fail-when", "u64[panic_format] != 0 && halted == 0")):
            self.assertEqual(self.failed(*criterion)[0], bad, criterion)
        self.assertEqual(self.failed("--status", "0")[0], everyone - bad)
        self.assertEqual(self.failed("--output", "/goodbye/i")[0], everyone - bad)
        self.assertEqual(self.failed("--output", "goodbye", status=1)[0], set())

    def test_the_line_that_was_looked_for_is_in_the_site(self):
        _, outcome = self.failed("--output", "/time jumped by/", guest=("-kernel", jump_guest()))
        self.assertEqual([s["site"] for s in outcome["sites"]], ["printed | time jumped by #"])
        # the guest gets its time to say more, and then the run ends
        for run in outcome["runs"]:
            if run["failed"]:
                self.assertEqual(run["end"], "user")
                self.assertLess(run["icount"], 25000000)

    def test_a_symbol_that_the_guest_does_not_have(self):
        run = self.hunt("--runs", "3", "-o", self.path("h"), "--fail-when", "u64[legder] == 0", *DEMO, status=2)
        self.assertIn(b"legder", run.stderr)


class Ends(HuntCase):
    def test_until_a_number(self):
        self.hunt("--runs", "4", "-o", self.path("h"), "--until", "1,234,567", "--keep", "all", *DEMO, status=1)
        outcome = self.outcome("h")
        self.assertEqual({(r["end"], r["icount"]) for r in outcome["runs"]}, {("icount", 1234567)})
        self.assertEqual(len(self.traces("h")), 5)
        self.assertTracesAreTheirRuns("h")

    def test_until_a_text(self):
        self.hunt("--runs", "4", "-o", self.path("h"), "--until", "audit 2:", "--keep", "all", "--append", "fixed",
                  status=1)
        self.assertEqual({r["end"] for r in self.outcome("h")["runs"]}, {"user"})
        self.assertTracesAreTheirRuns("h")
        printed = self.assertExactReplay(os.path.join(self.path("h"), "run-000003.deja"))
        self.assertIn(b"audit 2:", printed)
        self.assertNotIn(b"audit 3:", printed)

    def test_a_guest_that_never_ends_needs_an_end(self):
        run = self.hunt("--runs", "4", "-o", self.path("h"), "--until-output", "7", "-kernel", echo_guest(), "--until",
                        "50000000", status=1)
        self.assertEqual({r["end"] for r in self.outcome("h")["runs"]}, {"icount"})
        self.assertIn(b"not failed: cut at the limit", run.stdout)

    def test_stop_after(self):
        for jobs in ("1", "3"):
            self.hunt("--runs", "500", "--stop-after", "4", "--jobs", jobs, "-o", self.path(jobs), *DEMO)
        self.assertEqual(self.results("1"), self.results("3"))
        outcome = self.outcome("1")
        self.assertTrue(outcome["complete"])
        self.assertEqual(outcome["failed"], 4)
        self.assertTrue(outcome["runs"][-1]["failed"])
        self.assertLess(outcome["done"], 300)


class Inputs(HuntCase):
    def script(self, text):
        with open(self.path("stdin"), "w", encoding="utf-8") as f:
            f.write(text)
        return ["--stdin", self.path("stdin")]

    def test_the_guest_reads_all_of_a_file(self):
        text = "".join(chr(ord("a") + i % 26) for i in range(200))
        self.hunt("--runs", "3", "-o", self.path("h"), "--keep", "all", "-kernel", echo_guest(), *self.script(text),
                  status=1)
        self.assertTracesAreTheirRuns("h")
        for name in self.traces("h"):
            printed = self.assertExactReplay(os.path.join(self.path("h"), name)).decode()
            self.assertEqual(printed, "echo guest\r\n" + text + "carrier lost\r\n")

    def test_ends_of_the_echo_guest(self):
        for command, site in (("T", "triple fault (#GP)"), ("P", "panic"), ("E", "exit 43")):
            self.hunt("--runs", "2", "-o", self.path(command), "-kernel", echo_guest(), *self.script("ab" + command))
            self.assertEqual([s["site"] for s in self.outcome(command)["sites"]], [site])
            self.assertTracesAreTheirRuns(command)

    def test_resets(self):
        self.hunt("--runs", "2", "-o", self.path("h"), "--keep", "all", "-kernel", echo_guest(), *self.script("aRbRc"),
                  status=1)
        self.assertTracesAreTheirRuns("h")
        self.hunt("--runs", "2", "-o", self.path("n"), "--keep", "all", "-kernel", echo_guest(), *self.script("aRbRc"),
                  "-no-reboot", status=1)
        self.assertEqual({r["end"] for r in self.outcome("n")["runs"]}, {"reset"})
        self.assertTracesAreTheirRuns("n")

    def test_after_a_text(self):
        self.hunt("--runs", "6", "-o", self.path("h"), "--keep", "all", *self.script("q"), "--stdin-after", "audit 2:",
                  "--append", "fixed", status=1)
        for name in self.traces("h"):
            printed = self.assertExactReplay(os.path.join(self.path("h"), name))
            self.assertIn(b"audit 3:", printed)
            self.assertNotIn(b"audit 4:", printed)
            self.assertIn(b"The bank closes.", printed)
        self.assertTracesAreTheirRuns("h")


class Kept(HuntCase):
    def kept(self, *args):
        self.hunt("--runs", "30", "-o", self.path("h"), *args, *DEMO)
        outcome, traces = self.outcome("h"), self.traces("h")
        self.assertTracesAreTheirRuns("h")
        os.rename(self.path("h"), self.path(f"h{random.random()}"))
        return outcome, traces

    def test_what_was_asked_for(self):
        outcome, traces = self.kept("--keep", "failing", "--jobs", "2")
        failed = [f"run-{r['run']:06}.deja" for r in outcome["runs"] if r["failed"]]
        self.assertEqual(traces, ["run-000000.deja", *failed])
        _, traces = self.kept("--keep-per-site", "1")
        self.assertEqual(traces, ["run-000000.deja", failed[0]])
        _, traces = self.kept("--keep", "all", "--jobs", "3")
        self.assertEqual(len(traces), 31)


class Same(HuntCase):
    """However it is carried out, a hunt comes to the same results."""

    RUNS = ["--runs", "60", "--seed", "9"]

    @classmethod
    def setUpClass(cls):
        cls.reference = None

    def uninterrupted(self):
        if self.reference is None:
            self.hunt(*self.RUNS, "--jobs", "1", "-o", self.path("reference"), *DEMO)
            self.assertTracesAreTheirRuns("reference")
            type(self).reference = (self.results("reference"), self.traces("reference"))
        return self.reference

    def assertSame(self, folder):
        results, traces = self.uninterrupted()
        self.assertEqual(self.results(folder), results)
        self.assertEqual(self.traces(folder), traces)
        self.assertTracesAreTheirRuns(folder)
        self.assertEqual(glob.glob(os.path.join(self.path(folder), "**", "*.part"), recursive=True), [])

    def setUp(self):
        super().setUp()
        self.before = os.getcwd()
        self.addCleanup(os.chdir, self.before)
        os.chdir("/") # hunt.json names the folder in which it was begun

    def test_with_other_numbers_of_jobs(self):
        for jobs in ("2", "7"):
            self.hunt(*self.RUNS, "--jobs", jobs, "-o", self.path(jobs), *DEMO)
            self.assertSame(jobs)

    def test_after_kills(self):
        folder = self.path("k")
        for runs in (1, 20):
            args = ["-o", folder, *self.RUNS, *DEMO] if runs == 1 else ["--resume", folder, "-o", folder]
            process = self.start(*args, "--jobs", "2", runs=runs)
            process.kill()
            process.wait()
            self.assertNobodyLeft(process)
            # what a kill in the middle of a write leaves
            with open(os.path.join(folder, "results", "local.jsonl"), "a", encoding="utf-8") as f:
                f.write('{"run": 59, "seed": "0x0')
            with open(os.path.join(folder, "run-000001.deja.part"), "wb") as f:
                f.write(b"half")
        self.assertFalse(self.outcome("k")["complete"])
        done = self.results_so_far("k")
        self.hunt("--resume", folder)
        self.assertSame("k")
        self.assertLess(self.outcome("k")["time"]["runs"], 61 - done + 2)

    def test_after_an_interrupt(self):
        folder = self.path("i")
        process = self.start("-o", folder, *self.RUNS, *DEMO, runs=5)
        os.killpg(process.pid, signal.SIGINT) # as a terminal does: to all of them
        out, err = process.communicate(timeout=common.TIMEOUT)
        self.assertIn(process.returncode, (0, 1))
        self.assertNobodyLeft(process)
        self.assertIn(b"stopped;", err)
        self.assertIn(b"--resume " + folder.encode(), err)
        outcome = self.outcome("i")
        self.assertFalse(outcome["complete"])
        self.assertEqual(outcome["done"], len(outcome["runs"]))
        self.assertIn(f"{outcome['done']} runs, {outcome['failed']} failed".encode(), out)
        self.hunt("--resume", folder)
        self.assertSame("i")
        self.hunt("--resume", folder) # nothing is left to do
        self.assertSame("i")

    def test_after_a_worker_died(self):
        folder = self.path("w")
        process = self.start("-o", folder, *self.RUNS, *DEMO, "--jobs", "1", runs=5)
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
            children = [int(pid) for pid in f.read().split()]
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=common.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.assertSame("w")

    def commands(self, folder, *args):
        run = self.hunt("--print-commands", "-o", self.path(folder), *args, *self.RUNS, *DEMO)
        return run.stdout.decode().splitlines()

    def run_commands(self, commands):
        for command in commands:
            subprocess.run(command, shell=True, check=True, stdin=subprocess.DEVNULL, timeout=common.TIMEOUT)

    def test_as_commands(self):
        commands = self.commands("c c", "--chunk", "13")
        self.assertEqual(len(commands), 5)
        random.Random(3).shuffle(commands)
        subprocess.run(["xargs", "-P2", "-d\n", "-I{}", "sh", "-c", "{}"], input="\n".join(commands).encode(),
                       check=True, timeout=common.TIMEOUT)
        self.hunt("--collect", self.path("c c"))
        self.assertSame("c c")

    def test_as_commands_of_one_run_each(self):
        commands = self.commands("c")
        self.assertEqual(len(commands), 60)
        self.run_commands(commands[30:] + commands[:30])
        self.hunt("--collect", self.path("c"))
        self.assertSame("c")

    def test_with_commands_that_are_missing(self):
        commands = self.commands("c", "--chunk", "20")
        self.run_commands([commands[2], commands[1]])
        run = self.hunt("--collect", self.path("c"))
        self.assertIn(b"40 of 60 runs are done", run.stderr)
        outcome = self.outcome("c")
        self.assertFalse(outcome["complete"])
        self.assertEqual([r["run"] for r in outcome["runs"]], list(range(21, 61)))
        again = self.hunt("--resume", self.path("c"), "--print-commands", "--chunk", "20").stdout.decode().splitlines()
        self.assertEqual(again, [commands[0]])
        self.hunt("--resume", self.path("c"))
        self.assertSame("c")

    def test_with_more_runs_later(self):
        self.hunt("--runs", "25", "--seed", "9", "-o", self.path("m"), *DEMO)
        self.hunt("--resume", self.path("m"), "--runs", "60")
        self.assertSame("m")

    def test_without_the_sandbox(self):
        self.hunt(*self.RUNS, "-o", self.path("n"), *DEMO, "-sandbox", "off")
        self.assertSame("n")


class Processes(HuntCase):
    def test_guests_are_inside_a_system_call_filter(self):
        if os.environ.get("DEJA_TEST_SANITIZED") == "1":
            self.skipTest("a sanitizer's run time needs more system calls")
        process = self.start("-o", self.path("h"), "--runs", "100000", "--jobs", "2", *DEMO, runs=3)
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
            children = f.read().split()
        self.assertEqual(len(children), 2)
        for pid in children:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                self.assertIn("Seccomp:\t2\n", f.read())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=common.TIMEOUT)
        self.assertNobodyLeft(process)

    def test_two_hunts_do_not_share_a_folder(self):
        process = self.start("-o", self.path("h"), "--runs", "100000", *DEMO, runs=1)
        for args in (("--resume", self.path("h")), ("--collect", self.path("h")),
                     ("--one", "1", "--dir", self.path("h"))):
            self.assertIn(b"another hunt is going on", self.hunt(*args, status=2).stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=common.TIMEOUT)

    def test_a_full_disk_is_said(self):
        def limit():
            import resource
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        run = subprocess.run([common.DEJA, "hunt", "--runs", "30", "-o", self.path("h"), *DEMO], stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=common.TIMEOUT, preexec_fn=limit)
        self.assertStatus(run, 2)
        self.assertIn(b"File too large", run.stderr)


class Wrong(HuntCase):
    # [arguments, what the line must say]. {new} and {hunt}: folders; {text}: a file.
    CASES = [
        ("", "--runs N"),
        ("--runs", "--runs needs a value"),
        ("--runs 0", "--runs 0"),
        ("--runs 10,000,001", "10,000,000"),
        ("--runs many", "--runs many"),
        ("--runs 1 --jobs 0", "--jobs 0"),
        ("--runs 1 --jobs 5000", "--jobs 5000"),
        ("--runs 1 --seed x", "--seed x"),
        ("--runs 1 --keep some", "--keep some"),
        ("--runs 1 --keep all --keep-per-site 2", "--keep-per-site"),
        ("--runs 1 --stop-after 0", "--stop-after 0"),
        ("--runs 1 --until 0", "--until 0"),
        ("--runs 1 --until=", "--until"),
        ("--runs 1 --until /(/", "--until"),
        ("--runs 1 --until-output", "--until-output needs a value"),
        ("--runs 1 --output /(/", "--output"),
        ("--runs 1 --output x --status 3", "--status"),
        ("--runs 1 --status 256", "--status 256"),
        ("--runs 1 --fail-when rax+", "--fail-when"),
        ("--runs 1 --stdin {new}", "{new}"),
        ("--runs 1 --stdin-after x", "--stdin FILE"),
        ("--runs 1 --stdin {text} --stdin-after /(/", "--stdin-after"),
        ("--runs 1 -perturb seed=3", "seed=3"),
        ("--runs 1 -perturb kinds=often", "kinds=often"),
        ("--runs 1 -serial stdio", "-serial"),
        ("--runs 1 -gdb stdio", "-gdb"),
        ("--runs 1 -s", "-s"),
        ("--runs 1 --sync", "--sync is for 'deja record'"),
        ("--runs 1 -kernel {new}", "{new}"),
        ("--runs 1 -sandbox maybe", "--sandbox maybe"),
        ("--runs 1 --frobnicate", "--frobnicate"),
        ("--runs 1 file", "'file'"),
        ("--runs 1 -o {hunt}", "--resume {hunt}"),
        ("--runs 1 -o {text}", "{text}"),
        ("--runs 1 -o {new}/not/there", "{new}/not/there"),
        ("--runs 1 -o {new} -o {hunt}", "two folders"),
        ("--runs 1 --chunk 5", "--chunk"),
        ("--runs 1 --slurm --print-commands", "want one of them"),
        ("--runs 1 --slurm-options x", "--slurm"),
        ("--resume {new}", "{new}"),
        ("--resume {hunt} --collect {hunt}", "want one of them"),
        ("--resume {hunt} -o {new}", "two folders"),
        ("--resume {hunt} --seed 3", "--seed"),
        ("--resume {hunt} -m 5M", "-m"),
        ("--collect {hunt} --runs 3", "--runs"),
        ("--collect {hunt} --slurm", "--slurm"),
        ("--one 1", "--dir DIR"),
        ("--one 0 --dir {hunt}", "--one 0"),
        ("--one 4 --dir {hunt}", "--one 4"),
        ("--one 1 --dir {new}", "{new}"),
    ]

    def test_arguments(self):
        names = {"new": self.path("new"), "hunt": self.path("hunt"), "text": self.path("text")}
        with open(names["text"], "w", encoding="utf-8") as f:
            f.write("text\n")
        self.hunt("--runs", "2", "-o", names["hunt"], "--until", "1000", *DEMO, status=1)
        before = self.results("hunt")
        for args, message in self.CASES:
            with self.subTest(args):
                words = args.format(**names).split()
                folder = [] if "-o" in words or "--dir" in words or "--resume" in words or "--collect" in words or "--one" in words else \
                    ["-o", self.path("x")]
                run = self.hunt(*folder, *words, status=2)
                self.assertIn(message.format(**names).encode(), run.stderr)
                self.assertEqual(run.stderr.count(b"\n"), 1, run.stderr)
                self.assertEqual(run.stdout, b"")
                if os.path.isdir(self.path("x")):
                    os.rename(self.path("x"), self.path(f"x{random.random()}"))
        self.assertEqual(self.results("hunt"), before)

    def test_no_slurm(self):
        run = deja("hunt", "--slurm", "--runs", "2", "-o", self.path("h"), "--until", "1000", *DEMO, stdin=None,
                   env=dict(os.environ, PATH="/nowhere"))
        self.assertStatus(run, 2)
        self.assertIn(b"Slurm does not take the job: ", run.stderr)
        self.assertIn(b"not found", run.stderr)

    def test_an_image_that_has_changed(self):
        with open(echo_guest(), "rb") as f:
            guest = f.read()
        with open(self.path("guest"), "wb") as f:
            f.write(guest)
        self.hunt("--runs", "2", "-o", self.path("h"), "--until", "1000", "-kernel", self.path("guest"), status=1)
        with open(self.path("guest"), "ab") as f:
            f.write(b"more")
        for args in (("--resume", self.path("h"), "--runs", "4"), ("--collect", self.path("h")),
                     ("--one", "1", "--dir", self.path("h"))):
            self.assertIn(b"is not the kernel with which", self.hunt(*args, status=2).stderr)
        with open(self.path("guest"), "wb") as f:
            f.write(guest)
        self.hunt("--resume", self.path("h"), "--runs", "4", status=1)
        self.assertEqual(len(self.outcome("h")["runs"]), 4)

    def test_damaged_folders(self):
        self.hunt("--runs", "2", "-o", self.path("h"), "--until", "1000", *DEMO, status=1)
        name = os.path.join(self.path("h"), "hunt.json")
        with open(name, encoding="utf-8") as f:
            good = f.read()
        for bad in (good[:len(good) // 2], "", "{}", "[]", "null", "{" * 1000, good.replace('"format": 1', '"format": 2'),
                    good.replace('"arguments": [', '"arguments": ["--frobnicate", '), "\0" * 100):
            with open(name, "w", encoding="utf-8") as f:
                f.write(bad)
            run = self.hunt("--resume", self.path("h"), status=2)
            self.assertEqual(run.stderr.count(b"\n"), 1, run.stderr)
        rng = random.Random(4)
        for _ in range(40):
            damaged = bytearray(good.encode())
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            with open(name, "wb") as f:
                f.write(damaged)
            self.assertIn(deja("hunt", "--resume", self.path("h"), stdin=None).returncode, (1, 2))
            for trace in self.traces("h"): # of a plan that is another by now
                os.unlink(os.path.join(self.path("h"), trace))
            for result in glob.glob(os.path.join(self.path("h"), "results", "*")):
                os.unlink(result)

    def test_results_that_contradict_each_other(self):
        self.hunt("--runs", "2", "-o", self.path("h"), "--until", "1000", *DEMO, status=1)
        results = os.path.join(self.path("h"), "results")
        with open(os.path.join(results, "local.jsonl"), encoding="utf-8") as f:
            lines = f.read().splitlines()
        other = re.sub('"digest": "(.)', lambda m: '"digest": "' + ("0" if m.group(1) != "0" else "1"), lines[1])
        with open(os.path.join(results, "other.jsonl"), "w", encoding="utf-8") as f:
            f.write(other + "\n")
        self.assertIn(b"ended differently", self.hunt("--resume", self.path("h"), status=2).stderr)


class Linux(HuntCase):
    def test_a_panic_is_folded(self):
        self.hunt("--runs", "1", "-o", self.path("h"), *linux("cloud", "guest.pvpanic=cloud guest.panic", seed=3))
        outcome = self.outcome("h")
        site, = outcome["sites"]
        self.assertEqual(site["count"], 1)
        self.assertTrue(site["site"].startswith("panic | Kernel panic - not syncing: "), site)
        self.assertNotIn("0x", site["site"])
        self.assertTracesAreTheirRuns("h")


if __name__ == "__main__":
    common.main()
