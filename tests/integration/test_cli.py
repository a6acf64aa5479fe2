"""The command line's contract: exit codes, names, logs that are followed, up's care for its children."""

import json
import os
import signal
import subprocess
import time

import pytest

from reeve_up import OUT, SANITIZER_OPTIONS, git, wait_until


def children(reeve):
    record = json.loads((reeve.data / "up.json").read_text())
    return tuple(record.get(name, {}).get("pid") for name in ("server", "master"))


@pytest.mark.parametrize("args, code, word", [
    (["bogus"], 2, "unknown command"),
    (["ps", "--bogus"], 2, "--bogus"),
    (["logs"], 2, "a word is missing"),
    (["wait", "x", "--status", "done"], 2, "is no status"),
    (["submit", "--memory", "lots", "--", "true"], 2, "is no size"),
    (["submit", "missing.py"], 2, "missing.py"),
    (["daemon", "--docker"], 2, "--docker"),
    (["build", "--id", "x"], 2, "environments come with a later version"),
    (["install-bootstrap"], 2, "a container needs nothing"),
    (["deamon"], 2, 'is "daemon" meant?'),
    (["--config-file", "/nonexistent", "list"], 2, "--config-file: /nonexistent: No such file"),
    (["ps", "--data", "nowhere"], 3, "reeve up"),
    (["submit", "--data", "nowhere", "--", "true"], 3, "reeve up"),
])
def test_wrong_command_lines(tmp_path, args, code, word):
    env = {"HOME": str(tmp_path)}
    env.update({name: os.environ[name] for name in ("PATH", *SANITIZER_OPTIONS)})
    done = subprocess.run([OUT / "bin" / "reeve", *args], capture_output=True, text=True, env=env,
                          cwd=tmp_path, timeout=30)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("reeve: ") and done.stderr.count("\n") == 1
    assert word in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_command_has_help():
    listed = subprocess.run([OUT / "bin" / "reeve", "help"], capture_output=True, text=True,
                            timeout=30).stdout
    commands = [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]
    assert {"up", "daemon", "server", "submit", "ps", "logs", "wait", "inspect", "stop", "status",
            "workers", "enqueue", "dequeue", "queue", "version"} <= set(commands)
    for command in commands:
        if command in ("version", "help"):
            continue
        shown = subprocess.run([OUT / "bin" / "reeve", command, "--help"], capture_output=True,
                               text=True, timeout=30)
        assert shown.returncode == 0 and f"usage: reeve {command}" in shown.stdout


def test_passes_by_proxies(make_reeve):
    """The server of a folder is on this host, where no proxy leads to."""
    dead = "http://127.0.0.1:9"
    reeve = make_reeve(env={"http_proxy": dead, "https_proxy": dead, "all_proxy": dead})
    task = reeve.submit("--", "true")
    assert reeve.wait(task) == 0
    done = reeve.run("execute", "--id", task)
    assert "Process completed successfully" in done.stdout


def test_nothing_is_created_for_a_bad_value(reeve):
    for bad in (["--cpus", "x"], ["--restart", "maybe"], ["--timeout", "soon"], ["--queue", "none"]):
        done = reeve.run("submit", *bad, "--project", "unborn", "--", "true", check=False)
        assert done.returncode == (4 if bad[0] == "--queue" else 2)
        assert done.stdout == ""
    assert reeve.call("tasks.get_all")["tasks"] == []
    names = [p["name"] for p in reeve.call("projects.get_all")["projects"]]
    assert "unborn" not in names


def test_dry_run_is_what_is_created(reeve):
    line = ["--memory", "64m", "--env", "A=b c", "--param", "Args/x=1", "--", "echo", "it's"]
    document = json.loads(reeve.run("submit", "--dry-run", *line).stdout)
    task = reeve.task(reeve.submit(*line))
    for part in ("binary", "entry_point"):
        assert task["script"][part] == document["script"][part]
    assert task["container"]["arguments"] == document["container"]["arguments"]
    assert task["hyperparams"]["Args"]["x"]["value"] == "1"


def test_followed_log_is_whole_and_ends(reeve):
    task = reeve.shell("for i in 1 2 3 4 5 6; do echo tick $i; sleep 0.2; done")
    followed = reeve.run("logs", task, "-f", timeout=60)
    ticks = [line for line in followed.stdout.splitlines() if line.startswith("tick")]
    assert ticks == [f"tick {i}" for i in range(1, 7)]
    assert followed.stdout == reeve.logs(task)
    assert reeve.status(task) == "completed"


def test_since(reeve):
    task = reeve.shell("echo old; sleep 3; echo new")
    assert reeve.wait(task) == 0
    at = [e["timestamp"] for e in reeve.log_events(task) if "new" in e["msg"].splitlines()][0]
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03d}Z"
    shown = reeve.run("logs", task, "--since", stamp).stdout.splitlines()
    assert "new" in shown and "old" not in shown
    assert reeve.run("logs", task, "--since", "1ms").stdout == ""


def test_queues_and_their_tasks(reeve):
    queue = reeve.run("queue", "create", "waiting").stdout.strip()
    assert reeve.run("queue", "create", "waiting", check=False).returncode == 1
    first, second = (reeve.submit("--queue", "waiting", "--", "true") for _ in range(2))
    row = next(q for q in reeve.json("queue", "list") if q["id"] == queue)
    assert row["name"] == "waiting" and row["tasks"] == [first, second]
    assert reeve.run("queue", "move", second, "--queue", "waiting", "--front").stdout == "0\n"
    assert reeve.run("queue", "delete", "waiting", check=False).returncode == 1
    assert reeve.run("dequeue", first[:10]).stdout.strip() == first
    assert reeve.run("dequeue", first, check=False).returncode == 1
    reeve.run("enqueue", first, "--queue", queue, "--front")
    reeve.run("queue", "rename", "waiting", "other")
    assert reeve.run("queue", "clear", "other").stdout.split() == [first, second]
    reeve.run("queue", "delete", "other")
    assert reeve.run("queue", "clear", "other", check=False).returncode == 4


def test_what_was_done_as_json(reeve):
    queue = reeve.json("queue", "create", "idle")["id"]
    task = json.loads(reeve.run("submit", "--json", "--queue", "idle", "--", "true").stdout)["id"]
    clone = reeve.json("clone", task)
    assert set(clone) == {"id"} and reeve.status(clone["id"]) == "created"
    assert reeve.json("enqueue", clone["id"], "--queue", "idle") == {"id": clone["id"], "queue": queue}
    assert reeve.json("queue", "move", clone["id"], "--queue", "idle", "--front") == {"id": clone["id"], "position": 0}
    assert reeve.json("dequeue", clone["id"]) == {"id": clone["id"]}
    assert reeve.json("queue", "clear", "idle") == [task]
    assert reeve.json("queue", "rename", "idle", "idler") == {"id": queue} == reeve.json("queue", "delete", "idler")
    failing = reeve.shell("exit 4")
    done = reeve.run("wait", failing, "--json", check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"id": failing, "status": "failed", "reason": "exit:4"}


def test_wait_tells_what_happened(reeve):
    task = reeve.shell("sleep 30")
    reeve.wait_phase(task, "running")
    late = reeve.run("wait", task, "--timeout", "200ms", check=False)
    assert late.returncode == 5
    assert reeve.run("wait", task, "--status", "in_progress").stdout == "in_progress\n"
    reeve.run("stop", task)
    ended = reeve.run("wait", task, "--timeout", "30", check=False)
    assert (ended.returncode, ended.stdout) == (1, "stopped\n")
    assert reeve.run("wait", "0" * 32, check=False).returncode == 4


def test_up_starts_its_children_again(reeve):
    server, master = children(reeve)
    os.kill(server, signal.SIGKILL)
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: None not in (new := children(reeve)) and set(new).isdisjoint({server, master}),
               what="new children")
    wait_until(lambda: reeve.run("queue", "list", check=False).returncode == 0, what="the server")
    assert reeve.wait(reeve.shell("true")) == 0


def test_next_up_takes_over(make_reeve):
    """After a kill -9 of up: same ports, the old server and master gone, the run alive."""
    reeve = make_reeve()
    task = reeve.shell("sleep 60")
    pid = reeve.wait_phase(task, "running")["pid"]
    before, old = reeve.endpoint, children(reeve)
    reeve.process.kill()
    reeve.process.wait()
    reeve.start()
    assert reeve.endpoint["api"] == before["api"]
    assert set(children(reeve)).isdisjoint(old)
    assert reeve.wait_phase(task, "running")["pid"] == pid
    reeve.run("stop", task)
    reeve.wait(task)


def test_what_up_writes_is_private(reeve):
    for name in ("endpoint.json", "clearml.conf", "up.json"):
        assert (reeve.data / name).stat().st_mode & 0o777 == 0o600
    data = reeve.data
    assert reeve.stop() == 0
    assert not (data / "endpoint.json").exists()
    reeve.start()


def test_no_key_in_any_command_line(reeve):
    secret = reeve.endpoint["secret_key"].encode()
    for pid in (reeve.process.pid, *children(reeve)):
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert secret not in f.read()


def test_command_runs_in_a_checkout(reeve, tmp_path):
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / "data.txt").write_text("from the repository\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "one")
    task = reeve.submit("--repo", f"file://{repo}", "--branch", "main", "--", "sh", "-c",
                        "cat data.txt; echo $1", "name", "a  b")
    assert reeve.wait(task) == 0
    assert {"from the repository", "a b"} <= set(reeve.logs(task).splitlines())


def test_script_without_suffix_gets_its_arguments(reeve, tmp_path):
    script = tmp_path / "watch"
    script.write_text("#!/usr/bin/env python3\nimport sys\nprint('got', sys.argv)\n")
    task = reeve.submit(str(script), "a b", "--all")
    assert reeve.wait(task) == 0
    assert "got ['watch', 'a b', '--all']" in reeve.logs(task).splitlines()


def test_stop_leaves_what_has_ended_alone(reeve):
    task = reeve.shell("true")
    assert reeve.wait(task) == 0
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    before = reeve.task(task)
    stopped = reeve.run("stop", task, check=False)
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert "completed" in stopped.stderr and stopped.stderr.count("\n") == 1
    after = reeve.task(task)
    for field in ("status", "status_reason", "status_message"):
        assert after[field] == before[field]


def test_inspect_tells_how_a_run_ended(reeve):
    task = reeve.shell("exit 3")
    assert reeve.wait(task) == 1
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    shown = reeve.json("inspect", task)
    assert shown["exit"] == {"code": 3, "signal": None} and shown["reason"] == "exit:3"
    assert shown["phase"] == "gone" and shown["attempt"] == 1
    assert shown["started"] < shown["finished"]
    assert shown["spec"] is None and shown["task"]["status"] == "failed"
    row = next(r for r in reeve.ps("--all") if r["id"] == task)
    live = reeve.shell("sleep 60")
    assert set(reeve.wait_phase(live, "running")) == set(row)
    reeve.run("stop", live)
    reeve.wait(live)


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_payload_has_the_umask_of_who_started_reeve(make_reeve, mask):
    before = os.umask(mask)
    try:
        reeve = make_reeve()
    finally:
        os.umask(before)
    task = reeve.shell("echo mask $(umask)")
    assert reeve.wait(task) == 0
    assert f"mask {mask:04o}" in reeve.logs(task).splitlines()


def test_no_socket_is_left(reeve):
    assert (reeve.data / "run/agent.sock").exists()
    data = reeve.data
    assert reeve.stop() == 0
    assert [p for p in data.rglob("*") if p.is_socket() or p.is_fifo()] == []
    reeve.start()


def test_a_queue_that_is_gone_holds_up_no_other(make_reeve):
    """Neither the first of the queues, nor one that is made again by the same name."""
    reeve = make_reeve("--queue", "first", "--queue", "second", "--polling-interval", "1")
    reeve.run("queue", "delete", "first")
    assert reeve.wait(reeve.submit("--queue", "second", "--", "true")) == 0
    # The master makes it as well when it looks for it next, and may be first.
    reeve.run("queue", "create", "first", check=False)
    assert reeve.wait(reeve.submit("--queue", "first", "--", "true")) == 0
    assert reeve.wait(reeve.submit("--queue", "second", "--", "true")) == 0
    served = {q["name"]: q["id"] for q in reeve.json("status")["queues"]}
    listed = {q["name"]: q["id"] for q in reeve.json("queue", "list")}
    assert served["first"] == listed["first"]
