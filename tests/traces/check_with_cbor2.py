#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Reads a trace without any code of ours and checks it against docs/trace.cddl.

    check_with_cbor2.py MAKE_TRACE SCHEMA

MAKE_TRACE writes the trace; `lz4 -dc` decompresses it; cbor2 decodes it; the part of RFC 8610 that the
schema uses is interpreted here, so that schema and writer cannot drift apart. Then the meaning: frame
numbers, ranges, deltas, counts, image bytes, and that the index leads to LZ4 frames.

Exit status 77 (skipped) if cbor2 or lz4 is missing.
"""
import io
import os
import re
import struct
import subprocess
import sys
import tempfile

try:
    import cbor2
except ImportError:
    print("SKIP: python3-cbor2 is not installed")
    sys.exit(77)

MAX_U64 = 2**64 - 1

# ---- CDDL: tokens, then a tree of tuples ----

TOKEN = re.compile(r"""\s+|;[^\n]*|(?P<str>"(?:[^"\\]|\\.)*")|(?P<tag>\#6\.\d+)|(?P<range>\d+\.\.\d+)
    |(?P<num>\d+)|(?P<op>=>|[=\[\]{}()*+?,/:])|(?P<ctl>\.[a-z]+)|(?P<name>[a-zA-Z][\w-]*)""", re.X)


def tokens(text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise ValueError(f"CDDL: cannot read {text[at:at + 20]!r}")
        if m.lastgroup:
            yield m.lastgroup, m.group(m.lastgroup)
        at = m.end()


class Parser:
    def __init__(self, text):
        self.toks = list(tokens(text)) + [("end", "")]
        self.at = 0

    def peek(self, ahead=0):
        return self.toks[min(self.at + ahead, len(self.toks) - 1)]

    def take(self, value=None):
        kind, text = self.toks[self.at]
        if value is not None and text != value:
            raise ValueError(f"CDDL: {value!r} expected, {text!r} found")
        self.at += 1
        return kind, text

    def rules(self):
        found = {}
        while self.peek()[0] != "end":
            name = self.take()[1]
            self.take("=")
            if name in found:
                raise ValueError(f"CDDL: {name} is defined twice")
            found[name] = self.type()
        return found

    def type(self):
        choices = [self.type1()]
        while self.peek()[1] == "/":
            self.take()
            choices.append(self.type1())
        return ("or", choices) if len(choices) > 1 else choices[0]

    def type1(self):
        base = self.type2()
        if self.peek()[0] == "ctl":
            control = self.take()[1]
            parens = self.peek()[1] == "("
            if parens:
                self.take()
            base = ("control", base, control, self.type2())
            if parens:
                self.take(")")
        return base

    def type2(self):
        kind, text = self.take()
        if kind == "str":
            return ("literal", text[1:-1])
        if kind == "num":
            return ("literal", int(text))
        if kind == "range":
            low, high = text.split("..")
            return ("range", int(low), int(high))
        if kind == "tag":
            self.take("(")
            inner = self.type()
            self.take(")")
            return ("tag", int(text[3:]), inner)
        if text == "[":
            return ("array", self.group("]"))
        if text == "{":
            return ("map", self.group("}"))
        if kind == "name":
            return ("name", text)
        raise ValueError(f"CDDL: {text!r} is no type")

    def group(self, close):
        entries = []
        while self.peek()[1] != close:
            low = high = 1
            if self.peek()[1] in ("*", "+", "?"):
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self.take()[1]]
            if self.peek()[1] == "(":
                self.take()
                entries.append((low, high, None, ("group", self.group(")"))))
            else:
                key = None
                if self.peek()[0] == "name" and self.peek(1)[1] == ":":
                    self.take()  # a name for people only: in an array it means nothing
                    self.take()
                what = self.type()
                if self.peek()[1] == "=>":
                    self.take()
                    key, what = what, self.type()
                entries.append((low, high, key, what))
            if self.peek()[1] == ",":
                self.take()
        self.take(close)
        return entries


# ---- CDDL: matching ----

class Schema:
    def __init__(self, text):
        self.rules = Parser(text).rules()

    def matches(self, rule, value):
        return self.type(("name", rule), value)

    def type(self, t, v):
        return getattr(self, "t_" + t[0])(t, v)

    def t_or(self, t, v):
        return any(self.type(choice, v) for choice in t[1])

    def t_literal(self, t, v):
        return type(v) is type(t[1]) and v == t[1]

    def t_range(self, t, v):
        return type(v) is int and t[1] <= v <= t[2]

    def t_tag(self, t, v):
        return isinstance(v, cbor2.CBORTag) and v.tag == t[1] and self.type(t[2], v.value)

    def t_control(self, t, v):
        if not self.type(t[1], v):
            return False
        if t[2] == ".regexp":
            return re.fullmatch(t[3][1], v) is not None
        if t[2] == ".size":
            return self.type(t[3], len(v.encode() if isinstance(v, str) else v))
        raise ValueError(f"CDDL: control {t[2]} is not understood")

    def t_name(self, t, v):
        prelude = {
            "uint": lambda: type(v) is int and 0 <= v <= MAX_U64,
            "int": lambda: type(v) is int and -MAX_U64 - 1 <= v <= MAX_U64,
            "tstr": lambda: isinstance(v, str),
            "bstr": lambda: isinstance(v, bytes),
            "bool": lambda: isinstance(v, bool),
            "any": lambda: True,
        }
        if t[1] in prelude:
            return prelude[t[1]]()
        return self.type(self.rules[t[1]], v)

    def t_array(self, t, v):
        return isinstance(v, list) and self.sequence(t[1], v, 0) == len(v)

    def sequence(self, entries, v, at):
        """Greedy, as RFC 8610 has it. The index behind what matched, or None."""
        for low, high, _, what in entries:
            n = 0
            while high is None or n < high:
                if what[0] == "group":
                    after = self.sequence(what[1], v, at)
                else:
                    after = at + 1 if at < len(v) and self.type(what, v[at]) else None
                if after is None:
                    break
                at = after
                n += 1
            if n < low:
                return None
        return at

    def t_map(self, t, v):
        if not isinstance(v, dict):
            return False
        left = dict(v)
        for low, high, key, what in t[1]:
            hits = [k for k in left if self.type(key, k)]
            if high == 1:
                hits = hits[:1]
            if len(hits) < low or not all(self.type(what, left[k]) for k in hits):
                return False
            for k in hits:
                del left[k]
        return not left


# ---- the trace ----

def check(condition, what):
    if not condition:
        print(f"FAIL: {what}")
        sys.exit(1)


def decode_sequence(data):
    stream = io.BytesIO(data)
    decoder = cbor2.CBORDecoder(stream)
    items = []
    while stream.tell() < len(data):
        items.append(decoder.decode())
    return items


def check_order(items):
    """Frame numbers, ranges, deltas and counts."""
    frame = 0
    counts = [0, 0, 0, 0]
    icount = vns = last = left = 0
    for item in items[1:]:
        if isinstance(item[0], int):
            icount += item[1]
            check(left > 0, "an event without a head")
            left -= 1
            counts[item[0] - 1] += 1
            if item[0] == 1:
                vns += item[2]
            check(left > 0 or icount == last, "the last event is not where its frame says")
            continue
        check(left == 0, "fewer events than a head says")
        frame += 1
        check(item[1] == frame, f"frame {item[1]} where {frame} belongs")
        if item[0] == "events":
            check(icount <= item[2] <= item[3], "a frame begins before the last one ended")
            check(item[4] == vns, "vns of a frame is not that of the last input")
            icount, last, left = item[2], item[3], item[5]
    end = items[-1]
    check(end[0] == "end", "no end")
    check(end[2:7] == [9000000, 9000000000, "exit", -7, 42], "the end is not what was given")
    check(end[7] == counts, f"the end counts {end[7]}, the trace has {counts}")
    check(counts == [10, 5000, 50, 5], f"not what was written: {counts}")
    return frame


def check_images(header, items):
    content = {}
    for item in items:
        if isinstance(item, list) and item[0] == "blob":
            data = content.setdefault(item[2], bytearray())
            check(item[3] == len(data), "a blob out of order")
            check(len(item[4]) <= header["chunk"], "a blob longer than a chunk")
            data += item[4]
    for i, image in enumerate(header["images"]):
        check((i in content) == image["embedded"], "embedded, or not, against the header")
        check(i not in content or len(content[i]) == image["size"], "an image of another size")
    check(bytes(content[0]) == bytes(i * 7 & 255 for i in range(600000)), "the kernel's bytes")
    check(bytes(content[1]) == b"\0\xff\x80", "the initrd's bytes")


def check_header(header):
    check(header["config"] == {"ram_bytes": 512 << 20, "lowest": -2**63,
                               "cmdline": "console=ttyS0", "raw": b"\0\xff\x80"}, "config")
    check(header["seeds"] == [0, MAX_U64] and header["rtc_base"] == -1, "seeds or rtc_base")
    check(header["images"][2]["hash"] == "0123456789abcdef" * 2, "the hash that was given")


def check_index(schema, data, frames):
    check(data[-4:] == b"djix", "no index at the end")
    length, = struct.unpack("<I", data[-8:-4])
    frame = data[-length:]
    magic, size = struct.unpack("<II", frame[:8])
    check(magic == 0x184D2A5D and size == length - 8, "the index's skippable frame")
    items = decode_sequence(frame[8:-16])
    check(len(items) == 1 and schema.matches("index", items[0]), "the index is not as the schema says")
    _, events, end, end_frame, entries = items[0]
    check(end_frame == frames, "the index numbers the end wrongly")
    places = [events, end]
    offset = 0
    for i in range(0, len(entries), 3):
        offset += entries[i + 1]
        places.append(offset)
    check(len(places) > 10 and places[2] == events, "the index is too short")
    for place in places:
        check(data[place:place + 4] == b"\x04\x22\x4d\x18", f"no frame at {place}")


def check_that_checking_works(schema, items):
    """A schema that takes everything would prove nothing."""
    for bad in ([9, 0, 1], [2, 0, 1], [2, 0, 2**32, 0], [2, -1, 1, 0], [1, 0, 0, 1, 0, "text"],
                [4, 0, b"bytes"], [4, 0, "x" * 4097], ["events", 1, 2, 3, 4, 0]):
        check(not schema.matches("event", bad) and not schema.matches("events-head", bad),
              f"the schema takes {bad}")
    header = items[0]
    for key in header.value:
        less = {k: v for k, v in header.value.items() if k != key}
        check(not schema.matches("header", cbor2.CBORTag(55799, less)), f"{key} is not required")
    check(not schema.matches("header", header.value), "a header without its tag")
    check(not schema.matches("trace", items[1:]), "a trace without a header")
    check(not schema.matches("trace", items + [items[-1]]), "a trace with two ends")
    check(schema.matches("trace", items[:-1]), "a trace without an end is a trace")


def main():
    make_trace, schema_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as f:
        schema = Schema(f.read())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "t.deja")
        subprocess.run([make_trace, path], check=True)
        with open(path, "rb") as f:
            packed = f.read()
        try:
            plain = subprocess.run(["lz4", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
        except FileNotFoundError:
            print("SKIP: lz4 is not installed")
            sys.exit(77)
    check(plain[:3] == b"\xd9\xd9\xf7", "the first bytes are not those of self-described CBOR")
    items = decode_sequence(plain)
    # cbor2 takes this one tag off by itself; its bytes were just looked at.
    if not isinstance(items[0], cbor2.CBORTag):
        items[0] = cbor2.CBORTag(55799, items[0])
    for item in items[1:]:
        check(any(schema.matches(rule, item) for rule in ("blob", "events-head", "event", "end")),
              f"no rule of the schema fits {str(item)[:80]}")
    check(schema.matches("trace", items), "the trace is not as the schema says")
    check_that_checking_works(schema, items)
    check_header(items[0].value)
    check_images(items[0].value, items)
    frames = check_order(items)
    check_index(schema, packed, frames)
    print(f"ok: {len(items)} items in {frames + 1} frames, {len(plain)} bytes in {len(packed)}")


main()
