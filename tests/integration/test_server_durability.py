"""What reeve-server has acknowledged is there after kill -9, once, and nothing is there twice."""

import json
import random
import threading
import time

import pytest

from reeve_server import Server

ROUNDS = 5
WRITERS = 8


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data")
    yield server
    server.kill()


class Writer(threading.Thread):
    """Creates tasks, logs into them, queues and pops, and remembers what was acknowledged."""

    def __init__(self, client, queue, number):
        super().__init__()
        self.client, self.queue, self.number = client, queue, number
        self.created, self.logged, self.queued, self.popped = [], {}, [], []
        self.doubt = None  # the entry whose pop was sent and not answered

    def run(self):
        try:
            for i in range(1_000_000):
                self.step(f"w{self.number}-{i}")
        except OSError:
            self.client.close()

    def log(self, task, i):
        line = {"type": "log", "task": task, "level": "INFO", "msg": f"line {i}",
                "timestamp": 1_700_000_000_000 + i}
        code, _, data = self.client.send(
            "events.add_batch", json.dumps(line),
            {"Content-Type": "application/json-lines", "x-reeve-batch": f"{task}/{i}"})
        assert (code, data["added"]) == (200, 1)
        self.logged[task] = i + 1

    def step(self, name):
        task = self.client.data("tasks.create", name=name, type="service")["id"]
        self.created.append(task)
        for i in range(2):
            self.log(task, i)
        self.client.data("tasks.enqueue", task=task, queue=self.queue)
        self.queued.append(task)
        if random.random() < 0.3:
            entry = self.client.data("queues.get_next_task", queue=self.queue).get("entry")
            if entry:
                self.popped.append(entry["task"])


def lines_of(client, task):
    data = client.data("events.get_task_log", task=task, order="asc", batch_size=100)
    return [event["msg"] for event in data["events"]]


def existing(client, ids):
    found = set()
    for at in range(0, len(ids), 500):
        data = client.data("tasks.get_all", id=ids[at:at + 500], only_fields=["id"],
                           page_size=500, search_hidden=True)
        found |= {task["id"] for task in data["tasks"]}
    return found


def entries(client, queue):
    return [e["task"] for e in client.data("queues.get_by_id", queue=queue)["queue"]["entries"]]


def check(client, queue, writers):
    created = [t for w in writers for t in w.created]
    assert len(created) > WRITERS
    assert existing(client, created) == set(created)
    for writer in writers:
        for task in random.sample(sorted(writer.logged), min(20, len(writer.logged))):
            lines = lines_of(client, task)
            done = writer.logged[task]
            # The one that was under way may be there or not.
            assert lines[:done] == [f"line {i}" for i in range(done)]
            assert len(lines) <= done + 1
            assert len(set(lines)) == len(lines)
    waiting = entries(client, queue)
    assert len(set(waiting)) == len(waiting)
    queued = {t for w in writers for t in w.queued}
    popped = [t for w in writers for t in w.popped]
    assert len(set(popped)) == len(popped), "a task was given out twice"
    assert not set(popped) & set(waiting), "an acknowledged pop came back"
    # Each writer may have had one pop under way whose answer nobody got.
    assert len(queued - set(popped) - set(waiting)) <= WRITERS


def test_acknowledged_writes_survive_kill(server):
    for _ in range(ROUNDS):
        server.start()
        client = server.client()
        queue = client.data("queues.create", name=f"q{time.monotonic_ns()}")["id"]
        writers = [Writer(server.client(), queue, n) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.3, 1.0))
        server.kill()
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive()
        server.start()
        check(server.client(), queue, writers)
        server.kill()


def test_batch_sent_again_is_stored_once(server):
    client = server.start().client()
    task = client.data("tasks.create", name="again", type="service")["id"]
    lines = "\n".join(json.dumps({"type": "log", "task": task, "msg": f"m{i}"})
                      for i in range(3))
    headers = {"Content-Type": "application/json-lines", "x-reeve-batch": "run/0"}
    first = client.send("events.add_batch", lines, headers)
    server.kill()
    server.start()
    client = server.client()
    second = client.send("events.add_batch", lines, headers)
    assert first == second
    assert lines_of(client, task) == ["m0", "m1", "m2"]


def test_keys_and_tokens_survive(server):
    client = server.start().client()
    keys = (server.endpoint["access_key"], server.endpoint["secret_key"])
    headers = client.headers
    server.kill()
    server.start()
    assert (server.endpoint["access_key"], server.endpoint["secret_key"]) == keys
    client = server.client()
    client.headers = headers
    client.data("users.get_current_user")
