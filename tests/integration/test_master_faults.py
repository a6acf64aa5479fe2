"""reeved over failing calls and kill -9 between any two steps: each task once, each line once."""

import json
import os
import pathlib
import shutil
import signal
import threading

import pytest

import joined
from reeve_up import OUT, PLAIN, SLOW, alive, wait_until
from faulty_api import refusal


def failing(name, times, answer):
    left = [times]

    def before(called, body):
        if called == name and left[0] > 0:
            left[0] -= 1
            return answer
        return None
    return before


# ---- calls that fail


# The fault suite loses each of them, and kills masters at the calls around them.
CLAIM_STEPS = ["queues.get_next_task", "tasks.dequeue", "tasks.started", "tasks.get_by_id"]


def in_one_step(rig, name):
    """Of "claim" the call that does it whole, by the extension."""
    if name != "claim":
        return name
    if PLAIN or joined.CONF:
        pytest.skip("needs an extension")
    rig.proxy.stepwise = False
    return "queues.get_next_task"


@pytest.mark.parametrize("answer", [
    pytest.param(refusal(500), id="500"), pytest.param("drop", id="dropped"),
    pytest.param(refusal(429), id="429", marks=pytest.mark.long),
    pytest.param(refusal(403, 20), id="403", marks=pytest.mark.long)])
def test_final_status_is_sent_until_it_is_there(rig, answer):
    rig.proxy.before = failing("tasks.completed", 3, answer)
    rig.master.start()
    task = rig.enqueue("echo done")
    rig.wait(task)
    assert rig.proxy.seen["tasks.completed"] >= 4
    assert rig.document(task)["status_reason"] == "exit:0"


@pytest.mark.parametrize("name", ["claim", *(pytest.param(name, marks=pytest.mark.long) for name in CLAIM_STEPS),
                                  "projects.get_by_id"])
@pytest.mark.parametrize("answer", [refusal(500), "drop"], ids=["500", "dropped"])
def test_claim_over_failures(rig, name, answer):
    """Each failure but a refusal leaves open whether the call was carried out. claim: with the pop."""
    name = in_one_step(rig, name)
    rig.proxy.before = failing(name, 2, answer)
    rig.master.start()
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}")
    rig.wait(task)
    assert marks.read_text() == "ran\n"


def test_refused_pops_are_not_asked_for_in_a_loop(rig):
    rig.proxy.before = failing("queues.get_next_task", 10 ** 6, refusal(403, 20))
    rig.master.start()
    task = rig.enqueue("true")
    wait_until(lambda: rig.proxy.seen["queues.get_next_task"] >= 5, what="some pops")
    assert rig.status(task) == "queued"
    begin = rig.proxy.seen["queues.get_next_task"]
    threading.Event().wait(1.0)
    assert rig.proxy.seen["queues.get_next_task"] - begin <= 8, "five in a second are due"
    rig.proxy.before = lambda name, body: None
    rig.wait(task)


def test_a_missing_queue_does_not_hold_up_others(rig):
    other = rig.server.queue("other")
    rig.master.start("--queue", "not there yet", "--queue", "services", "--queue", "other")
    first = rig.enqueue("true", queue=other)
    rig.wait(first)
    rig.server.call("queues.delete", {"queue": rig.queue, "force": True})
    second = rig.enqueue("true", queue=other)
    rig.wait(second)
    rig.queue = rig.server.queue("not there yet")
    third = rig.enqueue("true")
    rig.wait(third)
    rig.queue = rig.server.queue("services")
    fourth = rig.enqueue("true")
    rig.wait(fourth)


# ---- lines


def test_limit_on_calls_loses_no_line(rig):
    rig.proxy.before = failing("events.add_batch", 3, refusal(429))
    rig.master.start()
    task = rig.enqueue("for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; done")
    rig.wait(task)
    assert rig.numbers(task) == list(range(10))
    assert not (rig.master.state / "refused").exists()


def test_one_bad_event_is_set_aside(rig):
    rig.proxy.before = lambda name, body: (
        refusal(400, 12) if name == "events.add_batch" and b"POISON" in body else None)
    rig.master.start()
    bad = rig.enqueue("echo line 0; sleep 1.5; echo POI$()SON; sleep 1.5; echo line 1")
    good = [rig.enqueue("echo line 7; sleep 2; echo line 8") for _ in range(5)]
    for task in [bad, *good]:
        rig.wait(task)
    assert rig.numbers(bad) == [0, 1]
    assert "POISON" not in rig.text(bad)
    for task in good:
        assert rig.numbers(task) == [7, 8]
    kept = (rig.master.state / "refused" / bad).read_text()
    assert "POISON" in kept


class Picky:
    """Takes a part of each batch and says so, as ClearML's server does where its index fails for single events.
    takes(line): whether it takes that one."""

    def __init__(self, rig, takes, why):
        self.parts, self.none = 0, 0
        forward = rig.proxy.forward

        def add(path, headers, body):
            if not path.endswith("events.add_batch"):
                return forward(path, headers, body)
            lines = body.splitlines()
            taken = [line for line in lines if takes(line)]
            left = len(lines) - len(taken)
            if not taken:
                self.none += 1
                return refusal(400, 131, f"Events not added: {why}={left}")
            answer = forward(path, headers, b"\n".join(taken))
            if left and answer[0] == 200:
                self.parts += 1
                answer[1]["data"].update(errors=left, errors_info={why: left})
            return answer
        rig.proxy.forward = add


def print_together(rig, words):
    """Tasks whose lines come in one batch: all that they print is held up by one that is under way."""
    rig.proxy.before = lambda name, body: "drop" if name == "events.add_batch" else None
    rig.master.start()
    first = rig.enqueue("echo line 100")
    wait_until(lambda: rig.proxy.seen["events.add_batch"], what="a batch")
    tasks = [rig.enqueue(f"echo line 0; echo {word}; sleep 1.2; echo line 1") for word in words]
    for task in tasks:
        rig.master.wait_phase(task, "draining")
    rig.proxy.resume()
    return [first, *tasks]


@pytest.mark.parametrize("why", ["Error when indexing events batch", "Made up by the test"])
def test_events_that_a_server_leaves_out(make_rig, why):
    """Of a batch that is taken in part nothing is lost or comes twice; what is refused is there to be read."""
    rig = make_rig(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "100ms"})
    failures = [1 if why.startswith("Made") else 3]

    def takes(line):
        if b"POISON" in line and why.startswith("Made"):
            return False
        if b"LATER" not in line or not failures[0]:
            return True
        failures[0] -= 1
        return False
    picky = Picky(rig, takes, why)
    tasks = print_together(rig, ["good", "LATER", "good", "POI$()SON", "good"])
    for task in tasks:
        rig.wait(task)
    bad = tasks[4] if why.startswith("Made") else None
    for task in tasks[1:]:
        assert rig.numbers(task) == ([1] if task == bad else [0, 1]), rig.text(task)
    kept = rig.master.state / "refused"
    assert picky.parts >= 1 and not failures[0]
    assert [path.name for path in kept.glob("*")] == ([bad] if bad else [])
    assert not bad or "POISON" in (kept / bad).read_text()


def test_refused_task_ends_all_the_same(rig):
    """The server takes no events for it any more; the status is told nevertheless."""
    def before(name, body):
        if name == "events.add_batch" and task[0] and task[0].encode() in body:
            return refusal(400, 131, f"Events not added: Invalid task id {task[0]}=1")
        return None
    task = [None]
    rig.proxy.before = before
    rig.master.start()
    task[0] = rig.enqueue("for i in 1 2 3; do echo line $i; sleep 0.3; done")
    rig.wait(task[0])


@pytest.mark.parametrize("server,when", [
    pytest.param([], "before", id="before-reeve-server"),
    pytest.param(["--no-extensions"], "after", id="after-plain server"),
    pytest.param([], "after", id="after-reeve-server", marks=pytest.mark.long),
    pytest.param(["--no-extensions"], "before", id="before-plain server", marks=pytest.mark.long)])
def test_lines_once_over_kills_of_the_master(make_rig, server, when):
    """kill -9 with a batch under way, before and after the server has carried it out."""
    rig = make_rig(*server)
    kills = [6]
    count = [0]

    def kill(name, body, answer=None):
        if name != "events.add_batch":
            return None
        count[0] += 1
        if kills[0] > 0 and count[0] % 3 == 0:
            kills[0] -= 1
            rig.master.kill()
            return "drop"
        return None
    setattr(rig.proxy, when, kill)
    rig.master.start()
    tasks = [rig.enqueue("i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); "
                         "[ $((i % 10)) = 0 ] && sleep 0.2; done") for _ in range(3)]
    wait_until(lambda: rig.keep_alive() or all(rig.status(t) == "completed" for t in tasks), 90,
               what="the end of the tasks")
    assert kills[0] == 0
    for task in tasks:
        assert rig.numbers(task) == list(range(300))
        stamps = [e["timestamp"] for e in rig.events(task)]
        assert all(a < b for a, b in zip(stamps, stamps[1:])), "time stamps strictly increase"


# ---- kill -9 of the master


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["claim", *(pytest.param(name, marks=pytest.mark.long) for name in CLAIM_STEPS),
                                  "tasks.completed"])
def test_kill_at_each_call(rig, name, when):
    """A master that dies before or after a call was carried out: the task runs once."""
    name = in_one_step(rig, name)
    killed = []

    def kill(called, body, answer=None):
        if called == name and not killed:
            killed.append(called)
            rig.master.kill()
            return "drop"
        return None
    setattr(rig.proxy, when, kill)
    rig.master.start()
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}; echo line 1")
    wait_until(lambda: killed, what="the kill")
    wait_until(lambda: rig.master.process.poll() is not None, what="its end")
    rig.master.start()
    rig.wait(task)
    assert marks.read_text() == "ran\n"
    assert rig.numbers(task) == [1]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def change_state(rig, task, **changes):
    path = rig.master.state / "runs" / task / "state"
    text = path.read_text().splitlines()[0]
    assert path.read_text().splitlines()[1] == f"crc {crc32c(text.encode()):08x}"
    state = json.loads(text) | changes
    text = json.dumps(state)
    path.write_text(f"{text}\ncrc {crc32c(text.encode()):08x}\n")


def killed_while_running(rig, script="echo line 1; sleep 300"):
    rig.master.start()
    task = rig.enqueue(script)
    row = rig.master.wait_phase(task, "running")
    wait_until(lambda: rig.numbers(task) == [1], what="its first line")
    rig.master.kill()
    return task, row


def until(path):
    return f"until [ -e {path} ]; do sleep 0.1; done"


def test_sub_agent_that_was_not_recorded(rig):
    """The master died right after the spawn: another one goes on with the task, which runs once."""
    go = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; {until(go)}; echo line 2; exit 3")
    old = rig.master.sub_agents()
    change_state(rig, task, agent_pid=0, agent_start=0)
    rig.master.start()
    new = wait_until(lambda: [p for p in rig.master.sub_agents() if p not in old], what="another one")
    assert alive(row["pid"]) and len(new) == 1
    wait_until(lambda: not any(alive(p) for p in old), what="the end of the first")
    go.write_text("")
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "exit:3"
    assert rig.numbers(task) == [1, 2]


def test_next_attempt_without_its_group(rig):
    """The master died when the next attempt was recorded, before its group was made; the sub-agent lives."""
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN"] = "60s"
    rig.master.start()
    go = rig.folder / "go"
    task = rig.enqueue(f"test -e {go}", "--restart on-failure:1")
    rig.master.wait_phase(task, "backoff")
    rig.master.kill()
    go.write_text("")
    change_state(rig, task, phase="starting", attempt=2, have_exit=False, have_verdict=False, start_sent=False,
                 start_lost=False, payload_pid=0)
    rig.master.start()
    rig.wait(task)
    assert "starts in" in rig.text(task) and "setup:" not in rig.text(task)


@pytest.mark.parametrize("harm", [b"", b"\0" * 100, b"{}\ncrc 00000000\n", b"x" * 70000],
                         ids=["empty", "zeros", "checksum", "large"])
def test_damaged_state_goes_on(rig, harm):
    """A new sub-agent knows what runs."""
    go = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; {until(go)}; echo line 2; exit 3")
    (rig.master.state / "runs" / task / "state").write_bytes(harm)
    rig.master.start()
    assert rig.master.wait_phase(task, "running")["pid"] in (row["pid"], None)
    assert list((rig.master.state / "damaged").iterdir())
    go.write_text("")
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "exit:3"
    assert rig.numbers(task) == [1, 2]
    # For a person: what was found, whatever was written since.
    assert [path.read_bytes() for path in (rig.master.state / "damaged").iterdir()] == [harm]


def test_damaged_state_of_another_boot(rig):
    """No group of it is there any more."""
    task, row = killed_while_running(rig, "echo line 1; exec sleep 300")
    for pid in [*rig.master.sub_agents(), row["pid"]]:
        os.kill(pid, signal.SIGKILL)
    for top in rig.master.groups():
        for folder, _, _ in os.walk(f"{top}/run/{task}", topdown=False):
            wait_until(lambda: rmdir(folder), what=f"the end of {folder}")
    (rig.master.state / "runs" / task / "state").write_bytes(b"")
    rig.master.start()
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "host-reboot"


def rmdir(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True


def test_damaged_state_without_a_record_ends_truthfully(rig):
    """Nothing says what runs: it is ended, and how it would have ended is not guessed."""
    task, row = killed_while_running(rig)
    (rig.master.state / "runs" / task / "state").write_bytes(b"")
    (rig.master.folder / "run" / "runs" / task / "attempt").write_bytes(b"")
    rig.master.start()
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "agent-lost"
    assert not alive(row["pid"])
    assert rig.numbers(task) == [1]


def test_damaged_state_of_an_attempt_that_ended(rig):
    """The exit is in the spool: no need to guess."""
    stop = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; until [ -e {stop} ]; do sleep 0.1; done; "
                                          "exit 3")
    spool = rig.master.state / "runs" / task
    before = sum(p.stat().st_size for p in spool.glob("log.*"))
    stop.write_text("")
    wait_until(lambda: sum(p.stat().st_size for p in spool.glob("log.*")) > before,
               what="the exit record")
    (spool / "state").write_bytes(b"")
    rig.master.start()
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "exit:3"


def test_damaged_spec_goes_on(rig):
    """What runs needs no spec; other runs are not touched."""
    stop = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; until [ -e {stop} ]; do sleep 0.1; done; "
                                          "echo line 2")
    (rig.master.state / "runs" / task / "spec.json").write_bytes(b"[1, {")
    rig.master.start()
    other = rig.enqueue("echo line 5")
    rig.wait(other)
    assert rig.master.row(task)["pid"] == row["pid"]
    stop.write_text("")
    rig.wait(task)
    assert rig.numbers(task) == [1, 2]


def test_damaged_spec_has_no_other_attempt(rig):
    """Whatever the policy says, of which `limits` has a copy: it could not begin, again and again."""
    go = rig.folder / "go"
    rig.master.start()
    task = rig.enqueue(f"echo line 1; {until(go)}; exit 3", "--restart always")
    wait_until(lambda: rig.numbers(task) == [1], what="its first line")
    rig.master.kill()
    (rig.master.state / "runs" / task / "spec.json").write_bytes(b"[1, {")
    rig.master.start()
    rig.master.wait_phase(task, "running")
    assert "spec.json cannot be read" in rig.master.control(cmd="restart", task=task)["error"]
    go.touch()
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "exit:3"
    assert "attempt 2" not in rig.text(task)


def test_host_restart_fails_what_ran(rig):
    task, row = killed_while_running(rig)
    for pid in rig.master.sub_agents():
        os.kill(pid, signal.SIGKILL)
    os.kill(row["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(row["pid"]), what="its end")
    change_state(rig, task, boot="another boot")
    rig.master.start()
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "host-reboot"


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_abort_between_claim_and_launch(make_rig, status):
    """The master died after the claim; until the next one the task was ended: it is not begun."""
    rig = make_rig(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__WATCH": "10m"})
    marks = rig.folder / "marks"
    task, row = killed_while_running(rig, f"echo x >> {marks}; echo line 1; exec sleep 300")
    for pid in [*rig.master.sub_agents(), row["pid"]]:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(row["pid"]), what="its end")
    shutil.rmtree(rig.folder / "run" / "runs" / task)
    for path in (rig.master.state / "runs" / task).iterdir():
        if path.name != "spec.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    rig.server.call(f"tasks.{status}", {"task": task, "force": True, "status_reason": "by me"})
    # Its answer comes late: nothing is begun meanwhile.
    rig.proxy.before = failing("tasks.get_all", 2, refusal(500))
    rig.master.start()
    wait_until(lambda: rig.master.row(task) is None, what="the end of the run")
    assert (rig.status(task), rig.document(task)["status_reason"]) == (status, "by me")
    assert marks.read_text() == "x\n"


def test_unsure_task_behind_others_in_any_of_many_queues(rig):
    """A pop without an answer, and its task waits in a queue: it is not taken out of its turn."""
    for number in range(120):
        last = rig.server.queue(f"queue {number:03}")
    first, task = (rig.enqueue("true", queue=last) for _ in range(2))
    intents = rig.master.state / "intents"
    intents.mkdir(parents=True)
    (intents / task).write_text(json.dumps({"task": task, "queue": last, "queue_name": "x", "intent": "0" * 32,
                                            "ms": 0}))
    rig.master.start()
    wait_until(lambda: rig.proxy.seen["queues.get_next_task"] >= 4, what="pops of the task")
    assert (rig.status(first), rig.status(task)) == ("queued", "queued")
    rig.server.call("tasks.dequeue", {"task": first})
    rig.wait(task)


def test_an_unsure_claim_holds_no_slot_while_its_task_is_queued(rig):
    """One slot, a pop without an answer, and another task came before the one that was meant."""
    marks, go = rig.folder / "ran", rig.folder / "go"
    first, others = [], []

    def before(name, body):
        if name != "queues.get_next_task" or others:
            return None
        others.append(rig.enqueue(f"echo other >> {marks}; {until(go)}; echo over >> {marks}"))
        rig.server.call("queues.move_task_to_front", {"queue": rig.queue, "task": others[0]})
        first.append(json.loads(body)["task"])
        return "drop"
    rig.proxy.before = before
    rig.master.start("--queue", "services", "--services-mode", "1")
    task = rig.enqueue(f"echo meant >> {marks}")
    wait_until(lambda: marks.exists(), what="the other's start")
    assert first == [task]
    # What it waits for is the slot that the other has: neither is it taken now.
    looks = rig.proxy.seen["queues.get_all"]
    wait_until(lambda: rig.proxy.seen["queues.get_all"] >= looks + 2, what="looks for it")
    assert rig.status(task) == "queued" and list((rig.master.state / "intents").iterdir())
    go.touch()
    for each in others[0], task:
        rig.wait(each)
    assert marks.read_text().split() == ["other", "over", "meant"]
    assert not list((rig.master.state / "intents").iterdir())


def test_an_abort_before_the_start_is_not_undone(rig):
    """tasks.started revives what was stopped: it is not sent again without a look."""
    def before(name, body):
        if name == "tasks.started" and rig.proxy.seen[name] == 1:
            rig.server.call("tasks.stopped", {"task": json.loads(body)["task"], "force": True,
                                              "status_reason": "by me"})
            return "drop"
        return None
    rig.proxy.before = before
    rig.master.start()
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}")
    wait_until(lambda: rig.proxy.seen["tasks.started"], what="the claim")
    rig.wait(rig.enqueue("true"))
    wait_until(lambda: not list((rig.master.state / "intents").iterdir()), what="the end of the claim")
    assert (rig.status(task), rig.document(task)["status_reason"]) == ("stopped", "by me")
    assert not marks.exists()


def test_a_pop_that_always_fails_keeps_no_other_waiting(make_rig):
    """One slot, two queues: the server fails at one task's pop, of the first."""
    rig = make_rig(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "50ms"})
    other = rig.server.queue("other")
    marks, bad = rig.folder / "ran", [b"none yet"]
    rig.proxy.before = lambda name, body: (
        refusal(500) if name == "queues.get_next_task" and bad[0] in body else None)
    rig.master.start("--queue", "services", "--queue", "other", "--services-mode", "1")
    held = rig.server.task(script={"binary": "sh", "entry_point": f"-c 'echo ran >> {marks}'"})
    bad[0] = held.encode()
    rig.server.call("tasks.enqueue", {"task": held, "queue": rig.queue})
    wait_until(lambda: rig.proxy.seen["queues.get_next_task"] >= 2, what="pops that fail")
    for _ in range(2):
        rig.wait(rig.enqueue("true", queue=other))
    assert rig.status(held) == "queued"
    rig.proxy.resume()
    rig.wait(held)
    assert marks.read_text() == "ran\n"


SETTLE_SOON = {"CLEARML_AGENT__AGENT__REEVE__WAITS__SETTLE": "300ms",
               "CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "50ms"}


def intent_of(rig, task, text=None):
    """A master that died after its pop of the task, which was carried out."""
    intents = rig.master.state / "intents"
    intents.mkdir(parents=True, exist_ok=True)
    (intents / task).write_text(text if text is not None else json.dumps(
        {"task": task, "queue": rig.queue, "queue_name": "services", "intent": "0" * 32, "ms": 0}))
    rig.server.call("queues.get_next_task", {"queue": rig.queue, "task": task})
    return intents / task


@pytest.mark.parametrize("text", [None, "", "{"], ids=["sound", "empty", "damaged"])
def test_pop_without_a_claim_is_settled(make_rig, text):
    rig = make_rig(env=SETTLE_SOON)
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}")
    intent = intent_of(rig, task, text)
    # The list of tasks leaves it out at first: that settles nothing.
    rig.proxy.after = lambda name, body, answer: (
        (200, {**answer[1], "data": {"tasks": []}})
        if name == "tasks.get_all" and rig.proxy.seen[name] <= 2 else None)
    rig.master.start()
    rig.wait(task)
    assert marks.read_text() == "ran\n" and not intent.exists()


def test_pop_of_a_task_whose_earlier_run_goes_on(make_rig):
    """It was enqueued again meanwhile, and popped by a master that died then: one run follows the other."""
    rig = make_rig(env=SETTLE_SOON)
    marks = rig.folder / "ran"
    task, row = killed_while_running(rig, f"echo ran >> {marks}; echo line 1; [ -e {rig.folder}/go ] || sleep 300")
    (rig.folder / "go").touch()
    rig.server.call("tasks.stopped", {"task": task, "force": True})
    rig.server.call("tasks.enqueue", {"task": task, "queue": rig.queue})
    intent = intent_of(rig, task)
    rig.master.start()
    wait_until(lambda: marks.read_text() == "ran\nran\n", what="its second run")
    rig.wait(task)
    assert not alive(row["pid"]) and not intent.exists()


def test_one_look_for_queues_at_a_time(make_rig):
    """A look into a queue that fails while another queue is looked for by its name."""
    rig = make_rig(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__POLL": "100ms"})
    under_way, most = [], [0]

    def before(name, body):
        if name == "queues.peek_task" and b'"wait"' in body:
            threading.Event().wait(0.2)
            return refusal(500)
        if name == "queues.get_all" and b'"name":' in body:
            under_way.append(name)
            most[0] = max(most[0], len(under_way))
            threading.Event().wait(0.4)
            under_way.pop()
        return None
    rig.proxy.before = before
    rig.master.start("--queue", "services", "--queue", "not there yet")
    wait_until(lambda: rig.proxy.seen["queues.get_all"] >= 6, what="looks for the queue")
    assert most[0] == 1
    rig.wait(rig.enqueue("true"))


@pytest.mark.parametrize("live", [True, False], ids=["alive", "ended"])
def test_claimed_by_another_since(rig, live):
    """The master was away for so long that the task is at work elsewhere: its status is theirs."""
    go = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; until [ -e {go} ]; do sleep 0.1; done")
    if not live:
        go.write_text("")
        wait_until(lambda: not alive(row["pid"]), what="the payload's end")
    rig.server.call("tasks.failed", {"task": task, "force": True, "status_reason": "watchdog"})
    rig.server.call("tasks.reset", {"task": task, "force": True})
    words = "Changed by clearml-agent elsewhere, pulled by reeve [0123456789abcdef0123456789abcdef]"
    rig.server.call("tasks.started", {"task": task, "status_message": words})
    rig.master.start()
    wait_until(lambda: rig.master.row(task) is None, what="the end of the run here")
    assert not alive(row["pid"])
    assert (rig.status(task), rig.document(task)["status_message"]) == ("in_progress", words)


@pytest.mark.parametrize("at", ["events.add_batch", "tasks.failed", "workers.unregister"])
def test_restarts_are_counted_over_kills(rig, at):
    """on-failure:3 is four attempts, however often the master dies."""
    kills = [3]
    killing = threading.Lock()

    def kill(name, body, answer=None):
        with killing:
            if name == at and kills[0] > 0:
                kills[0] -= 1
                rig.master.kill()
                return "drop"
        return None
    rig.proxy.after = kill
    rig.master.start()
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}; exit 1", "--restart on-failure:3")
    wait_until(lambda: rig.keep_alive() or rig.status(task) == "failed", 60, what="its end")
    # The server has the status a moment before the kill that answers it.
    with killing:
        kills[0] = 0
    rig.keep_alive()
    rig.wait(task, "failed")
    assert marks.read_text() == "ran\n" * 4
    assert rig.document(task)["status_reason"] == "exit:1"


def waits_for_its_second_attempt(rig):
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN"] = "600s"
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MAX"] = "600s"
    rig.master.start()
    task = rig.enqueue("echo line 1; exit 3", "--restart on-failure:2")
    rig.master.wait_phase(task, "backoff")
    wait_until(lambda: "attempt 2 starts in" in rig.text(task), what="its lines")
    rig.master.kill()
    return task


@pytest.mark.parametrize("written", [True, False])
def test_lines_about_the_end_are_written_once(rig, written):
    """The master died after the verdict: before its lines about the end were written, or after."""
    task = waits_for_its_second_attempt(rig)
    # As if it were the end of another attempt, of which the log has nothing.
    attempt = 1 if written else 2
    change_state(rig, task, phase="exited", notes_due=True, attempt=attempt)
    rig.master.start()
    rig.master.wait_phase(task, "backoff")
    wait_until(lambda: rig.text(task).count(f"attempt {attempt + 1} starts in") == attempt % 2 + 1,
               what="its lines")
    assert rig.text(task).count(f"attempt {attempt} ended (exit:3)") == 1
    rig.master.control(cmd="stop", task=task)
    rig.wait(task, "stopped")


def test_wait_goes_on_over_a_jump_of_the_clock(rig):
    """A pending restart has what is left of its time on the clock that nobody sets."""
    task = waits_for_its_second_attempt(rig)
    path = rig.master.state / "runs" / task / "state"
    state = json.loads(path.read_text().splitlines()[0])
    change_state(rig, task, due_ms=0, due_boot_ms=state["due_boot_ms"])
    rig.master.start()
    assert rig.master.wait_phase(task, "backoff")["attempt"] == 1
    rig.master.kill()
    change_state(rig, task, due_boot_ms=1)
    rig.master.start()
    wait_until(lambda: rig.text(task).count("attempt 2 ended") == 1, what="the second attempt")
    wait_until(lambda: (row := rig.master.row(task))["phase"] == "backoff" and row["attempt"] == 2,
               what="its wait for the third")
    rig.master.control(cmd="stop", task=task)
    rig.wait(task, "stopped")


@pytest.mark.parametrize("changes", [{"version": 99, "phase": "claimed"}, {"phase": "levitating"}],
                         ids=["newer", "unknown phase"])
def test_state_of_another_version(rig, changes):
    """Set aside and told; what runs goes on, once."""
    go, marks = rig.folder / "go", rig.folder / "ran"
    task, row = killed_while_running(rig, f"echo ran >> {marks}; echo line 1; {until(go)}; echo line 2")
    change_state(rig, task, **changes)
    rig.master.start()
    assert list((rig.master.state / "damaged").iterdir())
    wait_until(lambda: rig.master.row(task)["pid"] == row["pid"], what="its process")
    go.write_text("")
    rig.wait(task)
    assert rig.numbers(task) == [1, 2] and marks.read_text() == "ran\n"


def test_state_of_an_older_version(rig):
    """Without what was added since: as far as it says, nothing is forgotten."""
    go = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; {until(go)}; echo line 2; exit 3")
    path = rig.master.state / "runs" / task / "state"
    state = json.loads(path.read_text().splitlines()[0])
    older = ("version", "phase", "attempt", "restarts", "failures", "claimed_ms", "claim", "started_ms",
             "started_boot_ms", "due_ms", "boot", "agent_pid", "agent_start", "payload_pid",
             "payload_start", "stop", "stop_text", "stop_grace_ms", "start_sent", "recoveries",
             "last_event_ms", "final_known", "have_exit")
    text = json.dumps({k: state[k] for k in older})
    path.write_text(f"{text}\ncrc {crc32c(text.encode()):08x}\n")
    rig.master.start()
    assert rig.master.row(task)["pid"] == row["pid"]
    go.write_text("")
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "exit:3" and rig.numbers(task) == [1, 2]


# ---- stops


def test_stop_that_met_an_exit(rig):
    """The exit was known and the stop recorded when the master died: the sub-agent tells the exit once more."""
    go = rig.folder / "go"
    task, row = killed_while_running(rig, f"echo line 1; {until(go)}; echo line 2")
    change_state(rig, task, phase="stopping", stop=2, stop_text="reeve stop", have_exit=True,
                 exit={"code": 0, "signal": 0})
    go.write_text("")
    wait_until(lambda: not alive(row["pid"]), what="its end")
    rig.master.start()
    rig.wait(task, "stopped")
    assert rig.numbers(task) == [1, 2]


def test_one_task_interrupted_while_it_is_claimed(rig):
    """The run that the claim becomes is stopped as well, at once."""
    asked, answer = threading.Event(), threading.Event()

    def hold(name, body):
        if name == "projects.get_by_id":
            asked.set()
            answer.wait(30)
    rig.proxy.before = hold
    project = rig.server.call("projects.create", {"name": "of one", "description": ""})["id"]
    task = rig.server.task(project=project, script={"binary": "sh", "entry_point": "-c 'sleep 300'"})
    try:
        rig.master.start("--task", task)
        assert asked.wait(30)
        rig.master.process.send_signal(signal.SIGINT)
        wait_until(lambda: "signal 2" in rig.master.log.read_text(), what="the signal")
        answer.set()
        assert rig.master.process.wait(20 * SLOW) == 128 + signal.SIGINT
    finally:
        answer.set()
        rig.master.kill()
        rig.master.process = None
    assert rig.status(task) == "stopped"


def test_stop_is_told_once_and_keeps_its_grace(rig):
    """Also over a kill -9 of the master in the middle of the grace."""
    rig.master.start()
    task = rig.enqueue('trap "echo TERM; n=1" TERM; echo line 1; n=0; '
                       'while [ $n = 0 ]; do sleep 0.1; done; '
                       'i=0; while [ $i -lt 25 ]; do sleep 0.1; i=$((i+1)); done; echo line 2')
    rig.master.wait_phase(task, "running")
    wait_until(lambda: rig.numbers(task) == [1], what="its first line")
    rig.server.call("tasks.stop", {"task": task})
    rig.master.wait_phase(task, "stopping")
    wait_until(lambda: "TERM" in rig.text(task).splitlines(), what="the signal")
    rig.master.kill()
    rig.master.start()
    rig.wait(task, "stopped")
    assert rig.text(task).splitlines().count("TERM") == 1
    assert rig.numbers(task) == [1, 2]


def test_stop_without_a_restart_is_told_once(rig):
    rig.master.start()
    task = rig.enqueue('trap "echo TERM; n=1" TERM; echo line 1; n=0; '
                       'while [ $n = 0 ]; do sleep 0.1; done; '
                       'i=0; while [ $i -lt 15 ]; do sleep 0.1; i=$((i+1)); done; echo line 2')
    rig.master.wait_phase(task, "running")
    wait_until(lambda: rig.numbers(task) == [1], what="its first line")
    rig.server.call("tasks.stop", {"task": task})
    rig.wait(task, "stopped")
    assert rig.text(task).splitlines().count("TERM") == 1
    assert rig.numbers(task) == [1, 2]


def test_stopped_sub_agent_holds_up_nothing(rig):
    """SIGSTOP to the sub-agent: a stop ends the run all the same."""
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__AGENT"] = "300ms"
    rig.master.start()
    task = rig.enqueue("echo line 1; sleep 300", "--stop-timeout 1")
    row = rig.master.wait_phase(task, "running")
    for pid in rig.master.sub_agents():
        os.kill(pid, signal.SIGSTOP)
    rig.master.control(cmd="stop", task=task)
    rig.wait(task, "stopped")
    assert not alive(row["pid"])


def test_hung_sub_agent_is_replaced_while_the_server_is_away(rig):
    """And as soon as the two looks that it takes are over, however seldom the server is told of anything."""
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__REPORT"] = "60s"
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__ALIVE"] = "50ms"
    go = rig.folder / "go"
    rig.master.start()
    task = rig.enqueue(f"echo line 1; {until(go)}; echo line 2")
    wait_until(lambda: rig.numbers(task) == [1], what="its first line")
    rig.proxy.pause()
    wait_until(lambda: not rig.master.control(cmd="status")["data"]["server"]["reachable"], what="the outage")
    old = rig.master.sub_agents()
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: (new := rig.master.sub_agents()) and not set(new) & set(old), what="another one")
    rig.proxy.resume()
    go.touch()
    rig.wait(task)
    assert rig.numbers(task) == [1, 2]


def test_waits_reach_the_sub_agent(make_rig):
    waits = {"RECONNECT": 61, "UNSEEN": 62, "LINE": 63, "FULL": 64}
    rig = make_rig(env={f"CLEARML_AGENT__AGENT__REEVE__WAITS__{name}": f"{ms}ms" for name, ms in waits.items()})
    rig.master.start()
    task = rig.enqueue("printf part; sleep 300", "--stop-timeout 1")
    wait_until(lambda: "part" in rig.text(task), what="a line without its end")
    agent, = rig.master.sub_agents()
    words = pathlib.Path(f"/proc/{agent}/cmdline").read_bytes().decode().split("\0")
    assert {w: words[words.index(f"--{w.lower()}-ms") + 1] for w in waits} == {w: str(n) for w, n in waits.items()}
    rig.server.call("tasks.stop", {"task": task})
    rig.wait(task, "stopped")


@pytest.mark.parametrize("phase", ["running", "backoff"])
def test_stop_at_shutdown_in_each_phase(rig, phase):
    rig.master.env["CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN"] = "60s"
    rig.master.start()
    task = rig.enqueue("echo line 1; sleep 300" if phase == "running" else "exit 1",
                       "--restart on-failure:5 --stop-timeout 1")
    rig.master.wait_phase(task, phase)
    assert rig.master.stop() == 0
    assert rig.status(task) == "stopped"


def test_shutdown_while_a_claim_is_under_way(rig):
    """The task is ours by then: it is ended, or left for the next master; never launched."""
    reached, go = threading.Event(), threading.Event()

    def before(name, body):
        if name == "tasks.started":
            reached.set()
            go.wait(20)
        return None
    rig.proxy.before = before
    rig.master.start()
    marks = rig.folder / "ran"
    task = rig.enqueue(f"echo ran >> {marks}; sleep 300")
    assert reached.wait(20)
    rig.master.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "ending" in rig.master.log.read_text(), what="the shutdown")
    go.set()
    assert rig.master.process.wait(30) == 0
    assert not marks.exists()
    assert rig.status(task) == "stopped"
    assert rig.master.sub_agents() == []


def test_a_line_waits_for_a_sub_agent_to_connect(rig, tmp_path):
    """What is said of a run before its sub-agent has found the new master is in its log nevertheless."""
    rig.master.start()
    task = rig.enqueue(f"echo line 0; while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; echo line 1")
    wait_until(lambda: rig.numbers(task) == [0], what="its first line")
    agent, = rig.master.sub_agents()
    os.kill(agent, signal.SIGSTOP)
    rig.master.kill()
    rig.master.start()
    changed = rig.master.control(cmd="set", task=task, values={"timeout": "1h"})["data"]["notes"]
    os.kill(agent, signal.SIGCONT)
    wait_until(lambda: changed and all(f"reeve: {note}\n" in rig.text(task) for note in changed),
               what=f"a line about the change: {changed}")
    (tmp_path / "go").touch()
    rig.wait(task)
    assert rig.numbers(task) == [0, 1]
    assert "note not written" not in rig.master.log.read_text()


def test_end_while_many_start(make_rig, tmp_path):
    """The half of those that may start at a time wake the part that looks for more; not one that is gone."""
    go, programs = tmp_path / "go", tmp_path / "programs"
    shutil.copytree(OUT / "libexec/reeve", programs, symlinks=True)
    (programs / "reeve-subagent").unlink()
    (programs / "reeve-subagent").write_text(f'#!/bin/sh\n[ -e {go} ] || exec sleep 300\n'
                                             f'exec {OUT}/libexec/reeve/reeve-subagent "$@"\n')
    (programs / "reeve-subagent").chmod(0o755)
    rig = make_rig(env={"REEVE_LIBEXEC_DIR": str(programs), "CLEARML_AGENT__AGENT__REEVE__WAITS__AGENT": "5s"})
    tasks = [rig.enqueue("true") for _ in range(12)]
    rig.master.start("--queue", "services", "--on-exit", "keep")
    wait_until(lambda: [r["phase"] for r in rig.master.control(cmd="ps")["data"]] == ["starting"] * len(tasks), what="12 starts")
    rig.master.process.send_signal(signal.SIGTERM)
    assert rig.master.process.wait(60 * SLOW) == 0
    go.touch()
    rig.master.start()
    for task in tasks:
        rig.wait(task)
