"""What holds after any fault, and the task by which it can be seen: every task has one final status, the right
one; never were two payloads of one task at work at a time; every line is on the server once and in order; no
process, group, file or socket is left."""

import fnmatch
import json
import os
import pathlib
import threading

from reeve_up import wait_until

FINAL = {"tasks.completed": "completed", "tasks.failed": "failed", "tasks.stopped": "stopped"}
# A lock says whether another payload of the task is at work; a run that lost its master or its sub-agent too.
COUNTING = """exec 9>>{0}/lock; flock -n 9 || echo twice >>{0}/marks; echo begin >>{0}/marks
i=0; while [ $i -lt {1} ]; do echo line $i; i=$((i+1)); {2}; done; echo $i >>{0}/count
while [ ! -e {0}/go ]; do sleep 0.05 9>&-; done; echo line $i; echo end >>{0}/marks; exit {3}"""


class Finals:
    """The final statuses that a server behind faulty_api.Proxy has taken, by task, and how many calls it failed."""

    def __init__(self, proxy):
        self.taken = {}
        self.failed = 0
        self.again = False  # answers get lost, so one that was taken may come again
        forward = proxy.forward

        def watch(path, headers, body):
            answer = forward(path, headers, body)
            self.failed += answer[0] >= 500
            name = path.rpartition("/")[2].partition("?")[0]
            if name in FINAL and answer[0] == 200:
                self.taken.setdefault(json.loads(body)["task"], []).append(FINAL[name])
            return answer

        proxy.forward = watch


class CallLog:
    """The final statuses that a server has taken, from its --call-log: each time that one was told, by task."""

    def __init__(self, path):
        self.path, self.offset = pathlib.Path(path), 0
        self.taken, self.lock = {}, threading.Lock()

    def finals(self, task):
        with self.lock:
            self.read()
            return self.taken.get(task, [])

    def read(self):
        with open(self.path, "rb") as log:
            log.seek(self.offset)
            text = log.read()
        whole = text[:text.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            if b'"tasks.' not in line:
                continue
            call = json.loads(line)
            if call["endpoint"] in FINAL and call["code"] == 200:
                self.taken.setdefault(call["task"], []).append(FINAL[call["endpoint"]])


class Job:
    """A task that prints `line 0` to `line N`, of which the last only when it is let go, and marks its begin and
    its end, and how many lines it has printed. ready: it need not be let go. stopped: its user stops it. may: patterns
    of reasons for which it may fail instead, since the fault leaves no other way."""

    def __init__(self, rig, folder, lines=20, code=0, each=":", arguments="", ready=False, stopped=False, may=(), **fields):
        self.rig, self.lines, self.code, self.may = rig, lines, code, may
        self.own = ("failed" if code else "completed", f"exit:{code}") if not stopped else ("stopped", "aborted")
        self.doubled = False  # lines may come twice: HACKING.md says when
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        if ready:
            self.let_go()
        script = COUNTING.format(self.folder, lines, each, code)
        self.task = rig.enqueue(script, arguments, **fields)

    def wait_begun(self, timeout=60):
        wait_until(lambda: "begin" in self.marks(), timeout, what="a payload")

    def let_go(self):
        (self.folder / "go").touch()
        return self

    def marks(self):
        path = self.folder / "marks"
        return path.read_text().split() if path.exists() else []

    def ended(self, timeout):
        """(status, reason) when the server has a final one."""
        rig = self.rig
        wait_until(lambda: rig.status(self.task) not in ("queued", "in_progress"), timeout,
                   what=f"the end of {self.task}\n{rig.master.log.read_text()[-4000:]}")
        document = rig.document(self.task)
        return document["status"], document["status_reason"]

    def check(self, timeout=90):
        """Waits for the end, and looks at all that must hold for one task."""
        found = self.ended(timeout)
        own = found == self.own
        assert own or found[0] == "failed" and any(fnmatch.fnmatch(found[1], p) for p in self.may), \
            (found, self.rig.text(self.task))
        wait_until(lambda: self.rig.master.row(self.task) is None, what="the end of its run")
        finals = self.rig.finals.taken.get(self.task, [])
        if self.rig.finals.again:
            finals = list(dict.fromkeys(finals))
        assert finals == [found[0]], f"final statuses that the server took: {finals}"
        whole = own and found[0] != "stopped"
        self.check_marks(whole, found[1])
        self.check_lines(whole)

    def check_marks(self, whole, reason):
        marks = self.marks()
        assert "twice" not in marks, marks
        if whole:
            assert marks and marks == ["begin", "end"] * (len(marks) // 2), marks
        elif reason.startswith("setup:"):
            assert not marks, f"{reason}, and its payload: {marks}"

    def printed(self):
        """How many lines all attempts have printed at least."""
        path = self.folder / "count"
        return sum(map(int, path.read_text().split())) if path.exists() else 0

    def check_lines(self, whole):
        """All that were printed, whatever became of the payload."""
        numbers = self.rig.numbers(self.task)
        if self.doubled:
            numbers = list(dict.fromkeys(numbers))
        one = list(range(self.lines + 1))
        expected = one * max(1, self.marks().count("end" if whole else "begin"))
        assert numbers == expected[:len(numbers)] and len(numbers) >= self.printed(), (self.printed(), numbers)
        assert not whole or numbers == expected, numbers
        if self.doubled:
            return
        assert not list(wrong_order(self.rig.events(self.task)))


def wrong_order(events):
    """Of a log's events: what a viewer that sorts by time would show in another order."""
    stamps = [event["timestamp"] for event in events]
    for i, (a, b) in enumerate(zip(stamps, stamps[1:])):
        if a >= b:
            yield f"event {i + 1} has the time {b} after {a}"
            return


def descriptors_of_runs(pid):
    """What a master without runs still has open of them."""
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            name = os.readlink(entry.path)
        except FileNotFoundError:
            continue
        if "pidfd" in name or "memfd:" in name or "/runs/" in name or name.endswith("(deleted)"):
            found.append(name)
    return found


def leftovers(master, task=""):
    """Files of runs that are over, sub-agents and groups that belong to no run; or of one task alone."""
    left = []
    for folder in ("runs", "intents", "trash"):
        for root in (master.state, master.folder / "run"):
            if (root / folder).is_dir():
                left += [str(path) for path in (root / folder).iterdir()]
    left += [f"sub-agent {pid}" for pid in master.sub_agents()]
    for group in master.groups():
        run = pathlib.Path(group) / "run"
        left += [str(path) for path in run.iterdir() if path.is_dir()] if run.is_dir() else []
    return [name for name in left if task in name]


def check_nothing_left(master, timeout=60):
    """With all tasks at their ends. The removal of a run's files is not waited for by its master."""
    try:
        wait_until(lambda: not leftovers(master), timeout)
    except AssertionError:
        raise AssertionError(f"left over: {leftovers(master)}") from None
