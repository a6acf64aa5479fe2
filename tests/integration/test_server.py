"""reeve-server as a program: its options, what it refuses, and what a hostile peer can do."""

import base64
import json
import os
import pathlib
import socket
import stat
import subprocess
import urllib.parse

import pytest

from reeve_server import PROGRAM, Server


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data")
    yield server
    server.kill()


def run(*args, timeout=20):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=timeout)


def port_of(url):
    return urllib.parse.urlsplit(url).port


def refused(done, *words):
    """One line that says what is wrong."""
    assert done.stdout == ""
    lines = [l for l in done.stderr.splitlines() if l.startswith("reeve-server: ")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def test_help_and_version():
    done = run("--help")
    assert done.returncode == 0 and "--api-port" in done.stdout
    done = run("--version")
    assert done.returncode == 0 and done.stdout.startswith("reeve-server ")


@pytest.mark.parametrize("args", [[], ["--data"], ["--data", "x", "more"], ["--nothing"],
                                  ["--data", "x", "--api-port", "70000"],
                                  ["--data", "x", "--api-port", "-1"],
                                  ["--data", "x", "--log-level", "loud"]])
def test_usage(args, tmp_path):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    refused(done)
    assert not any(tmp_path.iterdir())


def test_endpoint_file(server):
    server.start()
    mode = server.endpoint_file.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert server.endpoint["pid"] == server.process.pid
    for name in ("api", "web", "files"):
        assert server.endpoint[name].startswith("http://127.0.0.1:")
    assert server.stop() == 0
    assert not server.endpoint_file.exists()


def test_port_in_use(server, tmp_path):
    server.start()
    port = str(port_of(server.endpoint["api"]))
    done = run("--data", str(tmp_path / "other"), "--api-port", port, "--web-port", "0",
               "--files-port", "0", "--endpoint", str(tmp_path / "ep"))
    assert done.returncode == 1
    refused(done, port, "in use")
    assert not (tmp_path / "ep").exists()


def test_one_server_a_folder(server):
    server.start()
    done = run("--data", str(server.data), "--api-port", "0", "--web-port", "0",
               "--files-port", "0")
    assert done.returncode == 1
    refused(done, str(server.data))
    server.client().data("queues.get_default")


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--data", str(tmp_path / "file"), "--api-port", "0", "--web-port", "0",
               "--files-port", "0")
    assert done.returncode == 1
    refused(done, "file")


def test_call_log(server, tmp_path):
    """A line for each call, of those that failed the text too; a restart appends."""
    path = tmp_path / "calls"
    server.args += ["--call-log", str(path)]
    client = server.start().client()
    client.data("queues.get_default")
    client.call("tasks.get_by_id", task="none \u00e9")
    client.call("v1.0/no.thing")
    client.close()
    assert server.stop() == 0
    server.start().client().close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seen = [(l["endpoint"], l["version"], l["code"], l["subcode"]) for l in lines]
    newest = lines[0]["version"]
    assert seen == [("auth.login", newest, 200, 0), ("queues.get_default", newest, 200, 0),
                    ("tasks.get_by_id", newest, 400, 101), ("no.thing", "1.0", 404, 0),
                    ("auth.login", newest, 200, 0)]
    assert "none \u00e9" in lines[2]["error"] and "error" not in lines[1]
    assert all(l["ms"] >= 0 and l["ip"] == "127.0.0.1" for l in lines)
    assert [bool(l["user"]) for l in lines] == [True, True, True, False, True]
    assert [l.get("task") for l in lines] == [None, None, "none \u00e9", None, None]


def test_call_log_that_cannot_be(server, tmp_path):
    done = run("--data", str(server.data), "--api-port", "0", "--web-port", "0",
               "--files-port", "0", "--call-log", str(tmp_path / "none" / "calls"))
    assert done.returncode == 1
    refused(done, "calls")


def test_listens_on_loopback_alone(server):
    server.start()
    want = f"{port_of(server.endpoint['api']):04X}"
    rows = [line.split()[1] for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert [r.split(":")[0] for r in rows if r.split(":")[1] == want] == ["0100007F"] or \
        all(r.split(":")[0] == "0100007F" for r in rows if r.split(":")[1] == want)


def test_broken_database_is_set_aside(server):
    server.start()
    keys = server.endpoint["access_key"]
    server.kill()
    for name in ("reeve.db-wal", "reeve.db-shm"):
        (server.data / name).unlink(missing_ok=True)
    (server.data / "reeve.db").write_bytes(os.urandom(8192))
    server.start()
    assert server.endpoint["access_key"] == keys
    server.client().data("queues.get_default")
    assert list(server.data.glob("reeve.db.broken-*"))


def test_fresh_queues(server):
    queues = server.start().client().data("queues.get_all")["queues"]
    assert sorted((q["name"], q["system_tags"]) for q in queues) == [
        ("default", ["default"]), ("services", [])]


def test_silent_and_slow_peers_do_not_hinder(server):
    server.start()
    port = port_of(server.endpoint["api"])
    peers = []
    for i in range(200):
        peer = socket.create_connection(("127.0.0.1", port))
        if i % 2:
            peer.sendall(b"POST /debug.ping HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        peers.append(peer)
    client = server.client()
    for _ in range(100):
        client.data("queues.get_default")
    for peer in peers:
        peer.close()


def test_huge_header(server):
    server.start()
    with socket.create_connection(("127.0.0.1", port_of(server.endpoint["api"]))) as peer:
        peer.settimeout(10)
        try:
            peer.sendall(b"GET /debug.ping HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n")
            answer = peer.recv(100)
        except OSError:
            answer = b""
    assert b" 200 " not in answer
    server.client().data("queues.get_default")


def test_many_long_polls(server):
    server.start()
    client = server.client()
    queue = client.data("queues.get_default")["id"]
    body = f'{{"queue":"{queue}","wait":9000}}'
    request = (f"POST /queues.peek_task HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {client.headers['Authorization']}\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
    peers = []
    for _ in range(1000):
        peer = socket.create_connection(("127.0.0.1", port_of(server.endpoint["api"])))
        peer.settimeout(60)
        peer.sendall(request)
        peers.append(peer)
    client.data("queues.add_task", queue=queue, task="t1")
    for peer in peers:
        assert b'"task":"t1"' in peer.recv(65536)
        peer.close()
    assert server.stop() == 0


def test_stops_with_open_polls(server):
    server.start()
    client = server.client()
    queue = client.data("queues.get_default")["id"]
    body = f'{{"queue":"{queue}","wait":9000}}'
    peer = socket.create_connection(("127.0.0.1", port_of(server.endpoint["api"])))
    peer.sendall((f"POST /queues.get_next_task HTTP/1.1\r\nHost: x\r\n"
                  f"Authorization: {client.headers['Authorization']}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    client.data("queues.get_default")
    assert server.stop() == 0
    peer.close()


@pytest.mark.parametrize("options", [[], ["--no-extensions"]])
def test_claim_with_the_pop(tmp_path, options):
    server = Server(tmp_path / "data", *options).start()
    try:
        client = server.client()
        queue = client.data("queues.get_default")["id"]
        task = client.data("tasks.create", name="one", type="service")["id"]
        client.data("tasks.enqueue", task=task, queue=queue)
        assert "claimed" not in client.data("queues.get_next_task", queue=queue, task="f" * 32, claim="mine")
        popped = client.data("queues.get_next_task", queue=queue, task=task, claim="mine")
        assert popped["entry"]["task"] == task
        after = client.data("tasks.get_by_id", task=task)["task"]
        if options:
            assert "claimed" not in popped and after["status"] == "queued"
        else:
            assert popped["claimed"] == after
            assert (after["status"], after["status_message"]) == ("in_progress", "mine") and after["started"]
    finally:
        server.kill()


def test_reports_of_many(server):
    server.start()
    client = server.client()
    task = client.data("tasks.create", name="one", type="service")["id"]
    stats = {"cpu_usage": [1.0]}
    reports = [{"worker": "gone", "task": "f" * 32, "timestamp": 1, "machine_stats": stats},
               {"worker": "here", "task": task, "timestamp": 1, "machine_stats": stats}]
    assert client.call("workers.status_reports", reports=reports)[:2] == (200, 0)
    found = {worker["id"]: worker for worker in client.data("workers.get_all")["workers"]}
    assert set(found) == {"gone", "here"} and found["here"]["task"]["id"] == task
    assert client.data("tasks.get_by_id", task=task)["task"]["last_worker"] == "here"
    assert client.call("workers.status_reports", reports=[{"task": task}])[0] == 400
    assert client.call("workers.status_reports", reports=["x"])[0] == 400


def claims_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_token_max(tmp_path):
    server = Server(tmp_path / "data", "--token-max", "60").start()
    try:
        client = server.client()
        claims = claims_of(client.data("auth.login")["token"])
        assert claims["exp"] - claims["iat"] == 60
        claims = claims_of(client.data("auth.login", expiration_sec=30)["token"])
        assert claims["exp"] - claims["iat"] == 30
        assert client.call("auth.login", expiration_sec=61)[:2] == (400, 12)
        auth = client.data("server.config", path="apiserver.auth")
        assert auth == {"default_expiration_sec": 60, "max_expiration_sec": 60}
    finally:
        server.kill()


@pytest.mark.parametrize("plain", [False, True])
def test_no_extensions(tmp_path, plain):
    server = Server(tmp_path / "data", *(["--no-extensions"] if plain else [])).start()
    try:
        client = server.client()
        claims = claims_of(client.data("auth.login")["token"])
        assert claims.get("reeve") == (None if plain else ["wait", "batch", "claim", "needs", "reports", "behind"])
        code = client.call("workers.get_runtime_properties", worker="w")[0]
        assert code == (404 if plain else 200)
        task = client.data("tasks.create", name="task", type="service")["id"]
        event = {"type": "log", "task": task, "msg": "line"}
        for _ in range(2):
            code = client.send("events.add_batch", json.dumps(event),
                               {"Content-Type": "application/json-lines", "x-reeve-batch": "b"})[0]
            assert code == 200
        total = client.data("events.get_task_log", task=task)["total"]
        assert total == (2 if plain else 1)
    finally:
        server.kill()


def test_metadata_of_a_queue_for_old_clients(server):
    """Clients up to 2.16 expect a list, and take an answer with an object for none at all."""
    client = server.start().client()
    queue = client.data("queues.create", name="with metadata")["id"]
    item = {"key": "k", "type": "t", "value": "v"}
    client.data("queues.add_or_update_metadata", queue=queue, metadata=[item])
    for version, wanted in (("2.13", []), ("2.16", []), ("2.17", {"k": item}), ("2.31", {"k": item})):
        assert client.data(f"v{version}/queues.get_by_id", queue=queue)["queue"]["metadata"] == wanted
        assert client.data(f"v{version}/queues.get_all", name="with metadata")["queues"][0]["metadata"] == wanted
    client.close()
