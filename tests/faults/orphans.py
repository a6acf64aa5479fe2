"""Processes whose parent was killed come to the one that runs the tests, which sees how they end: a test that kills a
master learns of a sub-agent that crashed, and of a process that nobody ended."""

import ctypes
import os
import pathlib
import signal
import subprocess
import threading
import time

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
# What no program here ends by unless something is wrong with it; SIGKILL is what tests and reeve send.
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP,
           signal.SIGPIPE}
# Of a sub-agent 75: another one has the run; of the child that would be its payload 127: it was not told to begin.
GOOD_CODES = {"reeve-subagent": {0, 75, 127}, "reeved": {0}, "reeve-server": {0}}

REAP_EVERY = 0.02  # as an init would: how a process ended can be read once it was reaped

own, lock, bad = set(), threading.Lock(), []


class Recorded(subprocess.Popen):
    """What the tests themselves have started is no orphan."""

    def __init__(self, *args, **options):
        with lock:
            super().__init__(*args, **options)
            own.add(self.pid)


def adopt():
    """From now on."""
    assert ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
    subprocess.Popen = Recorded
    threading.Thread(target=reap_on, daemon=True).start()


def reap_on():
    while True:
        reap()
        time.sleep(REAP_EVERY)


def stat_words(pid):
    """Its name, its state and its parent; None if it is gone."""
    try:
        head, _, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return None
    words = rest.split()
    return head.partition("(")[2], words[0], int(words[1])


def children_of(thread):
    try:
        return map(int, (thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return ()  # it has ended, and its children are another thread's


def orphans():
    """(pid, name, state) of each."""
    with lock:
        children = [pid for thread in pathlib.Path("/proc/self/task").iterdir() for pid in children_of(thread)]
        known = own.intersection(children)
    for pid in set(children) - known:
        words = stat_words(pid)
        if words and words[2] == os.getpid():
            yield pid, words[0], words[1]


def reap():
    for pid, name, state in orphans():
        if state != "Z":
            continue
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            continue
        if -code in CRASHES:
            bad.append(f"{name} {pid} ended by {signal.Signals(-code).name}")
        elif code > 0 and code not in GOOD_CODES.get(name, {code}):
            bad.append(f"{name} {pid} ended with {code}")


def crashed():
    """In words, who ended as none should, since the last look."""
    found, bad[:] = bad[:], []
    return found


def living():
    """In words, who is left."""
    return [f"{name} {pid}" for pid, name, state in orphans() if state not in "ZX"]
