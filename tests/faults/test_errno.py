"""Each system call of a run fails once: of the master, its sub-agents, what sets payloads up. A point is one call
with one error; in CI a spread of them, all with --long. A point that failed is run alone by
REEVE_FAULT_POINT='WHO CALL NUMBER ERROR' pytest tests/faults/test_errno.py."""

import collections
import os

import pytest

from broken import make_world  # noqa: F401
from injector import Injector, spread
from invariants import leftovers
from reeve_up import wait_until

IO = ("EIO", "ENOSPC")
ERRORS = {
    "openat": ("EMFILE", "EIO", "ENOSPC", "EROFS"), "write": ("ENOSPC", "EIO", "EDQUOT"), "pwritev": IO, "pwrite64": IO,
    "writev": IO, "read": ("EIO",), "pread64": ("EIO",), "fdatasync": IO, "fsync": ("EIO",), "rename": IO + ("EROFS",),
    "mkdir": ("ENOSPC", "EBUSY", "ENODEV", "EROFS"), "unlink": ("EIO", "EROFS"), "rmdir": ("EBUSY", "EIO"),
    "unlinkat": ("EIO", "EBUSY"), "fchmod": ("EIO",), "fchmodat": ("EIO",), "ftruncate": IO, "fallocate": IO, "close": ("EIO", "EDQUOT"),
    "access": ("EIO", "EACCES"), "newfstatat": ("EIO",), "fstat": ("EIO",), "getdents64": ("EIO",), "lseek": ("EIO",), "flock": ("ENOLCK",),
    "mknodat": ("ENOSPC",), "mknod": ("ENOSPC",), "fcntl": ("EMFILE",), "dup2": ("EMFILE",), "dup3": ("EMFILE",), "pipe2": ("EMFILE", "ENFILE"),
    "socket": ("EMFILE", "ENOBUFS"), "connect": ("ECONNREFUSED", "EAGAIN"), "accept4": ("EMFILE", "ENFILE", "ECONNABORTED"),
    "setsockopt": ("ENOBUFS",), "getsockopt": ("ENOBUFS",), "sendto": ("ENOBUFS", "ECONNRESET"), "recvfrom": ("ECONNRESET",),
    "sendmsg": ("ENOBUFS", "EPIPE", "EAGAIN"), "recvmsg": ("ENOMEM", "ECONNRESET", "EMFILE"), "memfd_create": ("EMFILE", "ENOMEM"),
    "mmap": ("ENOMEM",), "brk": ("ENOMEM",), "munmap": ("ENOMEM",), "clone": ("EAGAIN", "ENOMEM"), "clone3": ("EAGAIN", "ENOMEM"), "fork": ("EAGAIN",),
    "vfork": ("EAGAIN",), "execve": ("ENOENT", "ENOMEM"), "pidfd_open": ("EMFILE",), "waitid": ("EINTR",),
    "epoll_ctl": ("ENOSPC", "ENOMEM"), "epoll_create1": ("EMFILE",), "timerfd_create": ("EMFILE",), "timerfd_settime": ("EINVAL",),
    "signalfd4": ("EMFILE",), "splice": ("EIO", "ENOSPC", "ENOMEM"), "setsid": ("EPERM",), "close_range": ("EINVAL",), "symlink": ("ENOSPC",),
    "readlink": ("EIO",), "chdir": ("EIO",),
}
# Of these only what has a path: a pipe or an event of the kernel's own does not fail so.
FILES = ("read", "write", "writev", "close", "fcntl")
# A master that has no memory ends, as Linux's own way with it is; the next one goes on. Nothing else ends it.
MAY_END = {"mmap", "brk"}
# Whose calls, the options of inject for them, how many points in CI, and how a run may end beside its own way: its
# set-up failed, or its sub-agent did not come up, and it says so.
Victim = collections.namedtuple("Victim", "options points reasons")
VICTIMS = {
    "reeved": Victim(["--program", "reeved", "--thread", "all"], 12, ["setup:*"]),
    "reeve-subagent": Victim(["--program", "reeve-subagent"], 6, ["setup:*", "agent-lost"]),
    # From the reading of its specification on: its libraries are the loader's.
    "reeve-prepare": Victim(["--program", "reeve-prepare", "--through", "reeve-subagent", "--after", "*:memfd:"], 4, ["setup:*"]),
}
UNREACHED = 0.1  # of all points at most: no two runs make exactly the same calls


class Sweep:
    """One master for many points; each has a task of its own."""

    def __init__(self, world, name):
        self.world, self.name, self.victim = world, name, VICTIMS[name]
        self.ends = []
        world.master.start()
        self.run([], [])  # connections, folders and groups that stay are there then

    def injected(self, *options, number):
        return Injector(self.world.folder / f"report-{number}", self.world.master.process.pid, *self.victim.options, *options)

    def run(self, options, may):
        """What was reported of a run with these options of inject."""
        world, number = self.world, len(self.world.jobs)
        with self.injected(*(options or ["--count"]), number=number) as injected:
            job = world.job(lines=5, ready=True, may=may)
            wait_until(lambda: self.keep_alive() or world.status(job.task) not in ("queued", "in_progress"), 60, 0.02,
                       f"the end of {job.task}")
            self.wait_removed(job.task)
        job.check()
        return injected.hits()

    def keep_alive(self):
        """Starts the master again when it has ended, which is noted."""
        code = self.world.master.process.poll()
        if code is not None:
            self.ends.append(code)
            self.world.master.start()
        return False

    def wait_removed(self, task):
        """Its row is gone while the removal of its files may be on its way."""
        world = self.world
        wait_until(lambda: self.keep_alive() or self.is_gone(task), 60, 0.02, "the end of the run")
        try:
            wait_until(lambda: not leftovers(world.master, task), 10, 0.02)
        except AssertionError:
            raise AssertionError(f"left over: {leftovers(world.master, task)}") from None

    def is_gone(self, task):
        try:
            return not self.world.master.row(task)
        except (OSError, ValueError):
            return False  # the call that failed may have been one for this connection

    def points(self):
        calls = collections.Counter(w[3] for w in self.run([], []) if w[3] not in FILES or "/" in "".join(w[4:]))
        return [(call, number, error) for call, count in sorted(calls.items())
                for error in ERRORS.get(call, ()) for number in range(1, count + 1)]

    def try_point(self, call, number, error):
        """Whether the call was made."""
        options = ["--calls", call, "--at", str(number), "--errno", error, *(("--path", "/") if call in FILES else ())]
        self.ends.clear()
        try:
            hits = self.run(options, self.victim.reasons)
            assert not self.ends or self.name == "reeved" and call in MAY_END, f"the master ended: {self.ends}"
        except AssertionError as failed:
            raise AssertionError(f"REEVE_FAULT_POINT='{self.name} {call} {number} {error}': {failed}\n"
                                 + self.world.log()[-3000:]) from None
        return len(hits) > 0


@pytest.mark.parametrize("name", VICTIMS)
def test_each_call_fails_once(make_world, name, request, tally):
    alone = os.environ.get("REEVE_FAULT_POINT", "").split()
    if alone and alone[0] != name:
        pytest.skip("another point is asked for")
    sweep = Sweep(make_world(), name)
    if alone:
        points = [(alone[1], int(alone[2]), alone[3])]
    else:
        points = sweep.points()
        if not request.config.getoption("--long"):
            points = spread(points, VICTIMS[name].points, name)
    failures, missed = [], []
    for point in points:
        try:
            if not sweep.try_point(*point):
                missed.append(point)
        except AssertionError as failed:
            failures.append(str(failed))
            print(str(failed)[:300], flush=True)
            if len(failures) >= 10:
                break
    tally(len(points) - len(missed), len(failures))
    assert not failures, "\n\n".join(failures)
    assert len(missed) <= max(1, UNREACHED * len(points)), f"not reached: {missed}"
