"""From the enqueue of a service to its first instruction and its first line on the server; one a second."""

import time

from rig import first_line, host, percentile, row

# The program's own first act is to say what time it is.
DATE = {"binary": "date", "entry_point": "+at=%s.%N"}


def sample(reeve, script):
    """Seconds to the first instruction, and until the line can be read."""
    task = reeve.make(script)[0]
    time.sleep(1 - time.time() % 1)
    begin = time.time()
    reeve.enqueue([task])
    seen, text = first_line(reeve, task, "\nat=", 60, 0.005)
    return float(text.rpartition("\nat=")[2].split()[0]) - begin, seen - begin


def measure(options):
    with host() as reeve:
        sample(reeve, DATE)  # the first one ever fills caches
        samples = [sample(reeve, DATE) for _ in range(10 if options.quick else 40)]
    first = [1000 * s[0] for s in samples]
    line = [1000 * s[1] for s in samples]
    yield row("enqueue to first instruction, p50", 10, percentile(first, 50), "ms")
    yield row("enqueue to first instruction, p99", 50, percentile(first, 99), "ms")
    yield row("enqueue to first line on the server, p50", None, percentile(line, 50), "ms")
    yield row("enqueue to first line on the server, p99", None, percentile(line, 99), "ms")
