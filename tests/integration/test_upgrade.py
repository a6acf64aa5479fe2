"""`reeve upgrade`: a new reeved in the place of the running one; nothing of a run is touched or lost."""

import json
import os
import shutil
import subprocess

import pytest

from reeve_up import OUT, SLOW, alive, clean_environment, wait_until


def until(path):
    return f"until [ -e {path} ]; do sleep 0.1; done"


@pytest.fixture
def newer(tmp_path):
    """The same program under another version."""
    program = tmp_path / "reeved-new"
    text = (OUT / "sbin/reeved").read_bytes()
    old = os.popen(f"{OUT}/sbin/reeved --version").read().split()[1]
    new = old[:-1] + ("9" if old[-1] != "9" else "8")
    program.write_bytes(text.replace(b"reeve " + old.encode(), b"reeve " + new.encode())
                        .replace(b"\0" + old.encode() + b"\0", b"\0" + new.encode() + b"\0"))
    shutil.copymode(OUT / "sbin/reeved", program)
    return program, new


def test_upgrade_in_place(reeve, newer, tmp_path):
    go = tmp_path / "go"
    program, version = newer
    task = reeve.shell(f"umask; echo line 1; {until(go)}; echo line 2; exit 4", "--restart", "on-failure:1")
    reeve.wait_line(task, "line 1")
    row, old = reeve.row(task), reeve.json("status")
    current = tmp_path / "current"
    current.symlink_to(program)
    answer = json.loads(reeve.run("upgrade", "--binary", "current", "--json", cwd=tmp_path).stdout)
    assert answer["pid"] == old["pid"] and answer["version"].endswith(version)
    new = reeve.json("status")
    assert new["pid"] == old["pid"] and new["version"] == version != old["version"]
    assert new["worker"] == old["worker"]
    again = wait_until(lambda: reeve.row(task), what="the adopted run")
    assert again["pid"] == row["pid"] and alive(row["pid"])
    # Back again, by its own path, which leads to another file by now.
    current.unlink()
    current.symlink_to(OUT / "sbin/reeved")
    reeve.run("upgrade")
    assert reeve.json("status")["version"] == old["version"]
    other = reeve.shell("umask; echo other")
    assert reeve.wait(other) == 0
    go.touch()
    assert reeve.wait(task) == 1
    lines = reeve.logs(task).splitlines()
    assert [l for l in lines if l.startswith("line")] == ["line 1", "line 2"] * 2
    # What the next program starts has the umask that the first one came with.
    masks = {l for t in (task, other) for l in reeve.logs(t).splitlines() if l.isdigit() and len(l) == 4}
    assert len(masks) == 1


@pytest.mark.parametrize("what, words", [("#!/bin/sh\necho no such option >&2; exit 2\n", "no such option"),
                                         ("#!/bin/sh\nkill -9 $$\n", "did not end by itself"),
                                         ("not a program", "Exec format")], ids=["refuses", "dies", "junk"])
def test_what_does_not_start_is_refused(reeve, tmp_path, what, words):
    program = tmp_path / "reeved"
    program.write_text(what)
    program.chmod(0o755)
    before = reeve.json("status")
    done = reeve.run("upgrade", "--binary", program, check=False)
    assert done.returncode == 1
    assert words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    after = reeve.json("status")
    assert (after["pid"], after["version"]) == (before["pid"], before["version"])
    assert after["uptime_s"] >= before["uptime_s"]


def descriptors(pid):
    """What is open there."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return found


@pytest.fixture
def other(tmp_path):
    """A program that passes the check; what it does in the master's place is the test's."""
    program = tmp_path / "reeved"

    def make(does, checked=""):
        if does == "does not start":
            program.write_bytes((OUT / "sbin/reeved").read_bytes().replace(b"\0control.sock\0", b"\0contro/.sock\0"))
        else:
            program.write_text(f'#!/bin/sh\nfor word; do\n[ "$word" != --check ] || {{ {checked} exec {OUT}/sbin/reeved "$@"; }}'
                               f'\ndone\n{does}\n')
        program.chmod(0o755)
        return program
    return make


@pytest.mark.parametrize("does, checked, words", [
    ("does not start", "", "does not start: "), ("", 'rm "$0";', "cannot be executed: No such file"),
], ids=["no start", "no file"])
def test_the_old_program_goes_on(reeve, other, tmp_path, does, checked, words):
    task = reeve.shell(f"echo line 1; {until(tmp_path / 'go')}; echo line 2")
    reeve.wait_line(task, "line 1")
    before, row = reeve.json("status"), reeve.row(task)
    done = reeve.run("upgrade", "--binary", other(does, checked), check=False)
    assert done.returncode == 1
    assert words in done.stderr and "the old one goes on" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    after = reeve.json("status")
    assert (after["pid"], after["version"]) == (before["pid"], before["version"])
    assert words in after["upgrade_failed"]
    assert not [fd for fd in descriptors(after["pid"]) if fd.endswith("/reeved")]
    assert wait_until(lambda: reeve.row(task), what="the adopted run")["pid"] == row["pid"]
    # By its own path, which is not that of the failed one.
    reeve.run("upgrade")
    assert reeve.json("status")["upgrade_failed"] is None
    (tmp_path / "go").touch()
    assert reeve.wait(task) == 0
    assert [l for l in reeve.logs(task).splitlines() if l.startswith("line")] == ["line 1", "line 2"]


def test_one_that_ends_at_once_is_no_success(reeve, other):
    before = reeve.json("status")["pid"]
    done = reeve.run("upgrade", "--binary", other("exit 0"), check=False)
    assert done.returncode == 1
    assert "the new one has ended" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert reeve.json("status")["pid"] != before


@pytest.mark.parametrize("name, value", [
    ("CAPACITY__MEMORY", "much"), ("CAPACITY__CPUS", "-1"), ("MIN_FREE_DISK", "little"), ("MAX_PRESSURE__IO", "101"),
    ("ADMISSION__TOO_LARGE", "drop"), ("LOG__BUDGET", "much"), ("LOG__WHEN_FULL", "no"), ("FORCED_STOP", "never"),
    ("METRICS__LISTEN", "nowhere:1"), ("DEFAULTS__MEMORY", "12x"), ("CEILINGS__PIDS", "many"), ("HOST__MEMORY", "12x"),
    ("DEFAULTS__MEMORY_SWAP", "1g"), ("CGROUP_ROOT", "a b"),
])
def test_the_check_finds_what_would_keep_it_from_starting(name, value):
    done = subprocess.run([OUT / "sbin/reeved", "--check"], capture_output=True, text=True, timeout=20 * SLOW, env=clean_environment(
        CLEARML_API_HOST="http://127.0.0.1:1", CLEARML_CONFIG_FILE="/dev/null",
        **{f"CLEARML_AGENT__AGENT__REEVE__{name}": json.dumps(value)}))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    words = name.lower().replace("__", ".")
    assert words in done.stderr or (words == "metrics.listen" and "nowhere" in done.stderr)


def test_usage(reeve, tmp_path):
    assert reeve.run("upgrade", "--binary", tmp_path / "none", check=False).returncode == 2
    check = os.popen(f"CLEARML_CONFIG_FILE=/dev/null CLEARML_API_HOST=http://127.0.0.1:1 {OUT}/sbin/reeved --check").read()
    assert check.startswith("reeve ")
