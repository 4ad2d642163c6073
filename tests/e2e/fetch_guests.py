#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetches the guests of the end-to-end tests from the Debian archive this machine uses.

    fetch_guests.py FOLDER

The kernels that linux-image-amd64 and linux-image-cloud-amd64 depend on now, each with its pvpanic
modules, a static busybox, from which an initial RAM disk is made, and SeaBIOS. What is there already is
kept. DEJA_TEST_GUESTS names a folder with boot/, bin/, lib/ and usr/share/seabios/ to take instead of
fetching.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

import initramfs

FLAVOURS = {"amd64": "linux-image-amd64", "cloud": "linux-image-cloud-amd64"}
MODULES = ("pvpanic", "pvpanic-mmio")
FIRMWARE = ("bios-256k.bin", "bios.bin", "vgabios-isavga.bin")


class Unavailable(Exception):
    """The archive cannot be reached, or has no such package."""


class Archive:
    """apt, with package lists of its own in `folder` if this machine has none."""

    def __init__(self, folder):
        self.folder = folder
        self.options = []
        self.updated = False

    def run(self, *command, cwd=None):
        result = subprocess.run([command[0], *self.options, *command[1:]], cwd=cwd,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return result.returncode == 0, result.stdout, result.stderr.strip()

    def update(self):
        """Fresh lists, without being root."""
        if self.updated:
            return
        self.updated = True
        lists, cache = (os.path.join(self.folder, "apt", d) for d in ("lists", "cache"))
        os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
        os.makedirs(os.path.join(cache, "archives", "partial"), exist_ok=True)
        self.options = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}",
                        "-o", "APT::Sandbox::User="]
        good, _, errors = self.run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
        if not good:
            raise Unavailable("apt-get update: " + errors)

    def dependency(self, package):
        """The versioned kernel package that a meta package stands for."""
        for attempt in range(2):
            _, out, _ = self.run("apt-cache", "depends", package)
            found = re.search(r"Depends: (linux-image-[0-9]\S+)", out)
            if found:
                return found.group(1)
            if attempt == 0:
                self.update()
        raise Unavailable(f"{package} is not in the archive that apt knows")

    def download(self, package):
        """The path of the package's file."""
        folder = os.path.join(self.folder, "packages", package)
        os.makedirs(folder, exist_ok=True)
        errors = ""
        for attempt in range(2):
            good, _, errors = self.run("apt-get", "-q", "-o", "APT::Sandbox::User=", "download",
                                       package, cwd=folder)
            found = glob.glob(os.path.join(folder, "*.deb"))
            if good and found:
                return found[0]
            if attempt == 0:
                self.update()
        raise Unavailable(f"apt-get download {package}: {errors}")


def unpack(package, patterns, folder):
    """Takes the files that match out of a package."""
    os.makedirs(folder, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as tar:
        subprocess.run(["tar", "-x", "-C", folder, "--wildcards", *patterns], stdin=tar.stdout,
                       check=True)


def place(source, target):
    shutil.copyfile(source, target + ".part")
    os.rename(target + ".part", target)


def only(pattern):
    found = sorted(glob.glob(pattern))
    if not found:
        raise Unavailable(f"no file {pattern}")
    return found[-1]


def fetch_kernel(archive, flavour, folder):
    package = archive.dependency(FLAVOURS[flavour])
    root = os.path.join(folder, "unpacked", package)
    unpack(archive.download(package), ["./boot/vmlinuz-*", "./lib/modules/*/misc/pvpanic/*.ko"], root)
    take_kernel(os.path.join(root, "boot", "vmlinuz-*"), root, flavour, folder)


def take_kernel(pattern, root, flavour, folder):
    kernel = only(pattern)
    release = os.path.basename(kernel).removeprefix("vmlinuz-")
    modules = os.path.join(root, "lib", "modules", release, "kernel", "drivers", "misc", "pvpanic")
    for module in MODULES:
        place(os.path.join(modules, module + ".ko"), os.path.join(folder, f"{module}-{flavour}.ko"))
    place(kernel, os.path.join(folder, "vmlinuz-" + flavour))


def fetch_busybox(archive, folder):
    root = os.path.join(folder, "unpacked", "busybox-static")
    unpack(archive.download("busybox-static"), ["./bin/busybox"], root)
    place(os.path.join(root, "bin", "busybox"), os.path.join(folder, "busybox"))


def take_firmware(root, folder):
    for name in FIRMWARE:
        place(os.path.join(root, "usr", "share", "seabios", name), os.path.join(folder, name))


def fetch_firmware(folder):
    given = os.environ.get("DEJA_TEST_GUESTS")
    if given:
        take_firmware(given, folder)
        return
    root = os.path.join(folder, "unpacked", "seabios")
    unpack(Archive(folder).download("seabios"), ["./usr/share/seabios/*"], root)
    take_firmware(root, folder)
    drop_scratch(folder)


def drop_scratch(folder):
    for scratch in ("unpacked", "packages", "apt"):
        shutil.rmtree(os.path.join(folder, scratch), ignore_errors=True)


def take_given(given, folder):
    for flavour, suffix in (("amd64", "[0-9]-amd64"), ("cloud", "-cloud-amd64")):
        take_kernel(os.path.join(given, "boot", "vmlinuz-*" + suffix), given, flavour, folder)
    place(os.path.join(given, "bin", "busybox"), os.path.join(folder, "busybox"))


def fetch(folder):
    given = os.environ.get("DEJA_TEST_GUESTS")
    if given:
        take_given(given, folder)
        return
    archive = Archive(folder)
    for flavour in FLAVOURS:
        fetch_kernel(archive, flavour, folder)
    fetch_busybox(archive, folder)
    drop_scratch(folder)


def paths(folder):
    names = {flavour: "vmlinuz-" + flavour for flavour in FLAVOURS}
    names["busybox"] = "busybox"
    names.update({f"{module}-{flavour}": f"{module}-{flavour}.ko"
                  for module in MODULES for flavour in FLAVOURS})
    return {name: os.path.join(folder, file) for name, file in names.items()}


def ensure_firmware(folder):
    """SeaBIOS's files, by name."""
    folder = os.path.join(folder, "guests")
    os.makedirs(folder, exist_ok=True)
    found = {name: os.path.join(folder, name) for name in FIRMWARE}
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(os.path.exists(path) for path in found.values()):
            fetch_firmware(folder)
    return found


def ensure(folder):
    """The guests' paths, by name; fetches what is missing. One process at a time does that."""
    folder = os.path.join(folder, "guests")
    os.makedirs(folder, exist_ok=True)
    found = paths(folder)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all(os.path.exists(path) for path in found.values()):
            fetch(folder)
        found["initrd"] = os.path.join(folder, "initrd.cpio")
        extra = {f"lib/{module}-{flavour}.ko": found[f"{module}-{flavour}"]
                 for module in MODULES for flavour in FLAVOURS}
        initramfs.write(found["initrd"], found["busybox"], extra)
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: fetch_guests.py FOLDER")
    try:
        for name, path in sorted({**ensure(sys.argv[1]), **ensure_firmware(sys.argv[1])}.items()):
            print(f"{name}: {path}")
    except (Unavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the guests cannot be fetched: {error}")
