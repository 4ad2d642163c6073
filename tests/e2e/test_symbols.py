#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the symbols library finds in recorded runs of stock Debian kernels, against what the guests say."""
import lzma
import os
import re
import shutil
import struct
import subprocess
from xml.etree import ElementTree

import common
from common import Case, deja, linux
import fetch_guests

DUMP = os.environ["DEJA_DUMP_SYMBOLS"]
SYMBOL = re.compile(r"^([0-9a-f]{8,16}) (.) (\S+)(\s\[\w+\])?$", re.M)


def dump(*args):
    result = subprocess.run([DUMP, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=common.TIMEOUT)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def gdb(files, *commands):
    """What gdb prints, on both streams; `files` are an executable and perhaps a core file."""
    args = ["gdb", "-nx", "-batch"]
    for command in commands:
        args += ["-ex", command]
    result = subprocess.run([*args, *files], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, timeout=common.TIMEOUT)
    return result.stdout.decode()


def symbols_in(text):
    return sorted((int(address, 16), kind, name) for address, kind, name, module in
                  SYMBOL.findall(text.replace("\r\n", "\n")) if not module)


def unpacked(kernel):
    """The vmlinux inside of a bzImage (Linux, Documentation/arch/x86/boot.rst, payload_offset)."""
    with open(kernel, "rb") as f:
        image = f.read()
    begin, length = struct.unpack_from("<II", image, 0x248)
    begin += ((image[0x1f1] or 4) + 1) * 512
    payload = image[begin:begin + length - 4]
    if payload.startswith(b"\x02\x21\x4c\x18"):
        return subprocess.run(["lz4", "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout
    return lzma.LZMADecompressor().decompress(payload)


class SymbolCase(Case):
    def record(self, flavour, words, seed=None, status=0):
        """The recording's path, and what the guest printed."""
        trace = self.path(f"{flavour}-{seed}.deja")
        result = deja("record", "-o", trace, *linux(flavour, "quiet " + words, seed=seed), stdin=None)
        self.assertStatus(result, status)
        return trace, result.stdout.decode()

    def dump(self, *args):
        status, out, errors = dump(*args)
        self.assertEqual(status, 0, errors)
        return out


class Kallsyms(SymbolCase):
    def check(self, flavour, seed):
        """The guest's own list is the oracle. Returns where its text begins."""
        trace, printed = self.record(flavour, "guest.kallsyms", seed)
        elf = self.path("symbols.elf")
        expected = symbols_in(printed)
        self.assertGreater(len(expected), 80000)
        found = symbols_in(self.dump(trace, "elf", elf, "kallsyms"))
        self.assertEqual(len(found), len(expected))
        for pair in zip(found, expected):
            self.assertEqual(*pair)
        self.check_elf(elf, {name: address for address, _, name in expected})
        return dict((name, address) for address, _, name in expected)["_text"]

    def check_elf(self, elf, address):
        """gdb takes the file, and finds names and addresses in it."""
        out = gdb([elf], f"info symbol {address['do_idle'] + 5:#x}", "break start_kernel",
                  "p &linux_banner", f"info symbol {address['entry_SYSCALL_64']:#x}",
                  f"info symbol {address['vfs_read'] - 1:#x}")
        self.assertIn("do_idle + 5 in section .text", out)
        self.assertIn(f"Breakpoint 1 at {address['start_kernel']:#x}", out)
        self.assertIn(f"{address['linux_banner']:#x} <linux_banner>", out)
        self.assertIn("entry_SYSCALL_64 in section .text", out)
        self.assertNotIn("vfs_read", out)
        self.assertNotRegex(out, "warning|rror")

    def test_amd64(self):
        self.check("amd64", 1)

    def test_cloud(self):
        self.assertNotEqual(self.check("cloud", 1), self.check("cloud", 2))

    def test_early_boot(self):
        trace, _ = self.record("cloud", "guest.poweroff")
        for icount in (0, 1000000, 100000000):
            status, _, errors = dump(trace, "--until", str(icount), "layout")
            self.assertEqual(status, 1)
            self.assertIn("no kallsyms tables are mapped", errors)


class Vmlinux(SymbolCase):
    """Debian strips its kernels; symbols to place one by are put back, as a vmlinux has them."""
    NAMES = ("_text", "entry_SYSCALL_64", "asm_exc_page_fault", "do_idle", "vfs_read")

    def vmlinux(self, flavour, address):
        stripped, path = self.path("stripped"), self.path("vmlinux-" + flavour)
        with open(stripped, "wb") as f:
            f.write(unpacked(fetch_guests.ensure(common.FOLDER)[flavour]))
        added = []
        for name in self.NAMES:
            added += ["--add-symbol", f"{name}=.text:{address[name] - address['_text']:#x},function,global"]
        subprocess.run(["objcopy", *added, stripped, path], check=True)
        return path

    def addresses(self, trace):
        return {name: address for address, _, name in symbols_in(self.dump(trace, "kallsyms"))}

    def test_offsets(self):
        offsets = set()
        vmlinux = None
        for seed in (1, 2):
            trace, _ = self.record("cloud", "guest.poweroff", seed)
            address = self.addresses(trace)
            vmlinux = vmlinux or self.vmlinux("cloud", address)
            _, out, _ = dump(trace, "vmlinux", vmlinux, "blind", vmlinux)
            offset = f"{address['_text'] - 0xffffffff81000000:x}"
            self.assertRegex(out, f"^offset {offset} by kallsyms, verified, {len(self.NAMES)} of ")
            self.assertRegex(out, f"\noffset {offset} by syscall entry, verified\n$")
            offsets.add(offset)
        self.assertEqual(len(offsets), 2)
        self.assertNotIn("0", offsets)

    def test_another_kernel(self):
        trace, _ = self.record("cloud", "guest.poweroff")
        vmlinux = self.vmlinux("amd64", self.addresses(trace))
        status, out, errors = dump(trace, "kernel", "vmlinux", vmlinux)
        self.assertEqual(status, 1)
        banner, build_id = out.splitlines()
        self.assertRegex(banner, r"^Linux version 6\.\S+-cloud-amd64 ")
        self.assertRegex(errors, f"build-id [0-9a-f]{{40}} is not the guest's, {build_id}: "
                                 "its symbols do not fit")


class Backtrace(SymbolCase):
    """gdb's backtraces of kernels that carry ORC tables and no frame pointers."""
    FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]{16} in )?(\S+)(?: \(\)| called>)$", re.M)

    def backtrace(self, elf, core):
        """Names, innermost first; gdb prints the first frame once before."""
        out = gdb([elf, core], "echo ----\\n", "bt").partition("----\n")[2]
        return self.FRAME.findall(out), out

    def test_panic(self):
        """The kernel's own call trace is the oracle."""
        trace, printed = self.record("cloud", "guest.pvpanic=cloud guest.panic", status=3)
        elf, core = self.path("elf"), self.path("core")
        self.assertEqual(dump(trace, "elf", elf, "core", core)[0], 0)
        kernels = re.findall(r"\]  (\w\S*)\+0x[0-9a-f]+/0x[0-9a-f]+\r$", printed, re.M)
        kernels = kernels[kernels.index("panic"):]
        self.assertEqual(kernels[-1], "entry_SYSCALL_64_after_hwframe")
        gdbs, out = self.backtrace(elf, core)
        self.assertEqual(gdbs[gdbs.index("panic"):], kernels, out)
        self.assertNotRegex(out, "corrupt|Cannot access|stopped")

    def test_anywhere(self):
        """Idle, in system calls, interrupts and exceptions: every frame has a name, up to where the
        kernel was entered, or to the user code that was interrupted."""
        trace, _ = self.record("cloud", "guest.work", 1)
        elf = self.path("elf")
        length = int(re.search(r"length: +(\d+)", deja("info", trace, stdin=None).stdout.decode())[1])
        count = 24
        begin, step = length // 4, length * 3 // 4 // count
        commands = ["until", str(begin), "elf", elf]
        for i in range(count):
            commands += ["until", str(begin + i * step), "core", self.path(f"core{i}")]
        self.assertEqual(dump(trace, "--until", "0", *commands)[0], 0)
        entered = 0
        for i in range(count):
            names, out = self.backtrace(elf, self.path(f"core{i}"))
            if "??" in names:
                names = names[:names.index("??")]
                self.assertTrue(not names or names[-1] == "<signal handler", out)
            else:
                self.assertRegex(names[-1], r"^(entry_SYS\w+|ret_from_fork\w*|secondary_startup_64\w*)$",
                                 out)
                entered += 1
                self.assertNotRegex(out, "corrupt|Cannot access")
        self.assertGreater(entered, count // 2)


class FramePointers(SymbolCase):
    """gdb's backtraces of an i386 kernel, which has frame pointers and no ORC tables."""
    FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]{8} in )?(\S+)(?: \(\)| called>)$", re.M)

    def backtrace(self, trace, *where):
        result = deja("debug", trace, *where, "--", "-batch", "-ex", "bt", stdin=None)
        self.assertStatus(result, 0)
        text = result.stdout.decode() + result.stderr.decode()
        return self.FRAME.findall(text), text

    def test_686(self):
        """The kernel's own call trace is the oracle. Elsewhere every frame has a name, up to where the kernel was
        entered, or to the user code that was interrupted."""
        trace = self.path("t.deja")
        result = deja("record", "-o", trace, "-no-reboot",
                      *linux("686", "guest.panic panic=-1 cryptomgr.notests", seed=1), stdin=None)
        self.assertStatus(result, 0)
        kernels = re.findall(r"\]  (\w\S*)\+0x[0-9a-f]+/0x[0-9a-f]+\r$", result.stdout.decode(), re.M)
        kernels = kernels[kernels.index("panic"):]
        self.assertEqual(kernels[-1], "entry_SYSENTER_32")
        self.assertStatus(deja("index", trace, stdin=None), 0)
        names, text = self.backtrace(trace, "--at-output", "Kernel Offset")
        self.assertEqual(names[names.index("panic"):], kernels, text)
        self.assertNotIn("corrupt", text)
        length = int(re.search(r"length: +(\d+)", deja("info", trace, stdin=None).stdout.decode())[1])
        entered = 0
        for i in range(12): # the kernel unpacks itself in the first four fifths
            names, text = self.backtrace(trace, "--at", str(length - length // 6 // 12 * (i + 1)))
            if "??" in names:
                names = names[:names.index("??")]
                self.assertTrue(not names or names[-1] == "<signal handler", text)
            else:
                self.assertRegex(names[-1], r"^(entry_\w+|ret_from_fork|i386_start_kernel|startup_32_smp)$", text)
                entered += 1
            self.assertNotRegex(text, "corrupt|Cannot access")
        self.assertGreater(entered, 6)


class Modules(SymbolCase):
    SECTION = re.compile(r"^/sys/module/(\w+)/sections/(\S+) (0x[0-9a-f]+)", re.M)

    def check(self, flavour):
        """What sysfs and /proc/kallsyms say in the guest is the oracle."""
        trace, printed = self.record(flavour, f"guest.pvpanic={flavour} guest.sections", 1)
        folder = self.path("modules")
        os.mkdir(folder)
        guests = fetch_guests.ensure(common.FOLDER)
        for name in ("pvpanic", "pvpanic-mmio"):
            shutil.copy(guests[f"{name}-{flavour}"], os.path.join(folder, name + ".ko"))
        status, out, errors = dump(trace, "modules", "kallsyms", "libraries", folder)
        self.assertEqual(status, 0, errors)
        self.assertNotIn("warning", errors)
        expected = self.SECTION.findall(printed)
        self.assertGreater(len(expected), 30)
        self.assertEqual(sorted(re.findall(r"^section (\S+) (\S+) (\S+)", out, re.M)), sorted(expected))
        symbols = re.findall(r"^([0-9a-f]{16}) (\w) (\S+)\s\[pvpanic\w*\]", printed, re.M)
        self.assertGreater(len(symbols), 20)
        for symbol in symbols:
            self.assertIn(" ".join(symbol) + "\n", out)
        self.check_libraries(out[out.index("<library-list>"):], folder, expected)

    def check_libraries(self, xml, folder, expected):
        """An address for each allocated section of each file, and the right one for .text."""
        for library in ElementTree.fromstring(xml).iter("library"):
            path = library.get("name")
            self.assertTrue(path.startswith(folder))
            table = subprocess.run(["readelf", "-SW", path], stdout=subprocess.PIPE, check=True)
            names = [name for name, flags in
                     re.findall(r"\] (\S+) +[A-Z_]+ +[0-9a-f]{16} \w+ \w+ \w+ +([A-Za-z]*) +\d",
                                table.stdout.decode()) if "A" in flags]
            found = dict(zip(names, (s.get("address") for s in library)))
            self.assertEqual(len(names), len(library))
            module = os.path.basename(path)[:-3].replace("-", "_")
            for name, section, address in expected:
                if name == module and section in found and not section.startswith(".init"):
                    self.assertEqual(found[section], re.sub("^0x0+", "0x", address), section)

    def test_cloud(self):
        self.check("cloud")

    def test_amd64(self):
        self.check("amd64")

    def test_backtrace(self):
        """Through a module, with no file of it."""
        trace, _ = self.record("cloud", "guest.pvpanic=cloud guest.panic", status=3)
        length = int(re.search(r"length: +(\d+)", deja("info", trace, stdin=None).stdout.decode())[1])
        _, out, _ = dump(trace, "modules", "kallsyms")
        address = re.search(r"^([0-9a-f]+) t pvpanic_panic_notify$", out, re.M)[1]
        elf, core = self.path("elf"), self.path("core")
        status, _, errors = dump(trace, "--until", str(length * 97 // 100), "seek", address, "step", "12",
                                 "modules", "elf", elf, "core", core)
        self.assertEqual(status, 0, errors)
        out = gdb([elf, core], "bt")
        self.assertRegex(out, r"(?s)#0 .* pvpanic_panic_notify \(\).*#1 .* atomic_notifier_call_chain"
                              r" \(\).*#2 .* panic \(\).* entry_SYSCALL_64_after_hwframe")


if __name__ == "__main__":
    common.main()
