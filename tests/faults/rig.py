"""Masters, their tasks and an injector, all with waits of milliseconds: a point costs less than a tenth of a second.

A lane is a master with folders, a queue and a worker's name of its own; several use one server side by side. A point
names the calls at which victims are killed one after the other; a scenario says who that is and how the tasks end."""

import collections
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import urllib.parse

from faulty_api import Master
from injector import TOOLS
from invariants import FINAL, descriptors_of_runs, leftovers, wrong_order
from orphans import crashed
from reeve_up import SLOW, wait_until

WAITS = {f"CLEARML_AGENT__AGENT__REEVE__WAITS__{name}": value for name, value in {
    "POLL": "50ms", "WATCH": "1s", "REPORT": "10s", "ALIVE": "10s", "AGENT": "5s", "BACKOFF_MIN": "5ms", "BACKOFF_MAX": "20ms",
    "LINGER": "20ms", "SETTLE": "100ms", "FLUSH": "5ms", "RECONNECT": "4ms", "AGAIN": "20ms"}.items()}
WAITS.update({"CLEARML_AGENT__API__HTTP__RETRIES__BACKOFF_FACTOR": "0.01",
              "CLEARML_AGENT__API__HTTP__RETRIES__BACKOFF_MAX": "0.05"})
STEP = 0.003  # between two looks


class Calls:
    """The API over one connection: a new one for each call would cost more than the call."""

    def __init__(self, server):
        self.server = server
        self.connection = None

    def __call__(self, name, /, **body):
        for last in (False, True):
            try:
                if not self.connection:
                    url = urllib.parse.urlsplit(self.server.endpoint["api"])
                    self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60 * SLOW)
                self.connection.request("POST", f"/{name}", json.dumps(body), {
                    "Authorization": f"Bearer {self.server.api.token}", "Content-Type": "application/json"})
                answer = json.load(self.connection.getresponse())
                assert answer["meta"]["result_code"] == 200, (name, answer["meta"])
                return answer["data"]
            except (OSError, http.client.HTTPException):
                self.connection = None
                if last:
                    raise


class Task:
    """tests/faults/payload on the server, and what must be true of it in the end."""

    def __init__(self, lane, folder, codes=("0",), lines=6, pause_ms=5, restart=""):
        self.lane, self.folder, self.codes, self.lines = lane, folder, codes, lines
        folder.mkdir()
        script = {"binary": str(TOOLS / "payload"),
                  "entry_point": " ".join([str(folder), str(lines), str(pause_ms), *codes])}
        arguments = f"--restart {restart}" if restart else ""
        self.id = lane.call("tasks.create", name="fault", type="service", script=script,
                            container={"arguments": arguments})["id"]

    def enqueue(self):
        self.lane.call("tasks.enqueue", task=self.id, queue=self.lane.queue)
        return self

    def document(self):
        return self.lane.call("tasks.get_all", id=[self.id], only_fields=["status", "status_reason"],
                              search_hidden=True)["tasks"][0]

    def read(self, name):
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def wrong(self):
        """What does not hold, in words."""
        found = self.document()
        end = found["status"], found["status_reason"]
        if end != self.meant_end():
            yield f"it is {end}, not {self.meant_end()}"
        if self.read("marks") != self.meant_marks():
            yield f"marks {self.read('marks')}, not {self.meant_marks()}"
        yield from self.wrong_lines()
        finals = self.lane.calls.finals(self.id) if self.lane.calls else []
        if finals and finals != [end[0]] or not finals and self.lane.calls:
            yield f"final statuses that the server took: {finals}"

    def meant_end(self):
        last = self.codes[-1]
        if last == "wait":
            return "stopped", "aborted"
        return "completed" if last == "0" else "failed", f"exit:{last}"

    def meant_marks(self):
        """Each attempt once, and the last one decides."""
        return [f"{word} {number}" for number, code in enumerate(self.codes, 1)
                for word in (["begin"] if code == "wait" else ["begin", "end"])]

    def wrong_lines(self):
        """What an attempt has printed is there once and in order."""
        events = self.lane.call("events.get_task_log", task=self.id, batch_size=10000, order="asc",
                                navigate_earlier=False)["events"]
        text = "".join(event["msg"] for event in events)
        found = re.findall(r"^line (\d+\.\d+)$", text, re.M)
        meant = [f"{number}.{i}" for number in range(1, len(self.codes) + 1) for i in range(self.lines)]
        if found != meant:
            odd = sorted(collections.Counter(found).items() ^ collections.Counter(meant).items())[:20]
            yield f"of {len(meant)} lines {len(found)} are there; {odd or 'another order'}"
        yield from wrong_order(events)


class Lane:
    """One master after the other on the same folders."""

    def __init__(self, folder, server, name, queue=None):
        self.folder = folder / name
        self.folder.mkdir()
        self.name = name
        self.queue_name = queue or f"queue-{name}"
        self.move(server)
        self.number = itertools.count()
        self.report = self.folder / "report"
        self.tasks = []
        self.failed = False

    def move(self, server):
        """To this server, before anything was started."""
        self.server = server
        self.call = Calls(server)
        self.calls = getattr(server, "calls", None)  # where it is known which final statuses it took
        self.queue = server.queue(self.queue_name)
        self.master = Master(self.folder, server.endpoint["api"], server, WAITS)
        self.master.worker = self.name
        self.master.group = f"reeve-kill-{os.getpid()}-{self.name}"

    def start(self, under=()):
        self.master.start("--queue", self.queue_name, under=under)

    def alive(self):
        return self.master.process is not None and self.master.process.poll() is None

    def make_task(self, **how):
        """One that is not in the queue yet."""
        self.tasks.append(Task(self, self.folder / f"task-{next(self.number)}", **how))
        return self.tasks[-1]

    def task(self, **how):
        return self.make_task(**how).enqueue()

    def busy(self):
        """What is left of runs; cheap, since it is asked again and again."""
        master = self.master
        folders = [master.state / "runs", master.state / "intents", master.state / "trash",
                   master.folder / "run/runs", master.folder / "run/trash"]
        for folder in folders:
            try:
                if os.listdir(folder):
                    return True
            except FileNotFoundError:
                pass
        return False

    def idle(self):
        """All tasks have begun, and nothing is left to do."""
        return all((task.folder / "marks").exists() for task in self.tasks) and not self.busy()

    def wrong(self):
        """What does not hold of the tasks, which are forgotten then; what the run of no task should have left."""
        tasks, self.tasks = self.tasks, []
        found = [f"{task.id}: {words}" for task in tasks for words in task.wrong()]
        for group in self.master.groups():
            run = pathlib.Path(group) / "run"
            found += [str(path) for path in run.iterdir() if path.is_dir()] if run.is_dir() else []
        return found + self.wrong_master() + crashed()

    def wrong_master(self):
        """Of one that has nothing to do any more."""
        if not self.alive():
            return [f"the master ended with {self.master.process.poll()}"]
        pid = self.master.control(cmd="status")["data"]["pid"]
        return [f"the master holds {name}" for name in descriptors_of_runs(pid)]

    def describe(self):
        """For a person: what there is of the tasks and the runs."""
        for task in self.tasks:
            try:
                yield f"\n{task.id} {task.document()} {task.read('marks')}"
            except OSError as error:
                yield f"\n{task.id} {error} {task.read('marks')}"
        yield f"\nleft of runs: {leftovers(self.master)}"

    def end(self):
        """What it leaves behind."""
        left = []
        if self.alive() and self.master.stop() != 0:
            left.append("the master's exit code: " + self.master.log.read_text()[-2000:])
        left += leftovers(self.master)
        left += self.master.groups()
        left += [str(path) for path in self.master.folder.glob("run/*.sock")]
        left += [str(path) for path in self.master.state.glob("damaged/*")]
        return left + crashed()

    def abandon(self):
        """After a failure: nothing of it may disturb what comes then."""
        self.failed = True
        self.master.kill()
        for pid in self.master.sub_agents():
            os.kill(pid, signal.SIGKILL)
        for group in self.master.groups():
            for procs in pathlib.Path(group).rglob("cgroup.procs"):
                for pid in procs.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        for group in self.master.groups():
            wait_until(lambda g=group: remove_group(g), what=f"the end of {group}")


def remove_group(path):
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True
