"""Each call of a master to its server meets each fault once: refused, lost before or after the server carried it out,
cut, or answered by nonsense. A point is `ENDPOINT FAULT K`: the Kth call of that endpoint; in CI a spread of them, all with
--long. One alone: REEVE_FAULT_POINT='ENDPOINT FAULT K' pytest tests/faults/test_network.py -k each_call."""

import json
import os
import re

import pytest

from broken import make_world  # noqa: F401
from injector import spread
from faulty_api import page, refusal

# How a task ends, and what else happens, so that a call is made: an attempt that fails and one more, an end at once, or
# a stop; "start": the master starts anew.
KINDS = {"tasks.completed": "done", "tasks.stopped": "stop", "auth.login": "start", "queues.get_all": "start",
         "projects.get_by_id": "start"}
ENDPOINTS = ["auth.login", "queues.get_all", "queues.peek_task", "queues.get_next_task", "tasks.dequeue", "tasks.started",
             "tasks.get_by_id", "events.add_batch", "tasks.failed", "tasks.completed", "tasks.stopped", "tasks.edit",
             "tasks.get_all", "projects.get_by_id", "workers.register", "workers.status_report", "workers.unregister"]
# Those that a claim in one step takes the place of; what else is never reached there fails.
STEPS = {"tasks.dequeue", "tasks.started", "tasks.get_by_id"}
UNREACHED = 0.2  # of all points at most: how often a call is made again varies


def response(body, length=None, kind="application/json"):
    """An answer as bytes; length: what its head claims."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def whole(answer):
    return json.dumps(answer[1]).encode()


def with_data(answer, data):
    return response(json.dumps({**answer[1], "data": data}).encode())


def renumbered(answer):
    """All numbers of the data so large that no type holds them."""
    data = json.dumps(answer[1]["data"])
    return response(whole((200, {**answer[1], "data": "DATA"})).replace(
        b'"DATA"', re.sub(r"(?<=: )\d+", "9" * 400, data).encode()))


def other_ids(answer):
    """As a proxy answers that mixes up two clients. Of a pop it would be a task that is lost for all."""
    return response(re.sub(rb'"id": "[0-9a-f]{31}', lambda found: found[0][:-31] + found[0][-31:][::-1], whole(answer)))


# Not carried out.
BEFORE = {
    "500": lambda: refusal(500), "429": lambda: refusal(429), "token": lambda: refusal(401, 30, "Invalid token"),
    "403": lambda: refusal(403, 20), "503": lambda: page(503, "down"), "dropped": lambda: "drop",
    "reset": lambda: ("reset", b""), "another JSON": lambda: response(b'{"ok": true}'), "sign in": lambda: page(200, "Sign in"),
}
# Carried out, and the answer is not what the server said.
AFTER = {
    "lost": lambda answer: "drop",
    "reset in its body": lambda answer: ("reset", response(whole(answer))[:-20]),
    "dribbling": lambda answer: ("dribble", response(whole(answer))),
    "cut": lambda answer: response(whole(answer)[:-20], len(whole(answer))),
    "short JSON": lambda answer: response(whole(answer)[:-20]),
    "a page": lambda answer: page(200, "Sign in"),
    "504": lambda answer: page(504, "Gateway Time-out"),
    "null data": lambda answer: with_data(answer, None),
    "a list": lambda answer: with_data(answer, [1, {"task": 2}]),
    "huge numbers": renumbered,
    "other ids": other_ids,
    "a text": lambda answer: with_data(answer, "x" * 100000),
}
FAULTS = [*BEFORE, *AFTER]


class Fault:
    """The Kth call of an endpoint gets it; the answers of all others are the server's."""

    def __init__(self, proxy, endpoint, name, k):
        self.endpoint, self.name, self.k, self.hit = endpoint, name, k, False
        self.seen = 0
        proxy.before, proxy.after = self.before, self.after

    def due(self, called, count):
        self.seen += count and called == self.endpoint
        due = called == self.endpoint and self.seen == self.k and not self.hit
        self.hit = self.hit or due
        return due

    def before(self, called, body):
        return BEFORE[self.name]() if self.name in BEFORE and self.due(called, 1) else None

    def after(self, called, body, answer):
        if self.name in AFTER and answer[0] == 200 and self.due(called, 1):
            return AFTER[self.name](answer)
        return None


def make_job(world, kind):
    """A run that makes the calls of its kind; what its payloads will have marked."""
    if kind == "stop":
        job = world.job(lines=5, stopped=True, project=world.project)
        job.wait_begun()
        world.server.call("tasks.stop", {"task": job.task})
        return job, 1
    if kind == "start":
        world.master.kill()
        world.master.start()
    done = kind == "done"
    return world.job(lines=5, code=0 if done else 1, arguments="" if done else "--restart on-failure:1", ready=True,
                     project=world.project), 2 if done else 4


def run_job(world, kind):
    job, marks = make_job(world, kind)
    job.check()
    assert len(job.marks()) == marks, job.marks()
    world.check_nothing_left()


def try_point(world, endpoint, fault, k):
    injected = Fault(world.proxy, endpoint, fault, k)
    world.finals.again = fault in AFTER
    try:
        run_job(world, KINDS.get(endpoint, "retry"))
    except AssertionError as failed:
        raise AssertionError(f"REEVE_FAULT_POINT='{endpoint} {fault} {k}': {failed}\n{world.log()[-3000:]}") from None
    finally:
        world.proxy.resume()
        world.proxy.after = lambda name, body, answer: None
    return injected.hit


def count_calls(world):
    """How often each endpoint is called in a run of its kind."""
    found = {}
    for kind in ["retry", *sorted(set(KINDS.values()))]:
        world.proxy.seen.clear()
        run_job(world, kind)
        found.update({name: count for name, count in world.proxy.seen.items() if KINDS.get(name, "retry") == kind})
    return found


@pytest.mark.parametrize("server,stepwise", [((), False), ((), True), (("--no-extensions",), True)],
                         ids=["reeve-server", "in steps", "plain server"])
def test_each_call_meets_each_fault(make_world, server, stepwise, request, tally):
    world = make_world(*server)
    world.proxy.stepwise = stepwise
    world.project = world.server.call("projects.create", {"name": "faults", "description": ""})["id"]
    world.master.start()
    alone = re.fullmatch(r"(\S+) (.*) (\d+)", os.environ.get("REEVE_FAULT_POINT", ""))
    if alone:
        assert try_point(world, alone[1], alone[2], int(alone[3])), "the call was not made"
        return
    calls = count_calls(world)
    missing = set(ENDPOINTS) - set(calls)
    assert missing <= (set() if stepwise else STEPS), f"never called: {missing}"
    points = [(endpoint, fault, k) for endpoint in ENDPOINTS for fault in FAULTS
              for k in range(1, min(2, calls.get(endpoint, 0)) + 1)]
    if not request.config.getoption("--long"):
        points = spread(points, 8, request.node.name)
    missed = [point for point in points if not try_point(world, *point)]
    tally(len(points) - len(missed), 0)
    print("not reached:", missed)
    assert len(missed) <= max(2, UNREACHED * len(points)), missed
