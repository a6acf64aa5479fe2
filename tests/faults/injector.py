"""tests/faults/inject as the suites use it: on a process that runs, or before a command; and which of all points are
tried where there is no time for all."""

import os
import pathlib
import random
import subprocess

from reeve_up import SLOW, TOP

# Where `make check` builds them.
TOOLS = pathlib.Path(os.environ.get("REEVE_TOOLS", TOP / "build/check/tests/faults"))
HIT, NOT_REACHED = 0, 3  # exit codes of inject --pid
# Another number is another choice of points.
SEED = os.environ.get("REEVE_FAULT_SEED", "1")


def inject(report, *options):
    """The words of a command."""
    return [TOOLS / "inject", "--report", report, *map(str, options)]


def read_report(path):
    """[[number, pid, role, call, detail]] of what was counted or hit."""
    path = pathlib.Path(path)
    return [line.split(" ", 4) for line in path.read_text().splitlines()] if path.exists() else []


class Injector:
    """On a process that runs already, until it is closed or has done its work; see inject --help."""

    def __init__(self, report, pid, *options):
        self.report = report
        ready, tell = os.pipe()
        self.process = subprocess.Popen(
            [*inject(report, "--ready-fd", tell, *options), "--pid", str(pid)], pass_fds=(tell,))
        os.close(tell)
        assert os.read(ready, 1) == b"1", f"inject {options} could not attach to {pid}"
        os.close(ready)

    def done(self):
        return self.process.poll() is not None

    def hits(self):
        return read_report(self.report)

    def let_go(self):
        """0 if it had done its work."""
        self.process.terminate()
        return self.process.wait(60 * SLOW)

    close = let_go

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def spread(points, most, salt=""):
    """At most so many of them, in their order: one by chance of each of as many equal parts, so that no step falls in
    with the order they are in."""
    points = list(points)
    if len(points) <= most:
        return points
    chance = random.Random(f"{SEED} {salt}")
    borders = [i * len(points) // most for i in range(most + 1)]
    return [points[chance.randrange(a, b)] for a, b in zip(borders, borders[1:])]
