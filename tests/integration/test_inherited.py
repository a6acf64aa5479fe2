"""What a payload has of the environment of its master: all of it, and nothing that the master took for itself."""

import os
import pwd
import re

import pytest

from reeve_up import wait_until

# What each has, of which the payload shall have what reeved was started with.
SHOW = ('echo oom=$(cat /proc/self/oom_score_adj) files=$(ulimit -Sn):$(ulimit -Hn) '
        'login=$HOME:$USER:$LOGNAME:$SHELL')


def oom_score(pid):
    with open(f"/proc/{pid}/oom_score_adj") as f:
        return int(f.read())


def may_lower():
    """Whether this process may lower the score; a child tries it."""
    pid = os.fork()
    if pid == 0:
        try:
            with open("/proc/self/oom_score_adj", "w") as f:
                f.write("-900")
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def knows(master, task):
    try:
        return master.row(task)
    except (OSError, ValueError):
        return None  # between the two programs


@pytest.mark.vm
def test_payloads_have_what_reeved_was_started_with(rig):
    """Also after an upgrade in place: the kernel would end the master last, payloads as ever."""
    rig.master.start(under=("/bin/sh", "-c", "echo 100 > /proc/self/oom_score_adj; ulimit -Sn 1000; ulimit -Hn 3000; "
                            'unset HOME USER LOGNAME SHELL; exec "$@"', "sh"))
    user = pwd.getpwuid(os.geteuid())
    lowest = -900 if may_lower() else 100
    for n in range(2):
        task = rig.enqueue(f"{SHOW}; sleep 300")
        shown = wait_until(lambda: re.search(r"^oom=.*$", rig.text(task), re.M), what="what it shows")
        assert shown.group() == (f"oom=100 files=1000:3000 login={user.pw_dir}:{user.pw_name}:{user.pw_name}:"
                                 f"{user.pw_shell}")
        assert [oom_score(pid) for pid in (rig.master.process.pid, *rig.master.sub_agents())] == [lowest] * (2 + n)
        if n == 0:
            assert rig.master.control(cmd="upgrade")["ok"]
            wait_until(lambda: knows(rig.master, task), what="the upgraded master")
