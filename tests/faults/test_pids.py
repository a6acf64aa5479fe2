"""Numbers of processes that are given again: who has one now is neither adopted nor signalled."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from broken import make_world, world  # noqa: F401
from reeve_up import SLOW, alive, wait_until

LAST = pathlib.Path("/proc/sys/kernel/ns_last_pid")


def test_recycled_pids(tmp_path):
    """In a namespace of its own, where the next number can be chosen."""
    probe = subprocess.run(["unshare", "-pf", "--mount-proc", "sh", "-c", f"echo 300 >{LAST}"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("no pid namespace with a choice of numbers here")
    done = subprocess.run(
        # The shell is there to reap orphans, as an init does.
        ["unshare", "-pf", "--mount-proc", "--kill-child", "sh", "-c", '"$@" & wait $!', "sh", sys.executable, "-m", "pytest",
         "-q", __file__, "-k", "inside", "-p", "no:cacheprovider", "--basetemp", tmp_path / "inside"],
        env={**os.environ, "REEVE_TEST_INSIDE": "1"}, capture_output=True, text=True, timeout=300 * SLOW)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def take_number(number):
    """A process that has it, or None while somebody else does."""
    LAST.write_text(f"{number - 1}\n")
    process = subprocess.Popen(["sleep", "1000"])
    if process.pid == number:
        return process
    process.kill()
    process.wait()
    return None


@pytest.mark.skipif(not os.environ.get("REEVE_TEST_INSIDE"), reason="test_recycled_pids runs it where it can")
def test_inside(world):
    """Master, sub-agent and payload die together; others have the numbers when the next master comes."""
    world.master.start()
    job = world.job(lines=5)
    job.wait_begun()
    row = world.master.wait_phase(job.task, "running")
    state = json.loads((world.master.state / "runs" / job.task / "state").read_text().splitlines()[0])
    world.master.kill()
    numbers = [state["agent_pid"], state["payload_pid"]]
    assert all(numbers) and row["pid"] == state["payload_pid"]
    for number in numbers:
        os.kill(number, signal.SIGKILL)
    os.killpg(row["pid"], signal.SIGKILL)  # what the payload started
    wait_until(lambda: not any(map(os.path.exists, (f"/proc/{n}" for n in numbers))), 60, what="their end")
    others = [wait_until(lambda: take_number(number), 60, what=f"process {number}") for number in numbers]
    world.master.start()
    wait_until(lambda: world.status(job.task) == "failed", 60, what="the end of the run")
    assert world.document(job.task)["status_reason"] == "agent-lost"
    world.check_nothing_left()
    for other in others:
        assert alive(other.pid) and other.poll() is None, "it was ended"
        other.kill()
        other.wait()
