"""`reeve daemon` with the flags of `clearml-agent daemon`, beside an embedded server."""

import json
import os
import pathlib
import subprocess
import uuid

import pytest

from reeve_up import OUT, SLOW, alive, wait_until


@pytest.fixture
def daemon(reeve, tmp_path):
    """Runs `reeve daemon` on folders of its own; one that is left in the background is ended."""
    place = tmp_path / "daemon"
    common = ["--config", reeve.data / "clearml.conf", "--state-dir", place / "state", "--run-dir", place / "run",
              "--cgroup-root", f"reeve-{uuid.uuid4().hex[:12]}"]

    def run(*args):
        return subprocess.run([OUT / "bin" / "reeve", "daemon", *args, *common], capture_output=True, text=True,
                              env=reeve.env, timeout=180 * SLOW)

    run.common = common
    yield run
    run("--stop", "--on-exit", "stop")


def status(daemon):
    done = daemon("--status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_clearml_agents_flags(reeve, daemon, tmp_path):
    done = daemon("--queue", "first", "second", "--create-queue", "--detached", "--worker-id", "flags:0",
                  "--order-fairness", "--polling-interval", "1", "--services-mode", "2", "--cpu-only",
                  "--standalone-mode", "--force-current-version", "--check-bootstrap", "-O",
                  "--log-level", "INFO", "--child-report-tags", "red", "green")
    assert done.returncode == 0, done.stderr
    found = status(daemon)
    assert found["worker"] == "flags:0" and found["capacity"] == 2
    queues = {"first", "second"}
    wait_until(lambda: {q["name"] for q in status(daemon)["queues"] if q["id"]} == queues, 60, what="the queues")
    task = reeve.shell(f"echo $$ >{tmp_path}/pid; exec sleep 600", "--queue", "second")
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 60, what="its start")

    def at_work():
        workers = reeve.call("workers.get_all", last_seen=0)["workers"]
        return next((w for w in workers if (w.get("task") or {}).get("id") == task), None)

    worker = wait_until(at_work, 60, what="its worker")
    assert worker["id"] == f"flags:0:service:{task}" and sorted(worker["tags"]) == ["green", "red"]
    # Another name, another queue: not the one that is meant.
    for args, words in ((["--stop", "other:0"], "no master named other:0 runs here, but flags:0 does"),
                        (["--stop", "--queue", "third"], "does not serve the queue third")):
        done = daemon(*args)
        assert done.returncode == 4 and words in done.stderr and len(done.stderr.splitlines()) == 1
    assert status(daemon)["pid"] == found["pid"]
    done = daemon("--stop", "other:0", "flags:0", "--queue", "second", "--on-exit", "stop")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not alive(found["pid"]), 60, what="the end of the master")
    assert not alive(int((tmp_path / "pid").read_text()))
    assert reeve.status(task) == "stopped"
    done = daemon("--stop")
    assert done.returncode == 3 and "no master runs" in done.stderr


@pytest.mark.parametrize("args, words", [
    (["--docker", "image", "--network=host"], "--docker: tasks run as processes; containers come with a later"),
    (["--podman"], "--podman: tasks run as processes; containers come with a later"),
    (["--gpus", "0,1"], "--gpus: no GPU is given to a task; that comes with a later"),
    (["--dynamic-gpus"], "--dynamic-gpus: no GPU is given to a task; that comes with a later"),
    (["--uptime", "17-20 TUE"], "--uptime: there is no schedule; that comes with a later"),
    (["--downtime", "09-13 TUE"], "--downtime: there is no schedule; that comes with a later"),
    (["--use-owner-token"], "--use-owner-token: needs a ClearML Enterprise Server"),
    (["--queues", "a"], "is --queue meant?"),
    (["--create-queues"], "is --create-queue meant?"),
    (["--polling-interval", "never"], "--polling-interval"),
    (["default"], "no word is expected here"),
])
def test_what_is_refused(args, words):
    done = subprocess.run([OUT / "bin" / "reeve", "daemon", *args], capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert done.stdout == ""


def test_secrets_leave_the_command_line(reeve, daemon):
    done = daemon("--queue", "services", "--detached", "--git-user", "somebody", "--git-pass", "git-secret-word")
    assert done.returncode == 0, done.stderr
    with open(f"/proc/{status(daemon)['pid']}/cmdline", "rb") as f:
        assert b"git-secret-word" not in f.read()


def test_second_master_has_an_id_of_its_own(reeve, daemon):
    """Both would be <host>:services; the second says so, and is another one."""
    first = reeve.json("status")["worker"]
    done = daemon("--queue", "second", "--create-queue", "--detached")
    assert done.returncode == 0, done.stderr
    found = status(daemon)
    assert found["worker"] == f"{first}-2"
    assert daemon("--stop").returncode == 0
    wait_until(lambda: not alive(found["pid"]), 60, what="the end of the master")


def test_stop_of_what_is_started_again(reeve, daemon, tmp_path):
    """The master of a unit is ended by systemctl, that of `up` with `up` alone: both would be back in a second."""
    done = reeve.run("daemon", "--stop", check=False)
    assert done.returncode == 1 and f"process {reeve.process.pid}" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and reeve.json("status")["unit"] is None


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a group of systemd's hierarchy")
def test_stop_of_a_units_main_process(reeve, daemon, tmp_path):
    named = pathlib.Path("/sys/fs/cgroup/systemd")
    group = (named if named.exists() else pathlib.Path("/sys/fs/cgroup")) / f"reeve-{uuid.uuid4().hex[:8]}.service"
    # What systemd does for a unit's main process, and a systemctl that writes down what it is asked.
    start = tmp_path / "start"
    start.write_text(f"#!/bin/sh\necho $$ >{group}/cgroup.procs\nSYSTEMD_EXEC_PID=$$\nexport SYSTEMD_EXEC_PID\n"
                     f'exec "$@"\n')
    ctl = tmp_path / "bin/systemctl"
    ctl.parent.mkdir()
    ctl.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\necho it will not; exit $(cat {tmp_path}/code)\n')
    for script in (start, ctl):
        script.chmod(0o755)
    (tmp_path / "code").write_text("0")
    reeve.env["PATH"] = f"{ctl.parent}:{reeve.env['PATH']}"
    group.mkdir()
    master = subprocess.Popen([start, OUT / "bin/reeve", "daemon", "--queue", "services", *daemon.common],
                              env=reeve.env, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: daemon("--status").returncode == 0, what="the master")
        assert status(daemon)["unit"] == {"name": group.name, "user": False}
        done = daemon("--stop", "--on-exit", "stop")
        assert done.returncode == 1 and group.name in done.stderr and not (tmp_path / "asked").exists()
        assert daemon("--stop").returncode == 0
        assert (tmp_path / "asked").read_text() == f"--system stop {group.name}\n" and master.poll() is None
        (tmp_path / "code").write_text("4")
        done = daemon("--stop")
        assert done.returncode == 1 and done.stderr.endswith("exit code 4: it will not\n")
    finally:
        master.terminate()
        master.wait(60 * SLOW)
        group.rmdir()
