"""From the enqueue of a service to its first instruction and its first line on the server, on a host that is idle until then.

Services come alone, at times that have nothing to do with each other: so many that a hundredth of them are a few.
"""

import random
import time

from rig import first_line, host, peer, percentile, row

# The program's own first act is to say what time it is.
DATE = {"binary": "date", "entry_point": "+at=%s.%N"}
OTHER = "clearml-agent's: one Python service"


def sample(reeve, script):
    """Seconds to the first instruction, and until the line can be read."""
    task = reeve.make(script)[0]
    time.sleep(random.uniform(0.02, 0.12))
    begin = time.time()
    reeve.enqueue([task])
    seen, text = first_line(reeve, task, "\nat=", 60, 0.005)
    return float(text.rpartition("\nat=")[2].split()[0]) - begin, seen - begin


def measure(options):
    count = 5 if options.smoke else 60 if options.quick else 400
    with host() as reeve:
        sample(reeve, DATE)  # the first one ever fills caches
        samples = [sample(reeve, DATE) for _ in range(count)]
    for what, part, key, reach in (("enqueue to first instruction", 0, "first", (10, 50)),
                                   ("enqueue to first line on the server", 1, "line", (None, None))):
        other = peer(options, key)
        spent = [1000 * each[part] for each in samples]
        yield row(f"{what}, p50", reach[0], percentile(spent, 50), "ms", note=OTHER, **other)
        if not options.quick:
            yield row(f"{what}, p99", reach[1], percentile(spent, 99), "ms", note=f"of {count} services; {OTHER}", **other)
