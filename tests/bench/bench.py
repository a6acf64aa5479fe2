#!/usr/bin/env python3
"""The figures that reeve is to reach, with clearml-agent's beside them where it does the same work.

    bench.py [--only FIGURE]... [--quick | --smoke] [--no-agent] [--no-docker] [--services N] [--tasks N] [--json FILE]

What is measured is the installed reeve (REEVE_OUT), as root. clearml-agent comes from PyPI into build/compat (REEVE_COMPAT_VENVS).
Prints a table; --json writes the same as one JSON value. Each run is also appended to a history (REEVE_BENCH_HISTORY, else
$XDG_STATE_HOME/reeve-bench/history.jsonl), with commit, kernel and processor. A time is never a reason to fail: the exit code is 1 only
if a figure could not be had, or something was lost or left behind.
"""

import argparse
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

from rig import OUT, TOP, Note

FIGURES = ("agent", "latency", "launches", "lines", "server", "idle")
COLUMNS = ("what", "reach", "reeve", "clearml-agent", "in docker", "times")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=FIGURES, help="may be repeated; all otherwise")
    parser.add_argument("--quick", action="store_true", help="a minute and a half: small numbers, good for comparing before and after")
    parser.add_argument("--smoke", action="store_true", help="seconds: whether all of it works; no figure is worth anything")
    parser.add_argument("--agent", action=argparse.BooleanOptionalAction, default=True, help="measure clearml-agent too")
    parser.add_argument("--docker", action=argparse.BooleanOptionalAction, default=None,
                        help="and in docker mode, where dockerd is installed (with --quick only if asked for)")
    parser.add_argument("--services", type=int, default=10_000, help="idle ones at the most (default 10000)")
    parser.add_argument("--tasks", type=int, help="in the server's queue (default 1000000, quick 20000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, - for standard output")
    options = parser.parse_args()
    options.quick = options.quick or options.smoke
    options.agent = options.agent and not options.smoke
    options.tasks = options.tasks or (2_000 if options.smoke else 20_000 if options.quick else 1_000_000)
    if options.docker is None:
        options.docker = not options.quick
    return options


# ---- the table

def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def times(figure):
    """How many times better than the better of the agent's ways."""
    peers = [value for value in (figure["agent"], figure["docker"]) if value]
    if not peers or not figure["reeve"]:
        return "-"
    if figure["less_is_better"]:
        return f"{min(peers) / figure['reeve']:,.0f}"
    return f"{figure['reeve'] / max(peers):,.0f}"


def cells(figure):
    return (f"{figure['what']}, {figure['unit']}", number(figure["reach"]), number(figure["reeve"]), number(figure["agent"]),
            number(figure["docker"]), times(figure))


def table(figures):
    """Markdown that is aligned as plain text."""
    lines = [COLUMNS, *map(cells, figures)]
    width = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    def text(line):
        return "| " + " | ".join(word.ljust(width[0]) if i == 0 else word.rjust(width[i]) for i, word in enumerate(line)) + " |"
    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    return "\n".join([text(COLUMNS), rule, *map(text, lines[1:])])


# ---- the history

def said(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP)
    return done.stdout.strip() if done.returncode == 0 else None


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)


def circumstances(options):
    return {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": said("git", "rev-parse", "--short=12", "HEAD"),
            "changed": bool(said("git", "status", "--porcelain", "-uno")), "kernel": os.uname().release, "cpu": processor(),
            "cpus": os.cpu_count(), "load": os.getloadavg()[0], "quick": options.quick, "smoke": options.smoke}


def history():
    state = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state")
    return pathlib.Path(os.environ.get("REEVE_BENCH_HISTORY") or state / "reeve-bench/history.jsonl")


def keep(result):
    path = history()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as lines:
        lines.write(json.dumps(result) + "\n")
    return path


# ---- all of it

def collect(name, options):
    """The figures of one module, and what went wrong, or None."""
    figures = []
    try:
        for figure in importlib.import_module(name).measure(options):
            print(f"  {figure['what']}: {number(figure['reeve'])} {figure['unit']}", file=sys.stderr, flush=True)
            figures.append({"figure": name, **figure})
    except Note as note:
        return figures, f"{name}: {note}"
    except Exception:  # the others are worth having
        return figures, f"{name}: {traceback.format_exc()}"
    return figures, None


def main():
    options = arguments()
    if os.geteuid() != 0 or not (OUT / "sbin/reeved").exists():
        raise SystemExit(f"bench.py: as root, with reeve installed in {OUT} (REEVE_OUT)")
    # A `timeout` ends it as Ctrl-C does: what was started is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    options.peers = {}  # clearml-agent's figures, for those that come after them
    result = {**circumstances(options), "figures": [], "missing": []}
    for name in options.only or FIGURES:
        if name == "agent" and not options.agent:
            continue
        print(f"{name}:", file=sys.stderr)
        figures, missing = collect(name, options)
        result["figures"] += figures
        result["missing"] += [missing] if missing else []
    result["seconds"] = round(time.monotonic() - begin)
    if options.json != "-":
        print(table(result["figures"]))
    for each in result["figures"]:
        if each["note"] and options.json != "-":
            print(f"  {each['what']}: {each['note']}")
    for why in sorted({each["alone"] for each in result["figures"]} - {""}) * (options.json != "-"):
        print(f"  no peer, since {why}: {'; '.join(each['what'] for each in result['figures'] if each['alone'] == why)}")
    for missing in result["missing"]:
        print(f"bench.py: {missing}", file=sys.stderr)
    print(f"{result['seconds']} s; kept in {keep(result)}", file=sys.stderr)
    if options.json:
        text = json.dumps(result, indent=1)
        print(text) if options.json == "-" else pathlib.Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 1 if result["missing"] else 0


if __name__ == "__main__":
    sys.exit(main())
