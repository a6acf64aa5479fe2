"""Log lines over kill -9 of the server: what was acknowledged is there, nothing is there twice."""

import http.client
import itertools
import json
import threading
import time
import urllib.parse

import pytest

from server_rig import Server

TASKS = 6
KILLS = 5


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.stop(kill=True)


class Writer(threading.Thread):
    """Sends one task's lines as reeve's master does: a named batch, again until it is answered."""

    def __init__(self, server, task, done):
        super().__init__(daemon=True)
        self.server, self.task, self.done = server, task, done
        self.acknowledged = 0
        self.again = 0
        self.failure = None

    def send(self, body, name):
        url = urllib.parse.urlsplit(self.server.endpoint["api"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        try:
            connection.request("POST", "/events.add_batch", body, {
                "Authorization": f"Bearer {self.server.token}", "Content-Type": "application/json-lines",
                "x-reeve-batch": name})
            answer = json.load(connection.getresponse())
            assert answer["data"] == {"added": 3, "errors": 0, "errors_info": {}}, answer
            return True
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return False
        finally:
            connection.close()

    def run(self):
        try:
            for n in itertools.count():
                if self.done.is_set():
                    return
                body = "\n".join(json.dumps({"type": "log", "task": self.task, "timestamp": 3 * n + i,
                                             "msg": f"line {3 * n + i}\n"}) for i in range(3))
                while not self.send(body, f"{self.task}/{n}"):
                    self.again += 1
                    time.sleep(0.02)
                self.acknowledged = 3 * (n + 1)
        except BaseException as error:  # told by the main thread
            self.failure = error


def read_log(server, task):
    lines, last = [], None
    while True:
        request = {"task": task, "navigate_earlier": False, "order": "asc", "batch_size": 1000}
        if last is not None:
            request["from_timestamp"] = last
        events = server.call("events.get_task_log", request)["events"]
        if not events:
            return lines
        lines += [e["msg"] for e in events]
        last = events[-1]["timestamp"]


def test_every_line_once_and_in_order(server):
    done = threading.Event()
    writers = [Writer(server, server.task(f"writer {i}"), done) for i in range(TASKS)]
    for writer in writers:
        writer.start()
    for kill in range(KILLS):
        goal = writers[0].acknowledged + 60
        end = time.monotonic() + 60
        while writers[0].acknowledged < goal and time.monotonic() < end:
            time.sleep(0.005 * (kill + 1))
        assert writers[0].acknowledged >= goal, [w.failure for w in writers]
        server.stop(kill=True)
        server.start()
    done.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive() and writer.failure is None, writer.failure
    assert sum(w.again for w in writers) > 0
    for writer in writers:
        assert read_log(server, writer.task) == [f"line {i}\n" for i in range(writer.acknowledged)]
