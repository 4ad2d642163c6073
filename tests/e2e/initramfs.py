# SPDX-License-Identifier: MIT
"""Initial RAM disks for the guests of these tests: busybox and an init script, as a cpio archive.

The archive depends on its inputs alone (no times, no owners), so that two recordings of one guest
have equal images.
"""
import os
import stat

APPLETS = """sh cat echo mount mkdir ls dmesg grep poweroff reboot setsid cttyhack sleep uname head insmod
wc md5sum sha256sum dd true false seq sync kill ps stty""".split()

# What the kernel's command line asks for, by a word of its own; without one, a shell.
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo "guest: up"
for word in $(cat /proc/cmdline); do
    case $word in
    guest.poweroff) poweroff -f ;;
    guest.reboot) reboot -f ;;
    guest.pvpanic=*) insmod /lib/pvpanic-${word#*=}.ko; insmod /lib/pvpanic-mmio-${word#*=}.ko ;;
    guest.panic) echo c > /proc/sysrq-trigger ;;
    guest.kaslr) head -n 2000 /proc/kallsyms | grep -w _text; poweroff -f ;;
    guest.kallsyms) cat /proc/kallsyms; poweroff -f ;;
    guest.sections) for s in /sys/module/*/sections/.??* /sys/module/*/sections/_*; do
            [ -f $s ] && echo "$s $(cat $s)"
        done
        cat /proc/kallsyms | grep '\\['; poweroff -f ;;
    guest.work) seq 1 20000 | md5sum; dmesg | md5sum; poweroff -f ;;
    esac
done
exec setsid cttyhack sh
"""


class Cpio:
    """A cpio archive in the "newc" format (Linux, Documentation/driver-api/early-userspace)."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, content=b"", rdev=(0, 0)):
        self.inode += 1
        fields = [self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *rdev, len(name) + 1, 0]
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields)
        self.data += name.encode() + b"\0"
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def of_program(path):
    """An archive of nothing but that program, as init, and a console for it."""
    cpio = Cpio()
    cpio.add("dev", stat.S_IFDIR | 0o755)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
    with open(path, "rb") as f:
        cpio.add("init", stat.S_IFREG | 0o755, f.read())
    return cpio.finish()


def build(busybox, extra, init=INIT):
    """The archive's bytes; `busybox` is the path of a static one, `extra` names further files."""
    with open(busybox, "rb") as f:
        program = f.read()
    cpio = Cpio()
    for folder in ("bin", "dev", "lib", "proc", "sys", "tmp"):
        cpio.add(folder, stat.S_IFDIR | 0o755)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
    cpio.add("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3))
    cpio.add("bin/busybox", stat.S_IFREG | 0o755, program)
    for applet in APPLETS:
        cpio.add("bin/" + applet, stat.S_IFLNK | 0o777, b"busybox")
    for name, source in sorted(extra.items()):
        with open(source, "rb") as f:
            cpio.add(name, stat.S_IFREG | 0o644, f.read())
    cpio.add("init", stat.S_IFREG | 0o755, init.encode())
    return cpio.finish()


def write(path, busybox, extra, init=INIT):
    """Writes the archive unless the file has that content already."""
    data = build(busybox, extra, init)
    try:
        with open(path, "rb") as f:
            if f.read() == data:
                return
    except FileNotFoundError:
        pass
    with open(path + ".part", "wb") as f:
        f.write(data)
    os.rename(path + ".part", path)
