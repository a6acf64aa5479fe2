"""From the services queue to a supervised sub-agent in its own cgroup, and a truthful end."""

import os
import pathlib
import re

import pytest

from reeve_up import SLOW, ApiError, git, wait_until


def test_command_completes(reeve):
    task = reeve.shell("echo hello; echo oops >&2; exit 0")
    assert re.fullmatch(r"[0-9a-f]{32}", task)
    assert reeve.wait(task) == 0
    document = reeve.task(task)
    assert document["status"] == "completed"
    assert document["status_reason"] == "exit:0"
    assert document["started"] and document["completed"]
    lines = reeve.logs(task).splitlines()
    assert lines.index("hello") < lines.index("oops")
    assert "Process completed successfully" in lines


def test_exit_code_is_told(reeve):
    task = reeve.shell("exit 3")
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert (document["status"], document["status_reason"]) == ("failed", "exit:3")
    assert "exit code 3" in document["status_message"]
    assert "Process failed, exit code 3" in reeve.logs(task)


def test_signal_is_told(reeve):
    task = reeve.shell("kill -SEGV $$")
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "signal:11"


def test_script_travels_whole(reeve, tmp_path):
    script = tmp_path / "my service.py"
    script.write_text("import os, sys\n"
                      "print('task', os.environ['CLEARML_TASK_ID'])\n"
                      "print('worker', os.environ['CLEARML_WORKER_ID'])\n"
                      "print('keys', [k for k in os.environ if 'SECRET' in k or 'ACCESS_KEY' in k])\n"
                      "print('args', sys.argv[1:])\n")
    task = reeve.submit(str(script))
    assert reeve.wait(task) == 0
    log = reeve.logs(task)
    assert f"task {task}" in log
    assert re.search(rf"worker \S+:service:{task}", log)
    assert "keys []" in log
    assert reeve.task(task)["script"]["diff"].strip() == script.read_text().strip()


@pytest.mark.vm
def test_every_line_in_order(reeve):
    count = int(20000 / SLOW)
    task = reeve.shell(f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done")
    assert reeve.wait(task) == 0
    events = reeve.log_events(task)
    stamps = [e["timestamp"] for e in events]
    assert all(a < b for a, b in zip(stamps, stamps[1:])), "time stamps strictly increase"
    text = "".join(e["msg"] for e in events)
    numbers = [int(n) for n in re.findall(r"^line (\d+)$", text, re.M)]
    assert numbers == list(range(count))


@pytest.fixture
def repo(tmp_path):
    folder = tmp_path / "a repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk")
    (folder / "sub").mkdir()
    (folder / "sub" / "main.py").write_text("import other\nprint('committed', other.WORD)\n")
    (folder / "sub" / "other.py").write_text("WORD = 'old'\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def test_git_with_uncommitted_diff(reeve, repo, tmp_path):
    commit = git(repo, "rev-parse", "HEAD").strip()
    (repo / "sub" / "other.py").write_text("WORD = 'uncommitted'\n")
    diff = tmp_path / "changes.diff"
    diff.write_text(git(repo, "diff"))
    git(repo, "checkout", "-q", ".")
    task = reeve.submit("--repo", f"file://{repo}", "--branch", "trunk", "--commit", commit,
                        "--diff", str(diff), "sub/main.py")
    assert reeve.wait(task) == 0, reeve.logs(task)
    assert "committed uncommitted" in reeve.logs(task)


@pytest.mark.vm
def test_own_cgroup_and_worker(reeve):
    task = reeve.shell("cat /proc/self/cgroup; sleep 60", "--memory", "128m", "--name", "watched")
    row = reeve.wait_phase(task, "running")
    wait_until(lambda: f"/run/{task}/payload" in reeve.logs(task), what="the log")
    for folder in row["cgroup"]:
        assert str(row["pid"]) in pathlib.Path(folder, "cgroup.procs").read_text().split()
    # It is registered first, and says its task in its first report.
    worker = wait_until(lambda: [w for w in reeve.call("workers.get_all")["workers"]
                                 if w["id"] == row["worker"] and "task" in w], what="the worker")
    assert worker[0]["task"]["id"] == task
    master = reeve.json("status")["worker"]
    assert any(w["id"] == master for w in reeve.call("workers.get_all")["workers"])

    def figures():
        try:
            keys = reeve.call("workers.get_metric_keys", worker_ids=[row["worker"]])
        except ApiError:
            return None
        names = {k for c in keys["categories"] for k in c["metric_keys"]}
        return names if "memory_used" in names else None

    assert "memory_used" in wait_until(figures, what="the sub-agent's figures")
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    wait_until(lambda: all(w["id"] != row["worker"] for w in
                           reeve.call("workers.get_all")["workers"]), what="the worker's end")
    wait_until(lambda: not any(os.path.isdir(d) for d in row["cgroup"]), what="the group's end")


PS_KEYS = {"id", "name", "project", "queue", "queue_name", "status", "phase", "attempt", "restart",
           "restarts", "worker", "pid", "cgroup", "launcher", "cpu_percent", "memory_bytes",
           "memory_limit", "pids", "started", "exit", "reason"}


def test_ps_and_status_contract(reeve):
    task = reeve.shell("sleep 60", "--memory", "64m", "--restart", "on-failure:3")
    row = reeve.wait_phase(task, "running")
    assert set(row) >= PS_KEYS
    assert row["queue_name"] == "services" and row["attempt"] == 1 and row["restarts"] == 0
    assert row["restart"] == "on-failure:3" and row["memory_limit"] == 64 << 20
    assert row["launcher"] == "process" and row["status"] == "in_progress"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["started"])
    status = reeve.json("status")
    assert {"pid", "version", "uptime_s", "rss_bytes", "worker", "queues", "capacity", "running",
            "restarting", "spool_bytes", "server", "cgroup_version"} <= set(status)
    assert status["running"] == 1 and status["server"]["reachable"] is True
    reeve.run("stop", task)
    reeve.wait(task)
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    done = next(r for r in reeve.ps("--all") if r["id"] == task)
    assert done["reason"] == "aborted"


def test_limit_on_runs(make_reeve):
    reeve = make_reeve("--services-mode", "2")
    tasks = [reeve.shell("sleep 1") for _ in range(5)]
    seen = 0
    while any(reeve.status(t) not in ("completed", "failed") for t in tasks):
        live = [r for r in reeve.ps() if r["phase"] in ("starting", "preparing", "running")]
        seen = max(seen, len(live))
        assert len(live) <= 2
    assert seen == 2
    assert all(reeve.status(t) == "completed" for t in tasks)


def enqueue_blocked(reeve, names):
    """Tasks that wait in their queues behind one that blocks the only slot."""
    blocker = reeve.shell("sleep 60", "--queue", names[0])
    reeve.wait_phase(blocker, "running")
    tasks = {n: [reeve.shell("true", "--queue", n) for _ in range(3)] for n in names}
    reeve.run("stop", blocker)
    for group in tasks.values():
        for task in group:
            assert reeve.wait(task) == 0
    started = {t: reeve.task(t)["started"] for group in tasks.values() for t in group}
    order = sorted(started, key=started.get)
    return "".join(n[0] for t in order for n in names if t in tasks[n])


@pytest.mark.parametrize("flags,expected", [([], "aaabbb"), (["--order-fairness"], None)])
def test_queue_order(make_reeve, flags, expected):
    reeve = make_reeve("--queue", "alpha", "--queue", "beta",
                       "--services-mode", "1", *flags)
    order = enqueue_blocked(reeve, ["alpha", "beta"])
    if expected:
        assert order == expected
    else:
        assert order in ("ababab", "bababa"), order


def test_idle_runs_side_by_side(reeve):
    tasks = [reeve.shell("echo up; sleep 60") for _ in range(20)]
    wait_until(lambda: sum(r["phase"] == "running" for r in reeve.ps()) == 20, what="20 runs")
    for t in tasks:
        reeve.wait_line(t, "up")
    reeve.run("stop", *tasks)
    for t in tasks:
        assert reeve.wait(t) == 1
        assert reeve.status(t) == "stopped"
