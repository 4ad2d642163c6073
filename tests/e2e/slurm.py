# SPDX-License-Identifier: MIT
"""A Slurm of one node on the loopback interface, with a configuration, a key and ports of its own, in a folder that is
gone afterwards. It needs root, since Slurm's daemons do, and the Debian packages slurmctld, slurmd, slurm-client and
munge; nothing of the host's own Slurm is touched.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo"]
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

CONFIGURATION = """
ClusterName=deja
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why there can be none here; None: there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def die_with_parent():
    """A test that is killed must not leave daemons behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Cluster:
    def __init__(self, timeout=60):
        self.timeout = timeout
        self.temporary = tempfile.TemporaryDirectory(prefix="deja-slurm-")
        self.folder = self.temporary.name
        os.chmod(self.folder, 0o755) # munged's clients must be able to reach its socket
        self.environment = dict(os.environ, PATH=PATH, SLURM_CONF=self.file("slurm.conf"))
        self.daemons = {}
        for name in ("state", "spool"):
            os.mkdir(self.file(name))
        with open(self.file("slurm.conf"), "w", encoding="ascii") as f:
            f.write(CONFIGURATION.format(folder=self.folder, ports=free_ports(2)))
        with open(self.file("munge.key"), "wb") as f:
            os.fchmod(f.fileno(), 0o400)
            f.write(os.urandom(1024))

    def file(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        self.start_daemon("munged", "--foreground", "--socket=" + self.file("munge.socket"),
                          "--key-file=" + self.file("munge.key"), "--pid-file=" + self.file("munge.pid"),
                          "--log-file=" + self.file("munge.log"), "--seed-file=" + self.file("munge.seed"))
        self.wait_until("munged is there", lambda: os.path.exists(self.file("munge.socket")))
        self.start_controller()
        self.start_daemon("slurmd", "-D", "-N", "localhost", "-f", self.file("slurm.conf"))
        self.wait_until("the node is idle", lambda: self.ask("sinfo", "-h", "-o", "%T").strip() == "idle")

    def start_controller(self):
        self.start_daemon("slurmctld", "-D", "-f", self.file("slurm.conf"))

    def start_daemon(self, name, *args):
        with open(self.file(name + ".out"), "ab") as out:
            self.daemons[name] = subprocess.Popen([shutil.which(name, path=PATH), *args], stdin=subprocess.DEVNULL,
                                                  stdout=out, stderr=out, env=self.environment,
                                                  preexec_fn=die_with_parent)

    def stop_daemon(self, name):
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def ask(self, *command):
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=self.environment,
                             timeout=self.timeout, text=True)
        return run.stdout if run.returncode == 0 else f"status {run.returncode}: {run.stderr}"

    def wait_until(self, what, condition):
        deadline = time.monotonic() + self.timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come about that {what}:\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith((".out", ".log")):
                with open(self.file(name), encoding="utf-8", errors="replace") as f:
                    text += f"---- {name}\n{f.read()[-2000:]}\n"
        return text

    def stop(self):
        if "slurmctld" in self.daemons:
            self.ask("scancel", "--user=root")
            self.wait_until("no job is left", lambda: self.ask("squeue", "-h").strip() == "")
        for name in ("slurmd", "slurmctld", "munged"):
            self.stop_daemon(name)
        self.temporary.cleanup()
