"""Nothing escapes its end, and what can't be ended yet is named, tried again, and told when it is gone."""

import contextlib
import ctypes
import os
import pathlib
import re
import select
import struct
import sys

import pytest

from reeve_up import LEAVE, alive, wait_until

LIBC = ctypes.CDLL(None, use_errno=True)


class DeadFuse:
    """A file system whose server has taken a request and never answers: who asked is in uninterruptible sleep."""

    def __init__(self, folder):
        self.folder = folder
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0"
        if LIBC.mount(b"dead", str(folder).encode(), b"fuse", 6, options.encode()):
            number = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(number, "mount")
        unique = self.take(10)
        init = struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 12, 9, 4096, 1, 1, 0, 0, *[0] * 7)
        os.write(self.fd, struct.pack("<IiQ", 16 + len(init), 0, unique) + init)

    def take(self, timeout):
        """The next request's number."""
        assert select.select([self.fd], [], [], timeout)[0], "a request"
        return struct.unpack_from("<IIQ", os.read(self.fd, 1 << 17))[2]

    def close(self):
        if self.fd >= 0:
            LIBC.umount2(str(self.folder).encode(), 2)
            os.close(self.fd)
        self.fd = -1


@pytest.fixture
def dead_folder(tmp_path):
    folder = tmp_path / "dead"
    folder.mkdir()
    try:
        fuse = DeadFuse(folder)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    yield fuse
    fuse.close()


def stuck(reeve, task, name):
    """Once it is named in ps, with its state; all that shows it."""
    word = re.compile(rf"{name} \(\d+, D( in [\w.]+)?\)")
    row = wait_until(lambda: (r := reeve.row(task)) and word.search(r["stuck"] or "") and r, what="what is stuck")
    said = re.compile(rf"^reeve: cannot be ended yet, tried again: .*{word.pattern}", re.M)
    wait_until(lambda: said.search(reeve.logs(task)), what="the line that says so")
    assert reeve.json("status")["stuck"] == 1 and word.search(reeve.json("inspect", task)["stuck"])
    assert word.search(reeve.run("ps").stdout)
    return row


def gone(reeve, task):
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    assert "reeve: what could not be ended is gone, after" in reeve.logs(task)
    assert reeve.json("status")["stuck"] == 0


@pytest.mark.vm
def test_uninterruptible_sleep(reeve, dead_folder):
    """It is named and holds up no other run; and it goes as soon as the kernel lets it."""
    task = reeve.shell(f"echo ready; cat {dead_folder.folder}/x")
    reeve.wait_line(task, "ready")
    dead_folder.take(30)
    reeve.run("stop", "--now", task)
    row = stuck(reeve, task, "cat")
    assert row["phase"] in ("stopping", "running")
    other = reeve.shell("echo not held up")
    assert reeve.wait(other) == 0
    dead_folder.close()
    gone(reeve, task)
    assert (reeve.status(task), reeve.task(task)["status_reason"]) == ("stopped", "aborted")


def test_uninterruptible_sleep_of_a_run_whose_sub_agent_is_gone(reeve, dead_folder):
    """The one that replaces it goes on with that, and says so again."""
    task = reeve.shell(f"echo ready; cat {dead_folder.folder}/x")
    reeve.wait_line(task, "ready")
    dead_folder.take(30)
    reeve.run("stop", "--now", task)
    stuck(reeve, task, "cat")
    for folder in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and b"reeve-subagent\0--task\0" + task.encode() in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), 9)
    wait_until(lambda: reeve.logs(task).count("reeve: cannot be ended yet") >= 2, what="the word of the next one")
    stuck(reeve, task, "cat")
    dead_folder.close()
    gone(reeve, task)
    assert reeve.status(task) == "stopped"


def test_who_has_left_its_cgroup_is_found(reeve, tmp_path):
    """A daemon of root's that moved itself out of all its groups is brought back, named and ended."""
    stray = tmp_path / "stray"
    task = reeve.submit("--", sys.executable, "-c", LEAVE + f"""
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    leave()
    child = os.fork()
    open('{stray}', 'a').write(str(os.getpid()) + ' ')
    time.sleep(300)
while not os.path.exists('{stray}') or len(open('{stray}').read().split()) < 2: time.sleep(0.02)
""")
    assert reeve.wait(task) == 0
    pids = [int(word) for word in stray.read_text().split()]
    assert len(pids) == 2 and not any(alive(pid) for pid in pids)
    assert re.search(r"reeve: found outside its cgroup, and brought back: python\S* \(\d+\)", reeve.logs(task))


BOMB = """
import os, time
print('ready', flush=True)
while True:
    try: os.fork()
    except OSError: time.sleep(0.001)
"""


@pytest.mark.vm
@pytest.mark.parametrize("how", [pytest.param("--now", marks=pytest.mark.long), "--grace=1s"])
def test_a_fork_bomb_is_ended(reeve, how):
    task = reeve.submit("--pids", "60", "--", sys.executable, "-c",
                        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BOMB)
    reeve.wait_line(task, "ready")
    row = reeve.row(task)
    reeve.run("stop", how, task)
    assert reeve.wait(task) == 1
    assert reeve.status(task) == "stopped"
    wait_until(lambda: not any(os.path.isdir(d) for d in row["cgroup"]), what="the groups' end")


@pytest.mark.vm
@pytest.mark.long
def test_stopped_and_traced_processes_are_ended(reeve):
    """Neither can take the stop signal; one is held by another that is deaf."""
    task = reeve.submit("--", sys.executable, "-c", """
import ctypes, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = os.fork()
if held == 0:
    time.sleep(300)
ctypes.CDLL(None).ptrace(16, held, 0, 0)
os.waitpid(held, 0)
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
print('ready', flush=True)
time.sleep(300)
""")
    reeve.wait_line(task, "ready")
    row = reeve.row(task)
    reeve.run("stop", "--grace", "1s", task)
    assert reeve.wait(task) == 1
    wait_until(lambda: not any(os.path.isdir(d) for d in row["cgroup"]), what="the groups' end")
    assert reeve.status(task) == "stopped"
