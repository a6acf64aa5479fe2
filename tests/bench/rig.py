"""What the figures share: hosts to measure, the processes of one, its memory and time, and ways to say a number."""

import contextlib
import os
import pathlib
import signal
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "compat")]

from reeve_server import Client  # noqa: E402
from reeve_up import FAST, OUT, TOP, Reeve, wait_until  # noqa: E402

SUPERVISOR = ("reeved", "reeve-subagent")


class Note(Exception):
    """A figure that cannot be had here, and why."""


def row(what, reach, reeve, unit, agent=None, docker=None, less_is_better=True, note="", alone=""):
    """One line of the table; agent and docker: the same of clearml-agent, without and with containers; alone: why it has none."""
    return {"what": what, "unit": unit, "reach": reach, "reeve": reeve, "agent": agent, "docker": docker,
            "less_is_better": less_is_better, "note": note, "alone": alone}


def peer(options, key):
    """What clearml-agent did of the same kind in this run: words of row()."""
    found = {who: figures[key] for who, figures in options.peers.items() if figures.get(key)}
    return {**found, "alone": "" if found else "clearml-agent was not measured"}


def percentile(values, share):
    """The smallest value that so large a share of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else None


# ---- processes

def name_of(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def memory(pid, field="Pss"):
    """Bytes, 0 of a process that is gone. Pss: its own pages and its share of the others'."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith(field + ":")) * 1024
    except OSError:
        return 0


def cpu_seconds(pid):
    """Of its threads; by the scheduler's own clock, since a tick is more than an idle service takes in a minute."""
    try:
        return sum(int(pathlib.Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
                   for thread in os.listdir(f"/proc/{pid}/task")) / 1e9
    except (OSError, IndexError):
        return 0.0


def cpu_percent(pids, seconds):
    """Of one core, over so long."""
    begin, before = time.monotonic(), sum(map(cpu_seconds, pids))
    time.sleep(seconds)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begin)


def descendants(pid):
    """Those of a process, itself first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parent = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


# ---- a host with reeve

class Calls(Client):
    """Over a connection that the server may close while it is not used."""

    def send(self, name, body, headers):
        try:
            return super().send(name, body, headers)
        except OSError:
            self.connection.close()
            return super().send(name, body, headers)


class Host(Reeve):
    """One `reeve up` as users start it: no wait is shortened."""

    def __init__(self, folder, *args):
        super().__init__(pathlib.Path(folder) / "data", "--log-level", "warn", *args)
        for name in FAST:
            self.env.pop(name)
        self.client = None

    def start(self, timeout=60):
        super().start(timeout)
        self.client = Calls(self.endpoint)
        return self

    def pids(self, *names):
        return [pid for pid in self.processes() if not names or name_of(pid) in names]

    def make(self, script, count=1, **fields):
        """Drafts."""
        return [self.client.data("tasks.create", name=f"bench {i}", type="service", script=script, **fields)["id"]
                for i in range(count)]

    def enqueue(self, ids, queue="services"):
        for start in range(0, len(ids), 500):
            part = ids[start:start + 500]
            self.client.data("tasks.enqueue_many", ids=part, queue_name=queue)

    def times(self, ids, *names):
        """Those fields of these tasks, as the server has them, in its order."""
        found = []
        for start in range(0, len(ids), 500):
            found += self.client.data("tasks.get_all", id=ids[start:start + 500], page_size=500,
                                      only_fields=["status", *names])["tasks"]
        return found

    def count(self, ids, *statuses):
        return sum(task["status"] in statuses for task in self.times(ids))

    def running(self):
        return self.json("status")["running"]

    def text(self, task):
        """Its whole log."""
        return "".join(event["msg"] for event in self.log_events(task))


@contextlib.contextmanager
def host(*args):
    """A host that is gone afterwards, with all that ran on it; what it left behind is an error."""
    with tempfile.TemporaryDirectory(prefix="reeve-bench-", ignore_cleanup_errors=True) as folder:
        reeve = Host(folder, *args)
        try:
            yield reeve.start()
        finally:
            left = end(reeve)
        if left:
            raise Note("left behind: " + "; ".join(left)[:500])


def end(reeve, timeout=300):
    """Ends whatever is left of it, first by asking."""
    if reeve.client:
        reeve.client.close()
    if reeve.process and reeve.process.poll() is None:
        reeve.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(Exception):
            reeve.process.wait(timeout)
    reeve.process = None
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not reeve.processes(), 10)
    return reeve.end()


def stamp(text):
    """Seconds of a time as the server writes it."""
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def first_line(reeve, task, needle, timeout, step):
    """When the server had a line with that word, seen from outside; and the log."""
    end_at = time.monotonic() + timeout
    while time.monotonic() < end_at:
        events = reeve.client.data("events.get_task_log", task=task, batch_size=500, order="asc", navigate_earlier=False)
        text = "".join(event["msg"] for event in events["events"])
        if needle in text:
            return time.time(), text
        time.sleep(step)
    raise Note(f"no line with {needle!r} in {timeout} s")


__all__ = ["Calls", "Host", "Note", "OUT", "SUPERVISOR", "TOP", "cpu_percent", "cpu_seconds", "descendants", "end", "first_line",
           "host", "memory", "name_of", "peer", "percentile", "row", "stamp", "wait_until"]
