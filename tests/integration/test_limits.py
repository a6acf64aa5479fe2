"""Quotas beside CPU, memory and pids, and those that change while a run lives."""

import json
import os
import pathlib
import resource
import signal
import socket
import sys

import pytest

import joined
import reeve_up
from reeve_up import wait_until


# How often limits and folders are looked at.
LOOKS = {"CLEARML_AGENT__AGENT__REEVE__WAITS__REASSERT": "100ms",
         "CLEARML_AGENT__AGENT__REEVE__WAITS__DISK": "100ms"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One `reeve up` for those tests that need no settings of their own."""
    kind = joined.Reeve if joined.CONF else reeve_up.Reeve
    instance = kind(tmp_path_factory.mktemp("limits") / "data", env=LOOKS).start()
    yield instance
    left = instance.end()
    assert not left, left


def test_open_files(shared):
    task = shared.submit("--nofile", "40:50", "--", sys.executable, "-c",
                        "import os, resource\n"
                        "print('limits', resource.getrlimit(resource.RLIMIT_NOFILE))\n"
                        "files = []\n"
                        "try:\n"
                        "    while True: files.append(os.dup(0))\n"
                        "except OSError as e: print('refused', e.errno, files[-1])\n")
    assert shared.wait(task) == 0
    log = shared.logs(task)
    assert "limits (40, 50)" in log and "refused 24 39" in log
    assert "quota: nofile 40:50 (container.arguments: --ulimit)" in log


@pytest.fixture
def silent_server():
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_set_up_time_out(shared, silent_server):
    task = shared.submit("--setup-timeout", "1s", "--repo", f"http://127.0.0.1:{silent_server}/a.git",
                        "--branch", "main", "x.py")
    assert shared.wait(task) == 1
    document = shared.task(task)
    assert document["status_reason"].startswith("setup:")  # mostly clone
    assert "time-out" in document["status_message"]


def test_set_up_time_out_ends_with_the_set_up(shared, tmp_path):
    go = tmp_path / "go"
    task = shared.shell(f"until [ -e '{go}' ]; do sleep 0.1; done; echo survived")
    shared.wait_phase(task, "running")
    shared.run("set", task, "--setup-timeout", "1ms")
    shared.run("set", task, "--pids", "50")
    go.touch()
    assert shared.wait(task) == 0
    assert "survived" in shared.logs(task).splitlines()


def kernel(row, *names):
    """What the kernel has for the payload's group in the first of these files."""
    for folder in row["cgroup"]:
        for name in names:
            path = pathlib.Path(folder, name)
            if path.exists():
                return path.read_text().strip()
    raise AssertionError(f"none of {names} in {row['cgroup']}")


def kernel_memory(row):
    """Bytes; none at all is a number that no host has."""
    text = kernel(row, "memory.max", "memory.limit_in_bytes")
    return 1 << 63 if text == "max" else int(text)


@pytest.mark.vm
def test_set_while_it_lives(shared, tmp_path):
    """At once, after the master's death, and in the next attempt."""
    go = tmp_path / "go"
    task = shared.shell(f"echo ready; until [ -e '{go}' ]; do sleep 0.1; done; rm '{go}'; exit 3",
                       "--memory", "256m", "--restart", "on-failure:5")
    shared.wait_line(task, "ready")
    data = shared.json("set", task, "--memory", "96m", "--pids", "33", "--restart", "on-failure:2")
    assert data["live"] is True and data["limits"]["memory"] == 96 << 20
    row = shared.row(task)
    assert (row["memory_limit"], row["restart"]) == (96 << 20, "on-failure:2")
    assert kernel_memory(row) == 96 << 20 and kernel(row, "pids.max") == "33"
    shared.wait_line(task, "reeve: quota: memory 96 MiB (reeve set)")

    master = shared.json("status")["pid"]
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: shared.run("status", check=False).returncode == 0
               and shared.json("status")["pid"] != master, what="another master")
    assert shared.row(task)["memory_limit"] == 96 << 20

    go.touch()
    row = wait_until(lambda: (r := shared.row(task)) and r["attempt"] == 2
                     and r["phase"] == "running" and r, what="the next attempt")
    assert kernel_memory(row) == 96 << 20 and kernel(row, "pids.max") == "33"

    shared.run("set", task, "--memory", "none", "--unset", "pids")
    assert shared.row(task)["memory_limit"] is None
    assert kernel(row, "pids.max") == "max" and kernel_memory(row) > 1 << 60
    shared.run("stop", task)
    assert shared.wait(task) == 1


@pytest.mark.vm
def test_set_memory_below_what_is_in_use(shared):
    """The kernel's answer is the command's; the run lives on with what it had."""
    task = shared.submit("--memory", "128m", "--", sys.executable, "-c",
                        "import time\nx = bytearray(72 << 20)\nprint('ready', flush=True)\n"
                        "time.sleep(300)")
    shared.wait_line(task, "ready")
    done = shared.run("set", task, "--memory", "20m", check=False)
    assert done.returncode == 1
    assert "the kernel refused" in done.stderr and "in use" in done.stderr and done.stderr.count("\n") == 1
    row = shared.row(task)
    assert row["memory_limit"] == 128 << 20 and kernel_memory(row) == 128 << 20
    assert row["phase"] == "running"
    shared.run("set", task, "--memory", "96m")
    assert kernel_memory(row) == 96 << 20
    shared.run("stop", task)
    assert shared.wait(task) == 1


def test_set_open_files_and_cpus(shared):
    task = shared.shell("sleep 300 & echo ready; wait")
    shared.wait_line(task, "ready")
    shared.run("set", task, "--nofile", "64:128", "--cpuset", "0", "--cpus", "0.5")
    row = shared.row(task)
    pids = [int(pid) for pid in kernel(row, "cgroup.procs").split()]
    assert len(pids) == 2

    def limited():
        return all(resource.prlimit(pid, resource.RLIMIT_NOFILE) == (64, 128) for pid in pids)
    wait_until(limited, what="the limit of open files")
    assert all(os.sched_getaffinity(pid) == {0} for pid in pids)
    assert shared.json("inspect", task)["limits"]["cpu_milli"] == 500
    shared.run("stop", task)
    shared.wait(task)


def test_set_time_out(shared):
    task = shared.shell("exec sleep 300")
    shared.wait_phase(task, "running")
    shared.run("set", task, "--timeout", "1s")
    assert shared.wait(task) == 1
    assert shared.task(task)["status_reason"] == "timeout"


def test_set_while_the_sub_agent_is_away(rig):
    """It hears of it when it connects, or the one that replaces it does."""
    rig.master.start()
    task = rig.enqueue("echo line 1; exec sleep 300")
    wait_until(lambda: rig.numbers(task) == [1], what="its line")
    agent, = rig.master.sub_agents()
    os.kill(agent, signal.SIGSTOP)
    rig.master.kill()
    rig.master.start()
    assert rig.master.control(cmd="set", task=task, values={"timeout": "1s"})["ok"]
    os.kill(agent, signal.SIGCONT)
    rig.wait(task, "failed")
    assert rig.document(task)["status_reason"] == "timeout"


def test_set_is_bounded_and_checked(make_reeve):
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__CEILINGS__MEMORY": "128m",
                            "CLEARML_AGENT__AGENT__REEVE__QUEUES__SERVICES__CEILINGS__PIDS": "50"})
    task = reeve.shell("exec sleep 300")
    reeve.wait_phase(task, "running")
    notes = reeve.json("set", task, "--memory", "1g", "--pids", "none")["notes"]
    assert notes == ["quota: memory 128 MiB (agent.reeve.ceilings.memory; 1 GiB by reeve set)",
                     "quota: pids 50 (agent.reeve.queues.services.ceilings.pids; unlimited by reeve set)"]
    for words, code, text in ((("--memory", "1k"), 2, "least"), (("--restart", "never"), 2, "on-failure"),
                              (("--unset", "colour"), 2, "colour is no quota"), ((), 2, "nothing to set")):
        done = reeve.run("set", task, *words, check=False)
        assert done.returncode == code and text in done.stderr, done
    assert reeve.run("set", "0" * 32, "--pids", "5", check=False).returncode == 4
    reeve.run("stop", task)
    reeve.wait(task)


@pytest.mark.vm
def test_limits_that_are_lost_are_set_again(shared):
    task = shared.shell("echo ready; exec sleep 300", "--memory", "96m", "--cpus", "0.5", "--pids", "40")
    shared.wait_line(task, "ready")
    row = shared.row(task)
    before = shared.json("status")["limits_reasserted"]
    for folder in row["cgroup"]:
        for name, value in (("memory.max", "max"), ("memory.memsw.limit_in_bytes", "-1"),
                            ("memory.limit_in_bytes", "-1"), ("pids.max", "max")):
            path = pathlib.Path(folder, name)
            if path.exists():
                path.write_text(value)
    wait_until(lambda: kernel_memory(row) == 96 << 20 and kernel(row, "pids.max") == "40",
               what="the limits to be back")
    wait_until(lambda: shared.json("status")["limits_reasserted"] > before, what="its count")
    assert "were set again: " in shared.log.read_text()
    shared.run("stop", task)
    shared.wait(task)


@pytest.mark.skipif(bool(joined.CONF), reason="of `reeve up`, which starts the next master")
def test_a_change_that_was_cut_short(shared):
    """The file came first: a master that died before it asked the kernel leaves that to the next."""
    task = shared.shell("echo ready; exec sleep 300", "--memory", "256m")
    shared.wait_line(task, "ready")
    row = shared.row(task)
    limits = shared.data / "state/runs" / task / "limits"
    master = shared.json("status")["pid"]
    os.kill(shared.process.pid, signal.SIGSTOP)
    try:
        os.kill(master, signal.SIGKILL)
        changed = json.loads(limits.read_text())
        limits.write_text(json.dumps({**changed, "memory": 96 << 20, "memory_swap": 96 << 20}))
    finally:
        os.kill(shared.process.pid, signal.SIGCONT)
    wait_until(lambda: kernel_memory(row) == 96 << 20, what="the limit of the file")
    wait_until(lambda: shared.run("status", check=False).returncode == 0, what="another master")
    assert shared.row(task)["memory_limit"] == 96 << 20
    shared.run("stop", task)
    assert shared.wait(task) == 1


def test_all_runs_together(make_reeve):
    """What the host gives bounds a run that says nothing, and one that asks for more."""
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__HOST__MEMORY": "256m",
                            "CLEARML_AGENT__AGENT__REEVE__HOST__MEMORY_SWAP": "256m"})
    other = reeve.shell("echo ready; exec sleep 300", "--memory", "1g")
    reeve.wait_line(other, "ready")
    assert reeve.row(other)["memory_limit"] == 256 << 20
    task = reeve.submit("--", sys.executable, "-c",
                        "x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "host-oom"
    assert reeve.row(other)["phase"] == "running"
    reeve.run("stop", other)
    assert reeve.wait(other) == 1 and reeve.task(other)["status"] == "stopped"


def test_pressure_and_memory_events(shared):
    task = shared.submit("--cpus", "0.2", "--", sys.executable, "-c", "while True: pass")
    shared.wait_phase(task, "running")

    def waited():
        cpu = shared.json("inspect", task)["pressure"]["cpu"]
        return cpu is None or cpu["some"]["total_usec"] > 0
    wait_until(waited, what="the kernel's word for its waiting")
    seen = shared.json("inspect", task)
    assert set(seen["pressure"]) == {"cpu", "memory", "io"}
    assert seen["memory_events"] == {"high": 0, "max": 0, "oom": 0, "oom_kill": 0}
    assert set(shared.json("status")["pressure"]) == {"cpu", "memory", "io"}
    shared.run("stop", "--grace", "0s", task)
    shared.wait(task)


def test_disk_of_the_run(shared):
    """Its working directory and its TMPDIR count together; it is not started again."""
    task = shared.shell("head -c 3000000 /dev/zero > here; head -c 3000000 /dev/zero > $TMPDIR/there; "
                       "echo written; exec sleep 300", "--disk", "5m", "--restart", "always")
    assert shared.wait(task) == 1
    document = shared.task(task)
    assert (document["status"], document["status_reason"]) == ("failed", "disk")
    assert "its quota is 5.0 MiB" in document["status_message"]
    log = shared.logs(task)
    assert "written" in log.splitlines() and "its quota of the disk is 5 MiB: stopped" in log


def test_disk_that_cannot_be_counted(shared):
    """A link in the place of its folder is not followed, and no way around the quota."""
    task = shared.shell("d=${PWD%%/work*}/work; cd /; rm -r $d; ln -s /var/tmp $d; exec sleep 300", "--disk", "5m")
    assert shared.wait(task) == 1
    document = shared.task(task)
    assert document["status_reason"] == "disk"
    assert "what its folder takes cannot be counted" in document["status_message"]
    assert "what its folder takes cannot be counted: stopped (measure " in shared.logs(task)


def test_disk_within_the_quota(shared):
    task = shared.shell("head -c 2000000 /dev/zero > here; echo written; exec sleep 300", "--disk", "50m")
    shared.wait_line(task, "written")
    wait_until(lambda: (shared.json("inspect", task)["disk_bytes"] or 0) >= 2000000, what="its figure")
    assert shared.row(task)["phase"] == "running"
    shared.run("set", task, "--disk", "1m")
    assert shared.wait(task) == 1
    assert shared.task(task)["status_reason"] == "disk"
