"""Sub-agents that are killed where little is known yet, or that cannot fork; and on kernels that tell how a process ended to its parent alone (before Linux 6.15): the
master, to which the payload of one that was killed comes, says it, or nobody knows."""

import json
import os
import pathlib
import signal
import sys
import time

import pytest

import soak
from broken import make_world, world  # noqa: F401
from faulty_api import alive
from injector import Injector
from reeve_up import OUT, wait_until


def old_kernel(world):
    """PIDFD_GET_INFO fails in the master at hand and in all sub-agents that it starts."""
    return Injector(world.folder / "ioctl.report", world.master.process.pid, "--program", "reeved,reeve-subagent",
                    "--calls", "ioctl", "--path", "pidfd", "--errno", "ENOTTY", "--times", "0")


def agent(world, job):
    """The sub-agent by its run's record."""
    return json.loads((world.master.state / "runs" / job.task / "state").read_text().splitlines()[0])["agent_pid"]


def kill_agent(world, job):
    pid = agent(world, job)
    os.kill(pid, signal.SIGKILL)
    return pid


def replacement(world, job, old):
    """Once it has taken the payload over."""
    wait_until(lambda: f"task={job.task} pid={world.master.row(job.task)['pid']} taken over" in world.log(),
               what="its taking over")
    return wait_until(lambda: (pid := agent(world, job)) != old and pid, what="a new sub-agent")


def switches(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.split()[1])


def test_master_says_how_it_ended(make_world):
    world = make_world()
    world.master.start()
    with old_kernel(world) as injected:
        job = world.job(lines=5, code=3)
        job.wait_begun()
        world.master.wait_phase(job.task, "running")
        replacement(world, job, kill_agent(world, job))
        job.let_go().check()
        assert injected.hits(), "PIDFD_GET_INFO was not asked for"
    world.check_nothing_left()


def test_nobody_knows_how_it_ended(make_world):
    """Its reaper is another process: the run ends as agent-lost, and the sub-agent sleeps until it is told so."""
    world = make_world()
    world.master.start()
    job = world.job(lines=5, may=["agent-lost"])
    job.wait_begun()
    pid = world.master.wait_phase(job.task, "running")["pid"]
    os.kill(world.master.process.pid, signal.SIGSTOP)
    old = kill_agent(world, job)
    world.master.kill()
    world.master.start()
    # It may have started one before the injector was there.
    with old_kernel(world) as injected:
        new = replacement(world, job, old)
        own = Injector(world.folder / "own.report", new, "--calls", "ioctl", "--path", "pidfd", "--errno", "ENOTTY",
                       "--times", "0") if not traced(new) else None
        os.kill(world.master.process.pid, signal.SIGSTOP)
        try:
            job.let_go()
            wait_until(lambda: not alive(pid), what="the payload's end")
            time.sleep(0.3)
            before = switches(new)
            time.sleep(1)
            assert switches(new) - before < 100, "it is busy with waiting"
        finally:
            os.kill(world.master.process.pid, signal.SIGCONT)
        assert job.ended(60) == ("failed", "agent-lost")
        job.check()
        assert injected.hits() + (own.hits() if own else [])
        if own:
            own.close()
    world.check_nothing_left()


@pytest.mark.skipif(not soak.exits_are_told(), reason="this kernel tells exits to parents alone")
def test_it_ends_between_two_sub_agents(world):
    """Neither saw it, and the reaper is another process: the master looks on meanwhile."""
    world.master.start()
    job = world.job(lines=5, code=3)
    job.wait_begun()
    pid = world.master.wait_phase(job.task, "running")["pid"]
    world.master.kill()
    kill_agent(world, job)
    world.master.start()
    wait_until(lambda: "taken over" in world.log(), what="a new sub-agent")
    with world.fail_master("--calls", "clone,clone3,vfork", "--errno", "EAGAIN") as injected:
        kill_agent(world, job)
        wait_until(injected.hits, what="a sub-agent that cannot be started")
        job.let_go()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the payload's end")
    world.check()


def traced(pid):
    return "TracerPid:\t0" not in pathlib.Path(f"/proc/{pid}/status").read_text()


def slow_agents(folder):
    """A folder of reeve's programs whose sub-agents take their time to begin, but for the first one."""
    tools = folder / "tools"
    tools.mkdir()
    for path in (OUT / "libexec/reeve").iterdir():
        (tools / path.name).symlink_to(path)
    (tools / "reeve-subagent").unlink()
    (tools / "reeve-subagent").write_text(
        f"#!/bin/sh\n[ ! -e {folder}/next ] || sleep 1.5\n: >{folder}/next\n"
        f"exec {OUT}/libexec/reeve/reeve-subagent \"$@\"\n")
    (tools / "reeve-subagent").chmod(0o755)
    return tools


def test_end_before_its_run_knows_it(make_world, tmp_path):
    """The sub-agent is killed between the payload's begin and STARTED, and the next one takes its time: the master
    has reaped the payload by then."""
    world = make_world(env={"REEVE_LIBEXEC_DIR": str(slow_agents(tmp_path))})
    world.master.start()
    shell = pathlib.Path("/bin/sh").resolve().name
    # HELLO, SPOOLED, then STARTED.
    with Injector(tmp_path / "report", world.master.process.pid, "--program", f"{shell},reeve-subagent",
                  "--calls", "sendmsg", "--at", "3") as injected:
        world.job(lines=5, code=3, ready=True).check()
        assert len(injected.hits()) == 1
    assert "taken over" in world.log()
    world.check_nothing_left()


@pytest.mark.parametrize("at", ["joined", "recorded", "gone"])
def test_killed_while_it_lets_its_payload_go(make_world, at):
    """Whichever call of it was the last: the attempt is begun once, and ends as it does itself. No restart hides one
    that was lost."""
    world = make_world()
    world.master.start()
    calls = {"joined": ("--calls", "pwritev", "--path", "/attempt", "--at", "1"),
             "recorded": ("--calls", "pwritev", "--path", "/attempt", "--at", "1", "--when", "exit"),
             "gone": ("--calls", "write", "--path", "pipe:", "--at", "1", "--when", "exit")}[at]
    with Injector(world.folder / "report", world.master.process.pid, "--program", "reeve-subagent",
                  "--after", "clone,clone3:", *calls) as injected:
        world.job(lines=5, code=3, ready=True).check()
        assert len(injected.hits()) == 1
    assert ("taken over" in world.log()) == (at != "joined")
    world.check_nothing_left()


def test_fork_that_fails_for_a_while(make_world):
    world = make_world()
    world.master.start()
    with Injector(world.folder / "report", world.master.process.pid, "--program", "reeve-subagent",
                  "--calls", "clone,clone3", "--errno", "EAGAIN", "--times", "5") as injected:
        world.job(lines=5, ready=True).check()
        assert len(injected.hits()) == 5
    world.check_nothing_left()


def test_lines_of_a_set_up_that_is_killed(make_world):
    world = make_world()
    world.master.start()
    with Injector(world.folder / "report", world.master.process.pid, "--through", "reeve-subagent",
                  "--program", "reeve-prepare", "--calls", "openat,mkdir", "--path", "/work") as injected:
        task = world.enqueue("true")
        world.wait(task, "failed")
        assert len(injected.hits()) == 1
    assert world.document(task)["status_reason"] == "setup:checkout"
    assert f"Executing task id [{task}]:" in world.text(task)


def never_forks(world, times):
    return Injector(world.folder / "report", world.master.process.pid, "--program", "reeve-subagent",
                    "--calls", "clone,clone3", "--errno", "EAGAIN", "--times", times)


def test_stopped_while_it_cannot_fork(make_world):
    world = make_world()
    world.master.start()
    with never_forks(world, 0) as injected:
        task = world.enqueue("echo begun")
        wait_until(lambda: len(injected.hits()) > 2, what="a fork that fails")
        world.server.call("tasks.stop", {"task": task, "status_reason": "aborted"})
        world.wait(task, "stopped")
    assert "begun" not in world.text(task)
    world.check_nothing_left()


def test_master_comes_while_it_cannot_fork(make_world):
    """It says that nothing has begun, and the START that it is given again is the one at hand."""
    world = make_world()
    world.master.start()
    with never_forks(world, 20) as injected:
        job = world.job(lines=5, code=3, ready=True)
        wait_until(lambda: len(injected.hits()) > 2, what="a fork that fails")
        world.master.kill()
        world.master.start()
        job.check()
        assert len(injected.hits()) == 20
    assert job.marks() == ["begin", "end"]
    world.check_nothing_left()


@pytest.mark.parametrize("error", ["EBUSY", "ENOMEM"])
def test_group_that_cannot_be_made_for_a_moment(make_world, error):
    world = make_world()
    world.master.start()
    with Injector(world.folder / "report", world.master.process.pid, "--thread", "all", "--calls", "mkdir", "--errno", error,
                  "--path", f"{world.master.group}/run/") as injected:
        world.job(lines=5, ready=True).check()
        assert len(injected.hits()) == 1
    world.check_nothing_left()


# What whoever starts reeved may have left it with.
ODD = """import os, resource, signal, sys
os.umask(0o027)
os.set_inheritable(os.dup2(0, 50), True)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGCHLD, signal.SIGALRM})
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 4096))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])"""
# Signals 32 and 33 are the C library's own; posix_spawn(3) anywhere above leaves them ignored.
TOLD = """for i in $(seq 0 100); do [ ! -e /proc/$$/fd/$i ] || echo descriptor $i; done
umask; ulimit -Sn; ulimit -Hn; ulimit -c
sed -En "s/180000000$/000000000/; s/^Sig(Blk|Ign):\\t//p" /proc/self/status
set -- $(cat /proc/$$/stat); [ $6 = $$ ] && [ $5 = $$ ] && [ $7 = 0 ] && echo a session of its own
cat /proc/self/oom_score_adj; readlink /proc/$$/fd/0; [ $(readlink /proc/$$/fd/1) = $(readlink /proc/$$/fd/2) ] && echo one stream"""


def test_what_a_payload_inherits(make_world, tmp_path):
    """As reeved was started, but for what is its own; and nothing of reeve's."""
    (tmp_path / "odd.py").write_text(ODD)
    world = make_world()
    world.master.start(under=(sys.executable, tmp_path / "odd.py"))
    task = world.enqueue(TOLD)
    world.wait(task)
    lines = world.text(task).partition("Starting Task Execution:\n\n")[2].splitlines()
    mine = pathlib.Path("/proc/self/oom_score_adj").read_text().strip()
    assert lines[:-1] == [
        "descriptor 0", "descriptor 1", "descriptor 2", "0027", "512", "4096", "0", "0" * 16, "0" * 16,
        "a session of its own", mine, "/dev/null", "one stream"]
