"""Many services while master, sub-agents and server are killed at random: nothing may be lost.

    python3 tests/faults/soak.py [--services 1000] [--seconds 600] [--seed N] [--server-kills] [--folder DIR]

REEVE_OUT names the install prefix. Each service prints numbered lines (ticker.c). When the time is over all are told
to end; then each task is `completed`, its payload was started once, its lines are on the server once and in order, and
no process, cgroup or file of a run is left. Prints its figures, as JSON with --json; exit 0 only if all of that is true.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import orphans
from faulty_api import Master
from invariants import CallLog
from reeve_up import SLOW, wait_until
from server_rig import Server

# Kernels from here on tell how a process ended to one that is not its parent (PIDFD_GET_INFO with the exit).
EXIT_TOLD_SINCE = (6, 15)
MASTER_LIVES = (2.0, 8.0)
SERVER_LIVES = (20.0, 60.0)


def exits_are_told():
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups())) >= EXIT_TOLD_SINCE


def compile_ticker(folder):
    program = pathlib.Path(folder) / "ticker"
    source = pathlib.Path(__file__).with_name("ticker.c")
    subprocess.run(["cc", "-O1", "-o", program, source], check=True, timeout=60 * SLOW)
    return program


class Soak:
    def __init__(self, folder, services, seed, server_kills=False, interval_ms=1000):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.services, self.server_kills, self.interval_ms = services, server_kills, interval_ms
        self.ticker = compile_ticker(self.folder)
        self.server = Server(self.folder / "server", "--log-level", "warn", "--call-log", self.folder / "calls").start()
        self.calls = CallLog(self.folder / "calls")
        self.queue = self.server.queue("services")
        self.master = Master(self.folder, self.server.endpoint["api"], self.server,
                             {"CLEARML_AGENT__AGENT__REEVE__WAITS__FLUSH": "500ms"})
        self.tasks = []

    def start_master(self):
        self.master.start("--queue", "services", "--services-mode", "0", "--log-level", "warn")

    def enqueue(self):
        for number in range(self.services):
            script = {"binary": str(self.ticker), "entry_point": f"{self.folder} {self.interval_ms}"}
            task = self.server.task(f"tick {number}", script=script)
            self.server.call("tasks.enqueue", {"task": task, "queue": self.queue})
            self.tasks.append(task)

    def rows(self):
        return self.master.control(cmd="ps")["data"]

    def wait_running(self):
        def all_run():
            return sum(row["phase"] == "running" for row in self.rows()) == self.services
        wait_until(all_run, 60 + self.services, 0.5, what=f"{self.services} running services")

    # -- faults

    def kill_master(self):
        assert self.master.process.poll() is None, "the master ended by itself:\n" + self.master.log.read_text()[-4000:]
        self.master.kill()
        self.counts["master killed"] += 1
        self.start_master()

    def kill_agent(self):
        pids = self.master.sub_agents()
        if pids:
            try:
                os.kill(self.random.choice(pids), signal.SIGKILL)
                self.counts["sub-agent killed"] += 1
            except ProcessLookupError:
                pass

    def kill_server(self):
        """Back on the same port, as a service manager would have it."""
        port = self.server.endpoint["api"].rpartition(":")[2]
        assert self.server.process.poll() is None, "the server ended by itself"
        self.server.stop(kill=True)
        self.counts["server killed"] += 1
        self.server.args = ("--log-level", "warn", "--call-log", self.folder / "calls", "--api-port", port)
        self.server.start()

    def torment(self, seconds):
        now = time.monotonic()
        end = now + seconds
        master_due = now + self.random.uniform(*MASTER_LIVES)
        server_due = now + self.random.uniform(*SERVER_LIVES) if self.server_kills else end + 1
        while (now := time.monotonic()) < end:
            if now > master_due:
                self.kill_master()
                master_due = time.monotonic() + self.random.uniform(*MASTER_LIVES)
            elif now > server_due:
                self.kill_server()
                server_due = time.monotonic() + self.random.uniform(*SERVER_LIVES)
            else:
                self.kill_agent()
            time.sleep(self.random.uniform(0.05, 0.3))

    # -- what must be true at the end

    def finish(self):
        (self.folder / "go").touch()

        def done():
            if self.master.process.poll() is not None:
                raise AssertionError("the master ended by itself:\n" + self.master.log.read_text()[-4000:])
            return not self.rows()
        wait_until(done, 120 + self.services / 2, 0.5, what="the end of every run")

    def documents(self):
        found = {}
        for page in range(0, len(self.tasks), 500):
            answer = self.server.call("tasks.get_all", {
                "id": self.tasks[page:page + 500], "page_size": 500, "search_hidden": True,
                "only_fields": ["id", "status", "status_reason", "status_message"]})
            found.update((task["id"], task) for task in answer["tasks"])
        return found

    def log_text(self, task):
        text, scroll = [], None
        while True:
            answer = self.server.call("events.get_task_events", {
                "task": task, "event_type": "log", "batch_size": 5000, "order": "asc", "scroll_id": scroll})
            if not answer["events"]:
                return "".join(text)
            text += [event["msg"] for event in answer["events"]]
            scroll = answer["scroll_id"]

    def check_task(self, task, document):
        wrong = []
        starts = (self.folder / f"{task}.starts").read_text().splitlines()
        if len(starts) != 1 or not starts[0].startswith("start "):
            wrong.append(f"payloads: {starts}")
        text = self.log_text(task)
        ticks = [int(n) for n in re.findall(r"^tick (\d+)$", text, re.M)]
        told = [int(n) for n in re.findall(r"^done (\d+)$", text, re.M)]
        self.counts["lines"] += len(ticks) + len(told)
        if ticks != list(range(len(ticks))):
            odd = next(i for i, n in enumerate(ticks) if n != i)
            wrong.append(f"line {odd} is {ticks[odd - 1:odd + 3]}")
        if told != [len(ticks)]:
            wrong.append(f"{len(ticks)} ticks are there, told: {told}")
        if (finals := self.calls.finals(task)) != [document["status"]] and not self.server_kills:
            wrong.append(f"final statuses that the server took: {finals}")
        lost = document["status"] == "failed" and "agent-lost" in document["status_reason"]
        if document["status"] != "completed" and (exits_are_told() or not lost):
            wrong.append(f"{document['status']}: {document['status_reason']}, {document['status_message']}")
        self.counts["agent-lost"] += lost
        return wrong

    def check_left(self):
        left = [str(path) for name in ("state/runs", "state/intents", "run/runs")
                if (self.folder / name).is_dir() for path in (self.folder / name).iterdir()]
        left += [f"sub-agent {pid}" for pid in self.master.sub_agents()]
        return left + self.master.groups() + orphans.crashed()

    def check(self):
        documents = self.documents()
        wrong = {task: found for task in self.tasks if (found := self.check_task(task, documents[task]))}
        if self.master.stop() != 0:
            wrong["master"] = [self.master.log.read_text()[-3000:]]
        if left := self.check_left():
            wrong["left"] = left
        return wrong

    def close(self):
        if self.master.process and self.master.process.poll() is None:
            self.master.stop()
        self.server.stop()


def soak(folder, services, seconds, seed, server_kills=False, interval_ms=1000, tell=lambda text: None):
    """What was wrong, by task, and the counts."""
    run = Soak(folder, services, seed, server_kills, interval_ms)
    try:
        run.start_master()
        run.enqueue()
        run.wait_running()
        tell(f"{services} services run")
        run.torment(seconds)
        tell(f"killed: {dict(run.counts)}")
        run.finish()
        return run.check(), run.counts
    finally:
        run.close()


def main():
    orphans.adopt()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--interval", type=int, default=1000, help="milliseconds between a service's lines")
    parser.add_argument("--server-kills", action="store_true")
    parser.add_argument("--folder", help="keep everything here")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = given.folder or tempfile.mkdtemp(prefix="reeve-soak-")
    pathlib.Path(folder).mkdir(exist_ok=True)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    say(f"seed {given.seed}, folder {folder}")
    wrong, counts = soak(folder, given.services, given.seconds, given.seed, given.server_kills,
                         given.interval, say)
    result = {"services": given.services, "seconds": given.seconds, "seed": given.seed,
              **counts, "wrong": len(wrong)}
    print(json.dumps(result) if given.json else "\n".join(f"{k}: {v}" for k, v in result.items()))
    for task, found in list(wrong.items())[:20]:
        say(f"{task}: {'; '.join(found)}")
    if not given.folder and not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
