# SPDX-License-Identifier: MIT
"""gdb commands for a machine that deja serves. `deja debug` loads this file; by hand: source deja.py

  deja-when               where the machine is: instruction, virtual time
  deja-seek N             go to instruction N of the recording; also begin, end, +N, -N, N+ENTRIES
  deja-last-write EXPR    go to the store that last wrote to the object (or address) EXPR
  deja-events [FROM] [N]  inputs and interrupts around here
  deja-checkpoints        the checkpoints there are

$icount, $vns and $tsc are registers: they work in every expression, in conditions too.
"""
import atexit
import os
import shutil
import sys
import traceback

import gdb


def deja_remove_at_exit(folder):
    """The folder in which `deja debug` meets its gdb."""
    atexit.register(shutil.rmtree, folder, True)
    if hasattr(gdb.events, "gdb_exiting"):
        gdb.events.gdb_exiting.connect(lambda event: shutil.rmtree(folder, True))


def deja_source(path):
    """Runs a script of gdb's or Python's. gdb itself goes on after an exception in the latter."""
    if path.endswith(".py"):
        with open(path) as script:
            exec(compile(script.read(), path, "exec"), globals())
    else:
        gdb.execute("source " + path)


def deja_judge():
    """The gdb of `deja bisect --gdb-script`: the script's `quit N` is the verdict, its end is `quit 0`. An error
    must not look like one."""
    status = 255
    gdb.execute("set confirm off")  # else every quit says that there is a machine
    gdb.execute("set print inferior-events off")
    gdb.execute("set remotetimeout 60")  # nobody is there to try again if the host is busy
    try:
        gdb.execute("target remote " + os.environ["DEJA_GDB"], to_string=True)
        with open(os.environ["DEJA_SCRIPT_BEGUN"], "w"):
            pass
        deja_source(os.environ["DEJA_SCRIPT"])
        status = 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            status = (end.code or 0) & 255
        else:
            sys.stderr.write("%s\n" % end.code)
    except gdb.error as error:
        sys.stderr.write("%s\n" % error)
    except BaseException:
        traceback.print_exc()
    gdb.execute("quit %d" % status)


def monitor(command):
    return gdb.execute("monitor " + command, to_string=True)


def forget():
    """gdb does not know that a monitor command moved the machine: have it look again."""
    gdb.execute("maintenance flush register-cache", to_string=True)
    try:
        gdb.execute("maintenance flush dcache", to_string=True)
    except gdb.error:
        pass  # gdb before 12 has no such cache command


def without_hint(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("(plain gdb"))


def moved(text):
    forget()
    gdb.write(without_hint(text))
    try:
        gdb.execute("frame")
    except gdb.error as error:
        gdb.write("%s\n" % error)


class Command(gdb.Command):
    def __init__(self, name, completion=gdb.COMPLETE_NONE):
        super().__init__(name, gdb.COMMAND_RUNNING, completion)


class When(Command):
    """Where the machine is: instruction, virtual time, RIP."""

    def invoke(self, argument, from_tty):
        gdb.write(monitor("when"))


class Seek(Command):
    """Go to an instruction of the recording: deja-seek N|begin|end|+N|-N|N+ENTRIES"""

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("deja-seek takes an instruction: N, begin, end, +N or -N")
        moved(monitor("seek " + argument))


class LastWrite(Command):
    """Go to the store that last wrote to an object: deja-last-write EXPR
EXPR is an object of the program (its bytes are meant) or an address (8 bytes at it)."""

    def __init__(self, name):
        super().__init__(name, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("deja-last-write takes an expression")
        value = gdb.parse_and_eval(argument)
        if value.address is not None:
            address, length = int(value.address.cast(gdb.lookup_type("long"))), value.type.sizeof
        else:
            address, length = int(value.cast(gdb.lookup_type("long"))), 8
        moved(monitor("last-write 0x%x,%d" % (address & (2**64 - 1), length)))


class Events(Command):
    """Inputs and interrupts around here: deja-events [FROM] [COUNT]"""

    def invoke(self, argument, from_tty):
        gdb.write(monitor("events " + argument))


class Checkpoints(Command):
    """The checkpoints that stepping backwards uses."""

    def invoke(self, argument, from_tty):
        gdb.write(monitor("checkpoints"))


When("deja-when")
Seek("deja-seek")
LastWrite("deja-last-write")
Events("deja-events")
Checkpoints("deja-checkpoints")

# A line is stepped through backwards past interrupts and page faults, as forwards; an instruction is not.
for command in ("reverse-step", "reverse-next"):
    gdb.execute("define hook-%s\nmonitor handlers pass\nend" % command)
    gdb.execute("define hookpost-%s\nmonitor handlers enter\nend" % command)
