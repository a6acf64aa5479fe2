"""What people and networks get wrong: one clear line, and the master goes on."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile

import pytest

from reeve_up import OUT, git, wait_until


def enqueue(reeve, **task):
    """A task as any client may write it, straight through the API."""
    document = {"name": "bad input", "type": "service", "script": {"binary": "python3"}, **task}
    created = reeve.call("tasks.create", **document)["id"]
    reeve.call("tasks.enqueue", task=created, queue_name="services")
    return created


def fails(reeve, task, reason, *words):
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert document["status"] == "failed"
    assert document["status_reason"] == reason, document["status_message"]
    assert "\n" not in document["status_message"]
    log = reeve.logs(task)
    for word in words:
        assert word in document["status_message"], document["status_message"]
        assert word in log, log
    # The master goes on.
    assert reeve.wait(reeve.shell("true")) == 0


def test_repository_that_is_not_there(reeve):
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "a.py", "working_dir": ".",
                                  "repository": "file:///nowhere/at/all", "branch": "main"})
    fails(reeve, task, "setup:clone", "/nowhere/at/all")


def make_repo(folder):
    folder.mkdir()
    (folder / "a.py").write_text("print('hello')\n")
    for line in ("init -q -b main", "add -A", "commit -qm first"):
        git(folder, *line.split())
    return f"file://{folder}"


def test_commit_that_does_not_exist(reeve, tmp_path):
    url = make_repo(tmp_path / "repo")
    missing = "0123456789abcdef0123456789abcdef01234567"
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "a.py", "working_dir": ".",
                                  "repository": url, "version_num": missing})
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"].startswith("setup:")
    assert missing in reeve.task(task)["status_message"]


def test_diff_that_does_not_apply(reeve, tmp_path):
    url = make_repo(tmp_path / "repo")
    diff = ("diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-print('other')\n"
            "+print('changed')\n")
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "a.py", "working_dir": ".",
                                  "repository": url, "branch": "main", "diff": diff})
    fails(reeve, task, "setup:diff", "a.py")


def test_missing_entry_point(reeve, tmp_path):
    url = make_repo(tmp_path / "repo")
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "nothing here.py",
                                  "working_dir": ".", "repository": url, "branch": "main"})
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status"] == "failed"
    assert "nothing here.py" in reeve.task(task)["status_message"]


@pytest.mark.parametrize("arguments,word", [("--memory lots", "lots"), ("--cpus -3", "-3"),
                                            ("--pids-limit 1e99", "1e99"),
                                            ("--memory '", "--memory")])
def test_quota_that_cannot_be_read(reeve, arguments, word):
    task = enqueue(reeve, script={"binary": "sh", "entry_point": "-c 'exit 0'"},
                   container={"arguments": arguments})
    fails(reeve, task, "setup:quota")


def test_script_of_20_megabytes(reeve):
    body = "print('start')\n" + "# " + "x" * (20 << 20) + "\nprint('end')\n"
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "big.py", "diff": body})
    fails(reeve, task, "setup:environment", "too large")


def test_script_of_5_megabytes(reeve):
    body = "print('start')\n" + "# " + "x" * (5 << 20) + "\nprint('end')\n"
    task = enqueue(reeve, script={"binary": "python3", "entry_point": "big.py", "diff": body})
    assert reeve.wait(task) == 0
    assert "end" in reeve.logs(task).splitlines()


def test_control_bytes_in_names(reeve):
    task = enqueue(reeve, name="evil \x1b[31m\r\nname\x07",
                   script={"binary": "python3", "entry_point": "a\x1b[2Jb.py",
                           "diff": "print('ran')\n"})
    assert reeve.wait(task) in (0, 1)
    for command in (["ps", "--all"], ["inspect", task], ["logs", task]):
        out = reeve.run(*command).stdout
        assert "\x1b" not in out and "\x07" not in out


def test_output_that_is_no_text(reeve):
    task = reeve.shell(r"printf 'a\377\376b\n\000nul\n'; printf 'no newline at the end'")
    assert reeve.wait(task) == 0
    log = reeve.logs(task)
    assert "a\ufffd\ufffdb" in log and "nul" in log and "no newline at the end" in log


def test_server_unreachable(reeve):
    """The server dies: runs go on, lines wait on disk, all arrive when it is back."""
    task = reeve.shell("for i in $(seq 100); do echo line $i; sleep 0.05; done")
    reeve.wait_line(task, "line 3")
    for pid in reeve.processes():
        if b"reeve-server" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    # `up` starts it again on its own.
    wait_until(lambda: _answers(reeve), what="the server's return")
    assert reeve.wait(task) == 0
    lines = [l for l in reeve.logs(task).splitlines() if l.startswith("line ")]
    assert lines == [f"line {i}" for i in range(1, 101)]


def _answers(reeve):
    try:
        reeve.api.token = None
        return reeve.call("tasks.get_all", page_size=1) is not None
    except OSError:
        return False


def test_a_waiting_client_that_goes_does_not_hold_the_server(make_reeve):
    import time
    reeve = make_reeve("--queue", "quiet")
    queue = reeve.call("queues.get_all", name="quiet")["queues"][0]["id"]
    host, port = reeve.endpoint["api"].split("//")[1].split(":")
    body = '{"queue": "%s", "wait": 9000}' % queue
    for _ in range(3):
        with socket.create_connection((host, int(port))) as s:
            s.sendall(f"POST /queues.peek_task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                      f"{reeve.api.token}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            time.sleep(0.2)
    begin = time.monotonic()
    assert reeve.stop() == 0
    assert time.monotonic() - begin < 5


def test_second_up_is_refused(reeve):
    done = subprocess.run([OUT / "bin" / "reeve", "up", "--data", reeve.data, "--api-port", "0",
                           "--web-port", "0", "--files-port", "0"], capture_output=True, text=True,
                          env=reeve.env, timeout=30)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert reeve.json("status")["server"]["reachable"]


def test_second_master_is_refused(reeve):
    env = {**reeve.env, "CLEARML_API_HOST": reeve.endpoint["api"],
           "CLEARML_API_ACCESS_KEY": reeve.endpoint["access_key"],
           "CLEARML_API_SECRET_KEY": reeve.endpoint["secret_key"]}
    done = subprocess.run([OUT / "sbin" / "reeved", "--state-dir", reeve.data / "state", "--run-dir",
                           reeve.data / "run"], capture_output=True, text=True, env=env, timeout=30)
    assert done.returncode == 1
    assert "another reeved" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert reeve.json("status")["server"]["reachable"]


def test_port_in_use(make_reeve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        reeve = make_reeve(start=False)
        done = subprocess.run([OUT / "bin" / "reeve", "up", "--data", reeve.data, "--api-port",
                               str(port), "--web-port", "0", "--files-port", "0"],
                              capture_output=True, text=True, env=reeve.env, timeout=30)
    assert done.returncode == 1
    assert str(port) in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (reeve.data / "endpoint.json").exists()


def test_data_folder_not_writable(make_reeve, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    done = subprocess.run([OUT / "bin" / "reeve", "up", "--data", blocked / "data"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_names_are_resolved(reeve):
    task = reeve.shell("true", "--name", "one of its kind")
    assert reeve.wait(task) == 0
    assert reeve.wait("one of its kind") == 0
    assert reeve.wait(task[:8]) == 0
    assert reeve.run("wait", "f" * 32, check=False).returncode == 4
    assert reeve.run("logs", "no such name", check=False).returncode == 4


def test_no_server(tmp_path):
    done = subprocess.run([OUT / "bin" / "reeve", "ps", "--data", tmp_path / "nothing"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def nobody():
    """How to run a program as somebody who may write to no cgroup, and a home for that."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, 65534, 65534)
        options = dict(user=65534, group=65534, extra_groups=[], capture_output=True, text=True,
                       timeout=30, env={"PATH": os.environ["PATH"], "HOME": home})
        try:
            subprocess.run([OUT / "bin" / "reeve", "version"], check=True, **options)
        except OSError:
            pytest.skip(f"{OUT} is not open to others")
        yield pathlib.Path(home), options


def test_cgroups_not_writable(reeve, nobody):
    home, options = nobody
    config = home / "clearml.conf"
    config.write_text((reeve.data / "clearml.conf").read_text())
    done = subprocess.run(
        [OUT / "bin" / "reeve", "daemon", "--config", config, "--queue", "services", "--state-dir",
         home / "state", "--run-dir", home / "run", "--cgroup-root", "reeve-not-writable"], **options)
    assert done.returncode == 1, done.stderr
    assert "cgroup" in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in home.iterdir()] == ["clearml.conf"]


def test_relative_folders_of_a_daemon(reeve, tmp_path):
    """The sub-agents and tasks have other working directories."""
    reeve.run("queue", "create", "apart")
    log = open(tmp_path / "daemon.log", "wb")
    daemon = subprocess.Popen(
        [OUT / "bin" / "reeve", "daemon", "--config", reeve.data / "clearml.conf", "--queue",
         "apart", "--worker-id", "apart", "--state-dir", "state", "--run-dir", "run", "--cgroup-root",
         f"reeve-apart-{os.getpid()}"], cwd=tmp_path, stdout=log, stderr=log, env=reeve.env)
    try:
        assert reeve.wait(reeve.submit("--queue", "apart", "--", "true")) == 0
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder],
                           capture_output=True)
    if mount.returncode != 0:
        pytest.skip("may not mount here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(reeve, small_disk, tmp_path):
    """Lines wait, nothing is lost, new tasks stay in their queue, and it is told once."""
    reeve.run("queue", "create", "apart")
    path = tmp_path / "daemon.log"
    log = open(path, "wb")
    daemon = subprocess.Popen(
        [OUT / "bin" / "reeve", "daemon", "--config", reeve.data / "clearml.conf", "--queue",
         "apart", "--worker-id", "apart", "--polling-interval", "0.2", "--state-dir", small_disk / "state",
         "--run-dir", tmp_path / "run", "--cgroup-root", f"reeve-apart-{os.getpid()}"],
        stdout=log, stderr=log, env=reeve.env)
    try:
        first = reeve.submit("--queue", "apart", "--", "sh", "-c",
                             "i=0; while [ $i -lt 40 ]; do echo tick $i; i=$((i+1)); sleep 0.1; done")
        reeve.wait_line(first, "tick 3")
        with pytest.raises(OSError), open(small_disk / "fill", "wb", 0) as f:
            while True:
                f.write(b"x" * 4096)
        second = reeve.submit("--queue", "apart", "--", "true")
        # Nothing is taken where the disk has no room, or the intent of a claim finds none.
        wait_until(lambda: second in path.read_text() or "no more tasks are taken" in path.read_text(),
                   what="the second task's refusal")
        assert reeve.status(second) == "queued"
        (small_disk / "fill").unlink()
        assert reeve.wait(second) == 0 and reeve.wait(first) == 0
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0
    ticks = [line for line in reeve.logs(first).splitlines() if line.startswith("tick")]
    assert ticks == [f"tick {i}" for i in range(40)]
    text = path.read_text()
    assert text.count("acked") <= 3 and text.count("state/batch") <= 3, text


def test_quota_that_cannot_be_read_names_the_first_attempt(reeve):
    task = reeve.call("tasks.create", name="bad quota", type="service",
                      script={"binary": "true"}, container={"arguments": "--memory lots"})["id"]
    reeve.run("enqueue", task)
    assert reeve.wait(task) == 1
    assert "reeve: attempt 1 ended (setup:quota)" in reeve.logs(task)
