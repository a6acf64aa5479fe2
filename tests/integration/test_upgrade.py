"""`reeve upgrade`: a new reeved in the place of the running one; nothing of a run is touched or lost."""

import os
import shutil

import pytest

from reeve_up import OUT, alive, wait_until


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
    answer = reeve.json("upgrade", "--binary", program)
    assert answer["pid"] == old["pid"] and answer["version"].endswith(version)
    new = reeve.json("status")
    assert new["pid"] == old["pid"] and new["version"] == version != old["version"]
    assert new["worker"] == old["worker"]
    again = wait_until(lambda: reeve.row(task), what="the adopted run")
    assert again["pid"] == row["pid"] and alive(row["pid"])
    # Back again, by its own path.
    reeve.run("upgrade", "--binary", OUT / "sbin/reeved")
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


def test_usage(reeve, tmp_path):
    assert reeve.run("upgrade", "--binary", tmp_path / "none", check=False).returncode == 2
    check = os.popen(f"CLEARML_CONFIG_FILE=/dev/null CLEARML_API_HOST=http://127.0.0.1:1 {OUT}/sbin/reeved --check").read()
    assert check.startswith("reeve ")
