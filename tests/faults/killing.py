"""Scenarios: who is killed, what it was doing, and what must be true of the tasks afterwards.

A point is a list of numbers of calls: the first victim is killed at its Nth call, the one that takes its place at the
next number, and so on; what comes then is left alone, and the tasks have to end as if nothing had been.

To add a scenario: a class below with a name, `go` that gives the lane its work, and whatever of the other methods
differs; its name in SCENARIOS."""

import collections
import http.client
import os
import re
import signal
import threading

from injector import Injector, inject, read_report, spread
from reeve_up import wait_until
from rig import STEP, Lane
from server_rig import Server

EFFECTS = ("--calls", "%effects")
FAILURES_MAX = 5
LOCKED = re.compile("lock.*Resource temporarily unavailable")
# Neighbours of the golden ratio's powers: numbers that are spread evenly, and differently from each other.
STRIDES = (0.618034, 0.381966, 0.763932, 0.854102, 0.145898, 0.527864)


class Scenario:
    """A master is killed, and those that adopt what it left, while tasks are pulled, run and restarted."""

    name = "master"
    points = 200  # without --long
    then = 6      # kills that follow the first one
    lanes = 3     # side by side: they wait more than they work
    limit = 60    # seconds until everything is over, at the very most
    plain = False  # the server has no extensions
    options = EFFECTS
    unreached = 0.1  # of the points at most, since no two runs make exactly the same calls
    after = ("--after", "openat:master.lock")  # of a master that is started: not its libraries
    noise = ("/sys/fs/cgroup/", "/proc/")  # what is only read there changes nothing

    def set_up(self, lane):
        lane.start()

    def begin(self, lane):
        """What is there before the first victim is watched."""

    def go(self, lane):
        """What it is watched at."""
        lane.task(codes=("1", "0"), restart="on-failure:3")
        lane.task()

    def attach(self, lane, *options):
        """To a master that is there, or else to one that is started: (done(), let_go()); the latter returns 0 if the
        injector had done its work."""
        if lane.alive():
            found = Injector(lane.report, lane.master.process.pid, *self.options, *options)
            return found.done, found.let_go
        lane.start(inject(lane.report, *self.after, *self.options, *options))
        return lambda: not lane.alive(), lambda: self.end_under(lane)

    def revive(self, lane):
        """After the last kill, or before the next one is attached to."""
        code = lane.master.process.wait()
        assert code in (-signal.SIGKILL, 128 + signal.SIGKILL), f"the master ended with {code}"

    def end_under(self, lane):
        """A master below an injector, which must not be killed itself: the master would end a moment after it."""
        lane.master.process.send_signal(signal.SIGUSR1)
        return lane.master.process.wait()

    def finish(self, lane):
        if not lane.alive():
            lane.start()

    def over(self, lane):
        return lane.idle()

    def wrong(self, lane, hits):
        return lane.wrong()

    def tear_down(self, lane):
        return lane.end()

    # -- points

    def turns(self, point):
        """What the injectors are told, one after the other."""
        return point

    def run(self, lane, point, hits):
        """One point; what does not hold afterwards."""
        self.begin(lane)
        for turn, number in enumerate(self.turns(point)):
            done, let_go = self.attach(lane, "--at", number)
            if turn == 0:
                self.go(lane)
            wait_until(lambda: done() or self.over(lane), self.limit, STEP, f"{self.name} after a kill")
            # It may come to its call just now, all the same.
            if not done() and let_go() != 0:
                break
            found = read_report(lane.report)
            assert found, f"what was to be killed at {number} ended by itself"
            hits += found
            self.revive(lane)
        self.finish(lane)
        wait_until(lambda: self.over(lane), self.limit, STEP, f"{self.name} in the end")
        return self.wrong(lane, hits)

    def count(self, lane):
        """The calls of a victim, and the number of those that one in its place makes."""
        self.begin(lane)
        _, let_go = self.attach(lane, "--count")
        self.go(lane)
        wait_until(lambda: self.over(lane), self.limit, STEP, f"{self.name} when counted")
        let_go()
        calls = read_report(lane.report)
        wrong = self.wrong(lane, [])
        assert not wrong, f"{self.name}, with nobody killed: {wrong}"
        return calls

    def firsts(self, calls, long):
        """Numbers of a victim's calls at which it is worth being killed."""
        return sorted({int(call[0]) for call in calls if long or call[3] not in ("openat", "read", "close")
                       or not any(word in call[4] for word in self.noise)})

    def make_points(self, calls, long):
        firsts = self.firsts(calls, long)
        firsts = firsts if long else spread(firsts, self.points, self.name)
        most = firsts[-1] * 2 // 3
        return [[first] + [1 + int(i * STRIDES[k % len(STRIDES)] % 1 * most) for k in range(self.then)]
                for i, first in enumerate(firsts, 1)]


class Plain(Scenario):
    """The same with a server that has only what ClearML's own has: each step of a claim is a call."""

    name = "plain"
    points = 100
    then = 4
    plain = True


class Threads(Scenario):
    """A master is killed at the calls of the threads that wait for the disk."""

    name = "threads"
    points = 40
    then = 2
    options = (*EFFECTS, "--thread", "reeved")
    after = ()
    unreached = 0.3  # each thread has numbers of its own, and the work falls to them by chance


class Log(Scenario):
    """A master is killed while it sends more lines than one batch takes."""

    name = "log"
    points = 30
    then = 4

    def go(self, lane):
        lane.task(lines=6000)


class Stop(Scenario):
    """The user aborts a task that runs."""

    name = "stop"
    points = 60
    then = 2

    def set_up(self, lane):
        lane.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__WATCH"] = "50ms"
        super().set_up(lane)

    def begin(self, lane):
        task = lane.task(codes=("wait",))
        wait_until(lambda: task.read("count")[-1:] == [f"1 {task.lines}"], self.limit, STEP, "a payload")

    def go(self, lane):
        lane.call("tasks.stop", task=lane.tasks[0].id, status_reason="aborted")


class Beside(Scenario):
    """Another master serves the same queue."""

    name = "beside"
    points = 60
    then = 2
    unreached = 0.5  # which of the two takes how many of the tasks is chance

    def set_up(self, lane):
        lane.other = Lane(lane.folder, lane.server, "other", lane.queue_name)
        lane.other.master.group = lane.master.group + "-other"
        lane.other.start()
        super().set_up(lane)

    def go(self, lane):
        for _ in range(3):
            lane.task()

    def over(self, lane):
        return lane.idle() and not lane.other.busy()

    def firsts(self, calls, long):
        """Which of the two takes how many of the tasks is never the same."""
        return list(range(1, 400))

    def tear_down(self, lane):
        return lane.other.end() + super().tear_down(lane)


class Together(Scenario):
    """A master is killed while it has claimed several tasks with one look."""

    name = "together"
    points = 40
    then = 2

    def go(self, lane):
        tasks = [lane.make_task() for _ in range(5)]
        lane.call("tasks.enqueue_many", ids=[task.id for task in tasks], queue=lane.queue)


class SubAgent(Scenario):
    """A sub-agent is killed, and the one that replaces it, which does no harm to the payload."""

    name = "subagent"
    points = 150
    then = 1
    lanes = 6
    options = ("--program", "reeve-subagent", *EFFECTS)

    def set_up(self, lane):
        super().set_up(lane)
        lane.read = lane.master.log.stat().st_size

    def turns(self, point):
        """By one injector, which sees the replacement from its first call on."""
        return [",".join(map(str, point))]

    def attach(self, lane, *options):
        found = Injector(lane.report, lane.master.process.pid, *self.options, *options)
        return found.done, found.let_go

    def go(self, lane):
        lane.task(codes=("1", "0"), restart="on-failure:1")

    def revive(self, lane):
        pass

    def wrong(self, lane, hits):
        """None has gone but those that were killed."""
        with open(lane.master.log, "rb") as log:
            log.seek(lane.read)
            text = log.read().decode()
        lane.read += len(text.encode())
        lines = text.splitlines()
        odd = [line for line in lines if "the sub-agent has" in line or "level=error component=subagent" in line]
        # A child that was not yet told to begin keeps the lock of the one that was killed for a moment.
        locked = [line for line in odd if LOCKED.search(line)]
        lost = text.count("the sub-agent was lost") - len(locked)
        return (super().wrong(lane, hits) + [line for line in odd if line not in locked]
                + ([f"{lost} sub-agents were lost: {text}"] if lost > len(hits) else []))


class Forked(SubAgent):
    """What a sub-agent forks is killed before it executes anything: that attempt was none of the payload's."""

    name = "forked"
    points = 40
    options = ("--program", "reeve-subagent", "--through", "reeve-subagent", "--forked")

    def go(self, lane):
        lane.task(codes=("1", "0"), restart="on-failure:20")


class ServerKilled(Scenario):
    """The server is killed, and started again on what it had written."""

    name = "server"
    points = 100
    then = 2

    def set_up(self, lane):
        lane.own = Server(lane.folder / "server").start()
        ports = [lane.own.endpoint[name].rpartition(":")[2] for name in ("api", "web", "files")]
        lane.own.args = ("--api-port", ports[0], "--web-port", ports[1], "--files-port", ports[2])
        lane.move(lane.own)
        super().set_up(lane)

    def attach(self, lane, *options):
        found = Injector(lane.report, lane.own.process.pid, "--thread", "all", *EFFECTS, *options)
        return found.done, found.let_go

    def begin(self, lane):
        lane.make_task(codes=("1", "0"), restart="on-failure:3")
        lane.make_task()

    def go(self, lane):
        for task in lane.tasks:
            try:
                task.enqueue()
            except (OSError, http.client.HTTPException):
                pass  # killed: see below

    def revive(self, lane):
        code = lane.own.process.wait()
        assert code == -signal.SIGKILL, f"the server ended with {code}"
        lane.own.start()
        for task in lane.tasks:
            if task.document()["status"] == "created":
                task.enqueue()

    def tear_down(self, lane):
        left = super().tear_down(lane)
        code = lane.own.stop()
        return left + ([f"the server's exit code: {code}"] if code else [])


SCENARIOS = {scenario.name: scenario for scenario in (
    Scenario, Plain, Threads, Log, Stop, Beside, Together, SubAgent, Forked, ServerKilled)}


class Suite:
    """A scenario's points, shared among lanes."""

    def __init__(self, folder, server, scenario, long):
        self.folder, self.server, self.scenario, self.long = folder, server, scenario, long
        self.lock = threading.Lock()
        self.failures, self.hits, self.names, self.missed = [], 0, 0, []
        self.calls = collections.Counter()

    def lane(self):
        with self.lock:
            self.names += 1
            name = f"{self.scenario.name}-{self.names}"
        lane = Lane(self.folder, self.server, name)
        self.scenario.set_up(lane)
        return lane

    def fail(self, point, words):
        numbers = ",".join(map(str, point))
        with self.lock:
            self.failures.append(
                f"REEVE_FAULT_POINT={self.scenario.name}:{numbers} python -m pytest tests/faults/test_kill.py: {words}")

    def one(self, lane, point):
        hits = []
        try:
            wrong = self.scenario.run(lane, point, hits)
        except Exception as error:  # whatever it is, it belongs to this point
            wrong = [f"{type(error).__name__}: {error}", *lane.describe(),
                     "\n" + lane.master.log.read_text()[-4000:]]
        with self.lock:
            self.hits += len(hits)
            self.calls.update(hit[3] for hit in hits)
            if not hits:
                self.missed.append(",".join(map(str, point)))
        if not wrong:
            return lane
        self.fail(point, f"killed at {[' '.join(hit) for hit in hits]}: " + "; ".join(wrong))
        lane.abandon()
        return self.lane()

    def work(self, todo):
        lane = self.lane()
        while todo and len(self.failures) < FAILURES_MAX:
            with self.lock:
                point = todo.pop(0) if todo else None
            if point:
                lane = self.one(lane, point)
        left = self.scenario.tear_down(lane)
        if left:
            self.fail([], f"left over: {left}")

    def guard(self, todo):
        try:
            self.work(todo)
        except Exception as error:
            self.fail([], f"{type(error).__name__}: {error}")

    def points(self):
        chosen = os.environ.get("REEVE_FAULT_POINT")
        if chosen:
            name, _, numbers = chosen.partition(":")
            return [[int(n) for n in numbers.split(",")]] if name == self.scenario.name else []
        lane = self.lane()
        calls = self.scenario.count(lane)
        assert not self.scenario.tear_down(lane)
        return self.scenario.make_points(calls, self.long)

    def run(self):
        todo = self.points()
        tried = len(todo)
        assert todo, "no point"
        threads = [threading.Thread(target=self.guard, args=(todo,)) for _ in range(min(self.scenario.lanes, len(todo)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A point that fails before its kill is among the failures as well.
        if len(self.missed) > max(1, self.scenario.unreached * tried):
            self.failures.append(f"of {tried} points {len(self.missed)} were not reached: {self.missed[:20]}")
