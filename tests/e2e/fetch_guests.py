#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetches the guests of the end-to-end tests from the Debian archive this machine uses.

    fetch_guests.py FOLDER

The kernels that linux-image-amd64 and linux-image-cloud-amd64 depend on now, each with its pvpanic
modules, a static busybox, from which an initial RAM disk is made, the kernels of linux-image-686 and -686-pae with an
i386 busybox, memtest86+, and SeaBIOS. What is there already is kept. DEJA_TEST_GUESTS names a folder with boot/, bin/,
lib/, usr/share/seabios/ and i386/bin/ to take instead of fetching.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys

import initramfs

FLAVOURS = {"amd64": "linux-image-amd64", "cloud": "linux-image-cloud-amd64",
            "686": "linux-image-686", "686-pae": "linux-image-686-pae"}
AMD64 = ("amd64", "cloud")
I386 = ("686", "686-pae")
MODULES = ("pvpanic", "pvpanic-mmio")
FIRMWARE = ("bios-256k.bin", "bios.bin", "vgabios-isavga.bin")
MEMTEST = {"memtest-x64": "memtest86+x64.bin", "memtest-ia32": "memtest86+ia32.bin"}


class Unavailable(Exception):
    """The archive cannot be reached, or has no such package."""


class Archive:
    """apt, with package lists of its own in `folder` if this machine has none, or none of that architecture."""

    def __init__(self, folder, architecture=None):
        self.folder = folder
        self.architecture = architecture
        self.options = []
        self.update_errors = None # not updated
        if architecture is not None:
            self.update()

    def run(self, *command, cwd=None):
        result = subprocess.run([command[0], *self.options, *command[1:]], cwd=cwd,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return result.returncode == 0, result.stdout, result.stderr.strip()

    def update(self):
        """Fresh lists, without being root. One of several that cannot be had matters where it is missed."""
        if self.update_errors is not None:
            return
        own = os.path.join(self.folder, "apt-" + (self.architecture or "own"))
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(own, name), exist_ok=True)
        self.options = ["-o", f"Dir::State::Lists={own}/lists", "-o", f"Dir::Cache={own}/cache",
                        "-o", "APT::Sandbox::User="]
        if self.architecture is not None:
            status = os.path.join(own, "status") # as of a machine without any package
            open(status, "w", encoding="ascii").close()
            self.options += ["-o", f"Dir::State::status={status}", "-o", f"APT::Architecture={self.architecture}",
                             "-o", f"APT::Architectures={self.architecture}"]
        _, _, self.update_errors = self.run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")

    def dependency(self, package):
        """The versioned kernel package that a meta package stands for."""
        for attempt in range(2):
            _, out, _ = self.run("apt-cache", "depends", package)
            found = re.search(r"Depends: (linux-image-[0-9]\S+)", out)
            if found:
                return found.group(1)
            if attempt == 0:
                self.update()
        raise Unavailable(f"{package} is not in the archive that apt knows; {self.update_errors}")

    def download(self, package):
        """The path of the package's file."""
        folder = os.path.join(self.folder, "packages", self.architecture or "own", package)
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
        raise Unavailable(f"apt-get download {package}: {errors}; {self.update_errors}")


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


def drop_scratch(folder):
    for scratch in ("unpacked", "packages", "apt-own", "apt-i386"):
        shutil.rmtree(os.path.join(folder, scratch), ignore_errors=True)


def take(root, sources, folder):
    """Places files of an unpacked package: names here, paths there."""
    for name, source in sources.items():
        place(only(os.path.join(root, source)), os.path.join(folder, name))


def fetch_files(package, sources, folder, architecture=None):
    archive = Archive(folder, architecture)
    if package in FLAVOURS.values():
        package = archive.dependency(package)
    root = os.path.join(folder, "unpacked", package)
    unpack(archive.download(package), ["./" + source for source in sources.values()], root)
    take(root, sources, folder)


def fetch_firmware(folder, given):
    sources = {name: "usr/share/seabios/" + name for name in FIRMWARE}
    if given:
        take(given, sources, folder)
    else:
        fetch_files("seabios", sources, folder)


def fetch_memtest(folder, given):
    sources = {name: "boot/" + file for name, file in MEMTEST.items()}
    if given:
        take(given, sources, folder)
    else:
        fetch_files("memtest86+", sources, folder)


def fetch_i386(folder, given):
    kernels = {flavour: {"vmlinuz-" + flavour: "boot/vmlinuz-*[0-9]-" + flavour} for flavour in I386}
    busybox = {"busybox-i386": "bin/busybox"}
    if given:
        for kernel in kernels.values():
            take(given, kernel, folder)
        take(os.path.join(given, "i386"), busybox, folder)
        return
    for flavour, kernel in kernels.items():
        fetch_files(FLAVOURS[flavour], kernel, folder, "i386")
    fetch_files("busybox-static", busybox, folder, "i386")


def take_given(given, folder):
    for flavour, suffix in (("amd64", "[0-9]-amd64"), ("cloud", "-cloud-amd64")):
        take_kernel(os.path.join(given, "boot", "vmlinuz-*" + suffix), given, flavour, folder)
    place(os.path.join(given, "bin", "busybox"), os.path.join(folder, "busybox"))


def fetch_amd64(folder, given):
    if given:
        take_given(given, folder)
        return
    archive = Archive(folder)
    for flavour in AMD64:
        fetch_kernel(archive, flavour, folder)
    fetch_files("busybox-static", {"busybox": "bin/busybox"}, folder)


class Guests:
    """The folder of guests, while nobody else fetches into it."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "guests")
        os.makedirs(self.folder, exist_ok=True)

    def __enter__(self):
        self.lock = open(os.path.join(self.folder, "lock"), "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        self.lock.close()

    def have(self, names, fetch):
        """Paths of files by name; `fetch` gets all of them if one is missing."""
        found = {name: os.path.join(self.folder, file) for name, file in names.items()}
        if not all(os.path.exists(path) for path in found.values()):
            fetch(self.folder, os.environ.get("DEJA_TEST_GUESTS"))
            drop_scratch(self.folder)
        return found

    def initrd(self, name, busybox, extra):
        path = os.path.join(self.folder, name)
        initramfs.write(path, busybox, extra)
        return path


def ensure_firmware(folder):
    """SeaBIOS's files, by name."""
    with Guests(folder) as guests:
        return guests.have({name: name for name in FIRMWARE}, fetch_firmware)


def ensure_memtest(folder):
    """memtest-x64 and memtest-ia32, for the Linux boot protocol."""
    with Guests(folder) as guests:
        return guests.have({name: name for name in MEMTEST}, fetch_memtest)


def ensure_i386(folder):
    """Kernels and an initial RAM disk: 686, 686-pae, initrd-i386."""
    names = {flavour: "vmlinuz-" + flavour for flavour in I386}
    names["busybox-i386"] = "busybox-i386"
    with Guests(folder) as guests:
        found = guests.have(names, fetch_i386)
        found["initrd-i386"] = guests.initrd("initrd-i386.cpio", found["busybox-i386"], {})
    return found


def ensure(folder):
    """The amd64 guests' paths, by name."""
    names = {flavour: "vmlinuz-" + flavour for flavour in AMD64}
    names["busybox"] = "busybox"
    modules = [f"{module}-{flavour}" for module in MODULES for flavour in AMD64]
    names.update({module: module + ".ko" for module in modules})
    with Guests(folder) as guests:
        found = guests.have(names, fetch_amd64)
        found["initrd"] = guests.initrd("initrd.cpio", found["busybox"],
                                        {f"lib/{module}.ko": found[module] for module in modules})
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: fetch_guests.py FOLDER")
    try:
        ready = {}
        for ensure_some in (ensure, ensure_i386, ensure_memtest, ensure_firmware):
            ready.update(ensure_some(sys.argv[1]))
    except (Unavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the guests cannot be fetched: {error}")
    for guest, path in sorted(ready.items()):
        print(f"{guest}: {path}")
