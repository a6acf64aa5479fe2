"""Processes that are stopped or frozen instead of killed."""

import os
import pathlib
import signal

import pytest

from broken import make_world, world  # noqa: F401
from reeve_up import alive, wait_until

BUSY = "[ $((i % 50)) -gt 0 ] || sleep 0.1 9>&-"


def freeze(row, value):
    """The payload's group, by whichever hierarchy can."""
    for group in row["cgroup"]:
        for folder in (pathlib.Path(group) / "payload", pathlib.Path(group)):
            if (folder / "cgroup.freeze").exists():
                (folder / "cgroup.freeze").write_text(f"{value}\n")
                return
    pytest.skip("no group here that can be frozen")


@pytest.mark.parametrize("who", ["master", "sub-agent"])
def test_stopped_for_a_while(make_world, who):
    """SIGSTOP: the payload goes on as far as the FIFO takes its lines, and all of them come. Who is stopped for longer
    than a while would be replaced."""
    world = make_world(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__ALIVE": "10m"})
    world.master.start()
    job = world.job(lines=1000, each=BUSY)
    job.wait_begun()
    world.master.wait_phase(job.task, "running", 60)
    pids = [world.master.process.pid] if who == "master" else world.master.sub_agents()
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    job.let_go()
    wait_until(lambda: "end" in job.marks(), 60, what="the payload's end")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    world.check()


@pytest.mark.parametrize("agent", ["alive", "killed"])
def test_frozen_payload_is_stopped(world, agent):
    world.master.start()
    job = world.job(lines=5, arguments="--stop-timeout 1")
    job.wait_begun()
    row = world.master.wait_phase(job.task, "running")
    freeze(row, 1)
    if agent == "killed":
        for pid in world.master.sub_agents():
            os.kill(pid, signal.SIGKILL)
    world.server.call("tasks.stop", {"task": job.task, "force": True})
    wait_until(lambda: world.master.row(job.task) is None, 60, what="the end of the run")
    assert world.status(job.task) == "stopped"
    assert not alive(row["pid"])
    world.check_nothing_left()


def test_sub_agent_dies_while_its_payload_is_frozen(world):
    world.master.start()
    job = world.job(lines=100, each=BUSY, may=["agent-lost"])
    job.wait_begun()
    row = world.master.wait_phase(job.task, "running")
    freeze(row, 1)
    for pid in world.master.sub_agents():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "lost" in world.log() or "sub-agent" in world.log(), 60, what="a word about it")
    try:
        freeze(row, 0)
    except OSError:
        pass  # its run has ended by then
    world.check()
