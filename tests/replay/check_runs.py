#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs again with edited inputs: deja minimize, deja bisect --good --bad, deja bisect --causal.

The guest is the demo with days=2: it closes its books and ends well, unless the timer strikes between post()'s reading
of the balance and its writing of it.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.dom.minidom

DEJA, WHAT = sys.argv[1:3]
RACE = re.compile(r"^(post|fee_for)\+")  # post() calls fee_for() between the two


def run(*command, status=0, stdin=b""):
    p = subprocess.run(command, input=stdin, capture_output=True)
    out, err = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
    if p.returncode != status:
        sys.exit(f"status {p.returncode}, not {status}: {' '.join(command)}\n{out}\n{err}")
    return out, err


def check(condition, text):
    if not condition:
        sys.exit(text)


class Runs:
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def record(self, name, *options, status=0, stdin=b"", append="days=2"):
        run(DEJA, "record", "-o", self.path(name), "--seed", "1", "-append", append, *options, status=status,
            stdin=stdin)
        return self.path(name)

    def failing(self, want):
        """Traces that fail by perturbation alone."""
        found = []
        for seed in range(1, 100):
            trace = self.path(f"p{seed}.deja")
            p = subprocess.run([DEJA, "record", "-o", trace, "--seed", "1", "-append", "days=2", "-perturb",
                                f"seed={seed}"], stdin=subprocess.DEVNULL, capture_output=True)
            if p.returncode == 3:
                found.append(trace)
                if len(found) == want:
                    return found
        sys.exit(f"of 100 seeds only {len(found)} fail")


def ends(trace):
    out, _ = run(DEJA, "info", trace, "--json")
    return json.loads(out)["end"]


def exact(trace):
    _, err = run(DEJA, "replay", "--quiet", trace)
    check("replay exact" in err, err)


def minimize(runs):
    for trace in runs.failing(3):
        out, _ = run(DEJA, "minimize", trace, "-o", runs.path("min.deja"), "--json")
        answer = json.loads(out)
        check(answer["events"] == 1 and answer["events_before"] > 1, out)
        (left,) = answer["what_is_left"]
        check(RACE.match(left["symbol"]), f"{trace}: the preemption that is left is in {left['symbol']}")
        exact(runs.path("min.deja"))
        check(ends(runs.path("min.deja"))["exit"] == 3, "the minimal run ends otherwise")
        again, _ = run(DEJA, "minimize", trace, "-o", runs.path("again.deja"), "--json", "--jobs", "1")
        check(json.loads(again)["what_is_left"] == answer["what_is_left"], "--jobs 1 finds something else")

    # Typed keys: one of them ends the run.
    typed = runs.record("typed.deja", stdin=b"ab+-abq", append="")
    out, _ = run(DEJA, "minimize", typed, "-o", runs.path("min.deja"), "--output", "The bank closes", "--json")
    answer = json.loads(out)
    check([e["what"] for e in answer["what_is_left"]] == ['serial 0 "q"'], out)
    exact(runs.path("min.deja"))

    # A condition: the run ends where it holds first.
    out, _ = run(DEJA, "minimize", typed, "-o", runs.path("min.deja"), "--when", "icount >= 1234567", "--json")
    check(json.loads(out)["instructions"] == 1234567 and json.loads(out)["events"] == 0, out)
    exact(runs.path("min.deja"))
    out, _ = run(DEJA, "minimize", typed, "-o", runs.path("min.deja"), "--when", "u64[ledger] != 0", "--json")
    end = json.loads(out)["instructions"]
    check(1000 < end < 1000000, out)

    # Nothing is needed.
    out, _ = run(DEJA, "minimize", runs.path("typed.deja"), "-o", runs.path("min.deja"), "--output", "/^deja/i")
    check(out.startswith("0 of "), out)

    good = runs.record("good.deja")
    _, err = run(DEJA, "minimize", good, "-o", runs.path("min.deja"), status=1)
    check("does not fail" in err, err)
    for arguments, what in ((["minimize"], "wants one trace"), (["minimize", good], "-o"),
                            (["minimize", good, "-o", good], "another name"),
                            (["minimize", good, "-o", runs.path("m"), "--status", "x"], "--status"),
                            (["minimize", good, "-o", runs.path("m"), "--jobs", "0"], "--jobs"),
                            (["minimize", good, "-o", runs.path("m"), "--output", "/(/"], "/(/"),
                            (["minimize", good, "-o", runs.path("m"), "--when", "1 +"], "column 4"),
                            (["minimize", runs.path("none"), "-o", runs.path("m")], "none"),
                            (["minimize", good, "-o", runs.path("no/such"), "--output", "The bank"], "no/such")):
        _, err = run(DEJA, *arguments, status=2)
        check(what in err and err.count("\n") == 1, f"{arguments}: {err}")


def across(runs):
    good = runs.record("good.deja")
    bad = runs.failing(3)
    for trace in bad:
        out, _ = run(DEJA, "bisect", "--good", good, "--bad", trace, "-o", runs.path("min.deja"), "--json")
        answer = json.loads(out)
        check(len(answer["changes"]) == 1, out)
        check(RACE.match(answer["interrupt"]["symbol"]), f"{trace}: {out}")
        check(answer["interrupt"]["icount"] != answer["instead_of"]["icount"], out)
        exact(runs.path("min.deja"))
        check(ends(runs.path("min.deja"))["exit"] == 3, "the minimal run ends otherwise")
    out, _ = run(DEJA, "bisect", "--bad", *bad, "--good", good)
    check("with this alone the good run fails" in out and "earlier" in out, out)

    # Two recordings of what somebody typed.
    quiet = runs.record("quiet.deja", stdin=b"ab+ab", append="", status=3)
    noisy = runs.record("noisy.deja", stdin=b"ab+q", append="")
    out, _ = run(DEJA, "bisect", "--good", quiet, "--bad", noisy, "--output", "The bank closes", "--json")
    check([c["what"] for c in json.loads(out)["changes"]] == ['serial 0 "q"'], out)

    # The command line.
    other = runs.record("other.deja", append="days=2 customers=300")
    out, _ = run(DEJA, "bisect", "--good", good, "--bad", other, "--output", "600 transfers", "--json")
    check([c["what"] for c in json.loads(out)["changes"]] == ["the command line"], out)

    for arguments, status, what in ((["--good", good], 2, "--bad"), (["--good", bad[0], "--bad", bad[1]], 1, bad[0]),
                                    (["--good", good, "--bad", good], 1, "does not fail"),
                                    (["--good", good, "--bad", bad[0], "-o", good], 2, "another name")):
        _, err = run(DEJA, "bisect", *arguments, status=status)
        check(what in err and err.count("\n") == 1, f"{arguments}: {err}")
    small = runs.path("small.deja")
    run(DEJA, "record", "-o", small, "-m", "32M", status=3)
    _, err = run(DEJA, "bisect", "--good", good, "--bad", small, status=2)
    check("different machines: another memory size" in err, err)


def causal(runs):
    (bad,) = runs.failing(1)
    svg = runs.path("c.svg")
    options = ["--samples", "8", "--points", "18"]
    out, _ = run(DEJA, "bisect", bad, "--causal", *options, "--svg", svg, "--json")
    answer = json.loads(out)
    points = answer["points"]
    check(len(points) == 19 and points[0]["icount"] == 0 and points[-1]["share"] == 1, out)
    check([p["icount"] for p in points] == sorted(p["icount"] for p in points), out)
    rise = answer["rise"]
    at = {p["icount"]: p["share"] for p in points}
    check(at[rise["to"]] - at[rise["from"]] >= 0.3, out)
    check(rise["to"] - rise["from"] < points[-1]["icount"] / 500, out)
    check(xml.dom.minidom.parse(svg).documentElement.tagName == "svg", "no picture")
    again, _ = run(DEJA, "bisect", bad, "--causal", *options, "--json", "--jobs", "1")
    check(again == out, "--jobs 1 gives another answer")
    run(DEJA, "index", bad)
    again, _ = run(DEJA, "bisect", bad, "--causal", *options, "--json")
    check(again == out, "an index gives another answer")
    text, _ = run(DEJA, "bisect", bad, "--causal", *options, "--output", "/ledger is off/")
    check("it rises most from" in text, text)

    good = runs.record("good.deja")
    _, err = run(DEJA, "bisect", good, "--causal", status=1)
    check("does not fail" in err, err)
    for arguments, what in ((["--causal"], "one trace"), ([bad, "--causal", "--samples", "0"], "--samples"),
                            ([bad, "--causal", "--svg", runs.path("no/such")], "no/such")):
        _, err = run(DEJA, "bisect", *arguments, *([] if "--samples" in arguments else ["--samples", "1", "--points",
                                                                                      "2"]), status=2)
        check(what in err, err)


def main():
    with tempfile.TemporaryDirectory() as folder:
        {"minimize": minimize, "across": across, "causal": causal}[WHAT](Runs(folder))


main()
