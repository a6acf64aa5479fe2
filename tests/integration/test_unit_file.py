"""The installed reeved.service: services outlive their master, in groups that are not its unit's.

It starts and stops a system's units, so it is collected in a VM with systemd alone (tests/vm/product-v2.sh --systemd).
"""

import os
import pathlib
import shutil
import subprocess

import pytest

from reeve_up import OUT, alive, wait_until

UNITS = pathlib.Path("/run/systemd/system")
GROUPS = pathlib.Path("/sys/fs/cgroup/reeve")


def systemctl(*args, check=True):
    return subprocess.run(["systemctl", *args], check=check, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def unit(reeve):
    """reeved as systemd's service, at its default places, on the queue `unit` of our server."""
    shutil.copy(OUT / "lib/systemd/system/reeved.service", UNITS)
    drop_in = UNITS / "reeved.service.d" / "test.conf"
    drop_in.parent.mkdir(exist_ok=True)
    settings = {"CLEARML_API_HOST": reeve.endpoint["api"], "CLEARML_WEB_HOST": reeve.endpoint["web"],
                "CLEARML_FILES_HOST": reeve.endpoint["files"],
                "CLEARML_API_ACCESS_KEY": reeve.endpoint["access_key"],
                "CLEARML_API_SECRET_KEY": reeve.endpoint["secret_key"],
                "CLEARML_CONFIG_FILE": "/dev/null",
                "REEVED_OPTIONS": "--queue unit --worker-id unit"}
    drop_in.write_text("[Service]\n" + "".join(f'Environment="{k}={v}"\n' for k, v in settings.items()))
    systemctl("daemon-reload")
    reeve.run("queue", "create", "unit")
    systemctl("start", "reeved")
    yield "reeved"
    systemctl("stop", "reeved")
    assert not GROUPS.exists(), list(GROUPS.rglob("*"))


def main_pid(unit):
    return int(systemctl("show", "--property=MainPID", "--value", unit))


@pytest.mark.vm
def test_services_outlive_their_master(reeve, unit, tmp_path):
    flag = tmp_path / "go"
    task = reeve.shell(f"cat /proc/self/cgroup; echo oom=$(cat /proc/self/oom_score_adj) files=$(ulimit -Sn) "
                       f"home=$HOME:$USER; echo pid=$$; "
                       f"while [ ! -e {flag} ]; do sleep 0.2; done; echo after",
                       "--queue", "unit", "--memory", "64m", "--pids", "20")
    group = GROUPS / "run" / task / "payload"
    reeve.wait_line(task, f"0::/reeve/run/{task}/payload")
    # As a unit has it that says nothing of them, and as a login would.
    reeve.wait_line(task, "oom=0 files=1024 home=/root:root")
    pid = next(int(l[4:]) for l in reeve.logs(task).splitlines() if l.startswith("pid="))

    first = main_pid(unit)
    systemctl("restart", unit)
    second = main_pid(unit)
    assert second not in (0, first) and alive(pid)
    os.kill(second, 9)
    wait_until(lambda: main_pid(unit) not in (0, second), what="systemd's restart of it")
    systemctl("daemon-reload")
    assert alive(pid) and str(pid) in (group / "cgroup.procs").read_text().split()
    assert (group / "memory.max").read_text() == f"{64 << 20}\n"
    assert (group / "pids.max").read_text() == "20\n"

    flag.touch()
    assert reeve.wait(task) == 0
    assert "after" in reeve.logs(task).splitlines()
    wait_until(lambda: not group.parent.exists(), what="the group's end")


@pytest.mark.vm
def test_daemon_stop_is_systemctl_stop(reeve, unit):
    """By the master's own request systemd would have it back in a second."""
    task = reeve.shell("echo ready; sleep 600", "--queue", "unit")
    reeve.wait_line(task, "ready")
    pid = int(next((GROUPS / "run" / task / "payload").glob("cgroup.procs")).read_text().split()[0])
    done = subprocess.run([OUT / "bin/reeve", "daemon", "--stop", "--run-dir", "/run/reeve"], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert main_pid(unit) == 0 and systemctl("is-active", unit, check=False) == "inactive" and alive(pid)
    systemctl("start", unit)
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    wait_until(lambda: not (GROUPS / "run" / task).exists(), what="the group's end")
