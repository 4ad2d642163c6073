#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""deja hunt --slurm, with real daemons of Slurm's: the results are those of a hunt on one machine, and what goes wrong
with tasks, or with Slurm, is said and can be made good."""
import os
import re
import signal
import subprocess
import unittest

import common
import slurm
from test_hunt import DEMO, HuntCase

RUNS = ["--runs", "60", "--seed", "9"]


@unittest.skipIf(slurm.missing(), slurm.missing())
class Slurm(HuntCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = slurm.Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")

    def run_hunt(self, *args, status=0):
        run = subprocess.run([common.DEJA, "hunt", *args], stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=common.TIMEOUT, env=self.cluster.environment)
        self.assertStatus(run, status)
        return run

    def start_held(self, folder, *args):
        """A hunt whose tasks wait to be released, and its job."""
        process = subprocess.Popen([common.DEJA, "hunt", *args, "--slurm", "--slurm-options=--hold"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.cluster.environment, start_new_session=True)
        self.addCleanup(self.end_group, process)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        line = process.stderr.readline().decode()
        job = re.match(r"deja: hunt: Slurm job ([0-9]+), ([0-9]+) tasks of", line)
        self.assertIsNotNone(job, line + process.stderr.read().decode() if process.poll() is not None else line)
        self.assertTrue(os.path.exists(os.path.join(folder, "hunt.json")))
        return process, job.group(1)

    def finish(self, process, status=0):
        out, err = process.communicate(timeout=common.TIMEOUT)
        self.assertEqual(process.returncode, status, (out + err).decode() + self.cluster.logs())
        return err.decode()

    def assertSame(self, folder):
        """As without Slurm."""
        self.hunt(*RUNS, "-o", self.path("reference"), *DEMO)
        self.assertEqual(self.results(folder), self.results("reference"))
        self.assertEqual(self.traces(folder), self.traces("reference"))
        self.assertTracesAreTheirRuns(folder)

    def test_the_same_results(self):
        run = self.run_hunt("--slurm", "--chunk", "13", *RUNS, "-o", self.path("s l%um"), *DEMO,
                            "--slurm-options", "--job-name='a hunt' --time=5")
        self.assertIn(b"5 tasks of 13 runs", run.stderr)
        self.assertEqual(sorted(os.listdir(os.path.join(self.path("s l%um"), "slurm"))),
                         [f"{n}.out" for n in range(5)])
        self.assertSame("s l%um")

    def test_chunks_are_chosen(self):
        run = self.run_hunt("--slurm", "--runs", "3000", "--until", "1000", "-o", self.path("s"), *DEMO, status=1)
        self.assertIn(b"1 tasks of ", run.stderr)
        self.assertEqual(self.outcome("s")["done"], 3000)
        run = self.run_hunt("--slurm", "--runs", "3000", "--chunk", "2", "--until", "1000", "-o", self.path("t"), *DEMO,
                            status=2)
        self.assertIn(b"--chunk 2 makes 1500 tasks", run.stderr)
        self.assertIn(b"want --chunk 3 or more", run.stderr)

    def test_a_task_that_fails_can_be_done_again(self):
        process, job = self.start_held(self.path("s"), "--chunk", "15", *RUNS, "-o", self.path("s"), *DEMO)
        self.cluster.ask("scancel", f"{job}_0") # it never began
        obstacle = os.path.join(self.path("s"), "results", "from-000031.jsonl")
        os.symlink("/nowhere/at/all", obstacle)
        self.cluster.ask("scontrol", "release", job)
        err = self.finish(process)
        self.assertIn(f"Slurm task {job}_0 (state unknown) has left 15 of its runs, from 1 on", err)
        self.assertIn(f"Slurm task {job}_2 (FAILED) has left 15 of its runs, from 31 on", err)
        self.assertIn("30 of 60 runs are done", err)
        with open(os.path.join(self.path("s"), "slurm", "2.out"), encoding="utf-8") as f:
            self.assertIn("from-000031.jsonl: cannot be written", f.read())
        self.assertFalse(self.outcome("s")["complete"])
        os.unlink(obstacle)
        run = self.run_hunt("--resume", self.path("s"), "--slurm", "--chunk", "15")
        self.assertIn(b"2 tasks of 15 runs", run.stderr)
        self.assertSame("s")

    def test_a_stopped_hunt_takes_its_job_with_it(self):
        process, job = self.start_held(self.path("s"), "--chunk", "20", *RUNS, "-o", self.path("s"), *DEMO)
        process.send_signal(signal.SIGINT)
        self.assertIn("stopped; 0 of 60 runs", self.finish(process, status=1))
        self.assertEqual(self.cluster.ask("squeue", "-h", "-j", job).strip(), "")
        self.run_hunt("--resume", self.path("s"), "--slurm")
        self.assertSame("s")

    def test_a_controller_that_is_started_anew(self):
        process, job = self.start_held(self.path("s"), "--chunk", "20", *RUNS, "-o", self.path("s"), *DEMO)
        self.cluster.stop_daemon("slurmctld")
        self.cluster.start_controller()
        self.cluster.wait_until("the job is there again", lambda: job in self.cluster.ask("squeue", "-h", "-o", "%F"))
        self.cluster.ask("scontrol", "release", job)
        self.finish(process)
        self.assertSame("s")

    def test_what_slurm_refuses(self):
        run = self.run_hunt("--slurm", "--slurm-options=--partition=nowhere", *RUNS, "-o", self.path("s"), *DEMO,
                            status=2)
        self.assertIn(b"Slurm does not take the job: sbatch: error: ", run.stderr)
        self.run_hunt("--resume", self.path("s"), "--slurm")
        self.assertSame("s")


if __name__ == "__main__":
    common.main()
