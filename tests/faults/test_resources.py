"""Descriptors, processes, groups and disks that are refused for a while: nothing spins, nothing is lost, and what
could not be set up says so."""

import contextlib
import os
import resource
import socket
import threading

import pytest

from broken import make_world, world  # noqa: F401
from reeve_up import wait_until

BUSY = "[ $((i % 20)) -gt 0 ] || sleep 0.1 9>&-"
CHANGES = "openat,write,pwritev,rename,mkdir,unlink,rmdir,ftruncate,fallocate,fsync,fdatasync"


@contextlib.contextmanager
def no_descriptor_free(pid):
    """Until it is over the process gets none."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1 + max(map(int, os.listdir(f"/proc/{pid}/fd"))), before[1]))
    # Numbers that are free below the highest one are used up by who holds them.
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def cpu_ticks(pid):
    """What a process has used so far, in 1/100 s."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


def spins(pid):
    """Whether it does nothing but ask: more than half of a second's time. A loaded machine may hide it, never show it."""
    before = cpu_ticks(pid)
    threading.Event().wait(1)
    return cpu_ticks(pid) - before > 50


def test_no_descriptor_for_the_master(world):
    world.master.start()
    world.job(lines=300, each=BUSY).wait_begun()
    folder = os.open(world.folder / "run", os.O_RDONLY)
    waiting = []
    with no_descriptor_free(world.master.process.pid):
        for _ in range(40):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].connect(f"/proc/self/fd/{folder}/control.sock")
            waiting[-1].sendall(b'{"cmd": "status"}\n')
        wait_until(lambda: "Too many open files" in world.log(), 60, what="a word about descriptors")
        assert not spins(world.master.process.pid)
        world.job(lines=5, may=["setup:*"])
    for connection in waiting:
        connection.settimeout(60)
        assert connection.recv(1)
        connection.close()
    os.close(folder)
    world.check()


def test_no_descriptor_for_the_server(world):
    world.master.start()
    world.job(lines=300, each=BUSY).wait_begun()
    port = int(world.server.endpoint["api"].rpartition(":")[2])
    waiting = []
    with no_descriptor_free(world.server.process.pid):
        for _ in range(20):
            waiting.append(socket.create_connection(("127.0.0.1", port)))
        assert not spins(world.server.process.pid)
        world.jobs[0].let_go()
        assert world.server.process.poll() is None, "the server ended"
    for connection in waiting:
        connection.close()
    world.job(lines=5)
    world.check()


@pytest.mark.parametrize("calls,path,error", [
    (CHANGES, "/state", "EROFS"),
    ("clone,clone3,vfork,fork", "", "EAGAIN"),
    ("mkdir", "/sys/fs/cgroup", "ENOSPC"),
    *(pytest.param(*point, marks=pytest.mark.long) for point in [
        (CHANGES, "/state", "EIO"), (CHANGES, "/run", "EIO"), (CHANGES, "/run", "ENOSPC"),
        ("mkdir,openat,write", "/sys/fs/cgroup", "ENODEV"), ("write", "/sys/fs/cgroup", "EBUSY"),
        ("memfd_create", "", "ENFILE"), ("mkdir", "/sys/fs/cgroup", "EBUSY")])])
def test_master_is_refused_for_a_while(world, calls, path, error):
    world.master.start()
    world.job(lines=200, each=BUSY).wait_begun()
    options = ["--calls", calls, "--errno", error, *(("--path", path) if path else ())]
    with world.fail_master(*options) as injected:
        world.job(lines=5, may=["setup:*"])
        wait_until(lambda: injected.hits(), 60, what="some failing calls")
        world.jobs[0].let_go()
        assert world.master.process.poll() is None, world.log()
    world.check()


def test_lines_cannot_be_listed_at_the_end(world):
    """A folder that cannot be read is not an empty one: the task is not over before its lines are sent."""
    world.master.start()
    job = world.job(lines=20)
    job.wait_begun()
    with world.fail_master("--calls", "getdents64", "--path", "/state/runs", "--errno", "EIO") as injected:
        job.let_go()
        wait_until(lambda: (row := world.master.row(job.task)) is None or row["phase"] == "draining", 60, what="the end")
        seen = len(injected.hits())
        wait_until(lambda: world.master.row(job.task) is None or len(injected.hits()) > seen + 1, 60, what="another try")
    world.check()


@pytest.mark.parametrize("calls,error", [
    ("pwritev", "ENOSPC"), ("splice", "EIO"),
    *(pytest.param(*point, marks=pytest.mark.long) for point in [
        ("pwritev", "EIO"), ("pwritev", "EDQUOT"), ("fdatasync,fsync", "EIO"), ("splice", "ENOMEM"), ("pread64", "EIO"),
        ("ftruncate,fallocate", "EIO"), ("openat", "EMFILE")])])
def test_sub_agent_is_refused_for_a_while(world, calls, error):
    """Its payload waits, or goes on; no line is lost."""
    world.master.start()
    world.job(lines=200, each=BUSY).wait_begun()
    agents = world.fail_agents("--calls", calls, "--errno", error)
    world.jobs[0].let_go()
    if calls in ("pwritev", "splice"):
        wait_until(lambda: any(agent.hits() for agent in agents), 60, what="a failing call")
    for agent in agents:
        agent.close()
    world.check()
