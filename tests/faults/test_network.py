"""Each call of a master to its server meets each fault once: refused, lost before or after the server carried it out,
cut, or answered by nonsense. A point is `ENDPOINT FAULT K`: the Kth call of that endpoint; in CI a spread of them, all with
--long. One alone: REEVE_FAULT_POINT='ENDPOINT FAULT K' pytest tests/faults/test_network.py -k each_call."""

import json
import os
import re
import shutil

import pytest

from broken import make_world, world  # noqa: F401
from injector import spread
from faulty_api import page, refusal
from reeve_up import wait_until

ENDPOINTS = ["auth.login", "queues.get_all", "queues.peek_task", "queues.get_next_task", "tasks.dequeue", "tasks.started",
             "tasks.get_by_id", "events.add_batch", "events.get_task_log", "tasks.failed", "tasks.completed",
             "tasks.edit", "tasks.get_all", "tasks.update", "workers.register", "workers.status_report",
             "workers.set_runtime_properties", "workers.unregister"]


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
    "another JSON": lambda: response(b'{"ok": true}'), "sign in": lambda: page(200, "Sign in"),
}
# Carried out, and the answer is not what the server said.
AFTER = {
    "lost": lambda answer: "drop",
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


def try_point(world, endpoint, fault, k):
    """A run with an attempt that fails and one more; or one that completes."""
    injected = Fault(world.proxy, endpoint, fault, k)
    done = endpoint == "tasks.completed"
    job = world.job(lines=5, code=0 if done else 1, arguments="" if done else "--restart on-failure:1", ready=True)
    try:
        if endpoint == "auth.login":
            world.master.kill()
            world.master.start()
        job.check()
        assert len(job.marks()) == (2 if done else 4), job.marks()
        world.check_nothing_left()
    except AssertionError as failed:
        raise AssertionError(f"REEVE_FAULT_POINT='{endpoint} {fault} {k}': {failed}\n{world.log()[-3000:]}") from None
    finally:
        world.proxy.resume()
        world.proxy.after = lambda name, body, answer: None
    return injected.hit


@pytest.mark.parametrize("server", [(), ("--no-extensions",)], ids=["reeve-server", "plain server"])
def test_each_call_meets_each_fault(make_world, server, request, tally):
    alone = re.fullmatch(r"(\S+) (.*) (\d+)", os.environ.get("REEVE_FAULT_POINT", ""))
    points = [(endpoint, fault, k) for k in (1, 2) for endpoint in ENDPOINTS for fault in FAULTS]
    if alone:
        points = [(alone[1], alone[2], int(alone[3]))]
    elif not request.config.getoption("--long"):
        points = spread(points[:len(points) // 2], 8)
    world = make_world(*server)
    world.master.start()
    hits = sum(try_point(world, *point) for point in points)
    tally(hits, 0)
    assert hits, "no call met its fault"
