"""Lines of one service's log, from its print to the server's answer; none may be missing."""

import time

from rig import Note, host, peer, row, stamp, wait_until


def check(text, count):
    got = [line for line in text.splitlines() if line.isdigit()]
    if got != [str(i) for i in range(1, count + 1)]:
        raise Note(f"{len(got)} of {count} lines are there, or not in order")


def measure(options):
    count = 20_000 if options.smoke else 200_000 if options.quick else 4_000_000
    with host() as reeve:
        task = reeve.make({"binary": "seq", "entry_point": str(count)})[0]
        begin = time.time()
        reeve.enqueue([task])
        wait_until(lambda: reeve.count([task], "completed", "failed"), 300, 0.02, "the end of the task")
        ended = stamp(reeve.times([task], "completed")[0]["completed"])
        check(reeve.text(task), count)
    yield row("log lines end to end, none lost", 200_000, count / (ended - begin), "1/s", less_is_better=False,
              note=f"{count} lines of one task, from its enqueue to its final status; clearml-agent's: of a Python service",
              **peer(options, "lines"))
