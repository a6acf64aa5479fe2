"""A master of a user without rights: with a group that was delegated to it, and without one."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from reeve_up import OUT, SLOW, Reeve, clean_environment

USER = 54321
ROOT = pathlib.Path("/sys/fs/cgroup")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
V2 = (ROOT / "cgroup.controllers").exists()


def as_user(*words):
    return ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", *map(str, words)]


@pytest.fixture
def home():
    """A folder of the user's, with the programs where the user may read them."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reeve-rootless-"))
    for name in ("bin", "sbin", "libexec", "share"):
        shutil.copytree(OUT / name, folder / "out" / name, symlinks=True)
    (folder / "home").mkdir()
    os.chown(folder / "home", USER, USER)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)




@pytest.fixture
def delegated():
    """A group of the user's below the top, as systemd's Delegate=yes or an administrator makes it."""
    group = ROOT / f"reeve-user-{os.getpid()}"
    for controller in ("cpu", "memory", "pids", "io", "cpuset"):
        try:
            (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            pass  # io and cpuset may be missing
    group.mkdir()
    for path in (group, *(group / name for name in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))):
        os.chown(path, USER, USER)
    yield group
    group.rmdir()


@pytest.mark.vm
@pytest.mark.skipif(not V2, reason="delegation to users is for v2")
def test_runs_with_quotas(home, delegated):
    reeve = Reeve(home / "home" / "data", env={"HOME": str(home / "home")})
    reeve.out = home / "out"
    reeve.before = ["sh", "-c", 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"', "sh", delegated, *as_user()]
    reeve.start()
    try:
        task = reeve.shell("echo user $(id -u); exec sleep 300", "--memory", "64m", "--cpus", "0.5", "--pids", "30")
        reeve.wait_line(task, f"user {USER}")
        row = reeve.row(task)
        group = pathlib.Path(row["cgroup"][0])
        assert delegated in group.parents, row["cgroup"]
        assert (group / "memory.max").read_text().strip() == str(64 << 20)
        assert (group / "cpu.max").read_text().split()[0] == "50000"
        assert (group / "pids.max").read_text().strip() == "30"
        reeve.run("set", task, "--memory", "96m")
        assert (group / "memory.max").read_text().strip() == str(96 << 20)

        eater = reeve.shell("exec tail /dev/zero", "--memory", "32m")
        assert reeve.wait(eater) == 1
        assert reeve.task(eater)["status_reason"] == "oom"

        done = subprocess.run(["sh", "-c", 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"', "sh",
                               group.parent.parent.parent / "master",
                               *as_user(home / "out/bin/reeve", "doctor", "--data", reeve.data)],
                              env=reeve.env, capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"user {USER} in a delegated group" in done.stdout
        reeve.run("stop", task)
        assert reeve.wait(task) == 1
    finally:
        left = reeve.end()
    assert not left, left


@pytest.mark.skipif(V2, reason="v1 and hybrid")
def test_without_a_group_it_says_what_to_do(home):
    """v1 has no delegation: plainly said, by the master and by the doctor."""
    env = clean_environment(HOME=str(home / "home"), CLEARML_API_HOST="http://127.0.0.1:1",
                            REEVE_STATE_DIR=str(home / "home/state"), REEVE_RUN_DIR=str(home / "home/run"))
    done = subprocess.run(as_user(home / "out/sbin/reeved"), env=env, capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode != 0
    assert "cgroup v1 needs root" in done.stderr and len(done.stderr.splitlines()) == 1
    done = subprocess.run(as_user(home / "out/bin/reeve", "doctor"), env=env, capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode == 1
    assert "without root use v2" in done.stdout
