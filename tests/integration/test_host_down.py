"""SIGTERM of a master that systemd has started: its own end, or the host's."""

import os
import pathlib
import signal
import threading

import pytest

from reeve_up import alive, wait_until


@pytest.fixture
def unit_rig(rig):
    """As a unit of systemd's, whose systemctl says what the file `system` has."""
    program = rig.folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = is-system-running ] && exec cat {rig.folder}/system\nexit 1\n')
    program.chmod(0o755)
    rig.master.env["INVOCATION_ID"] = "0123456789abcdef0123456789abcdef"
    rig.master.env["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    return rig


def start(rig, on_exit="keep"):
    rig.master.start("--queue", "services", "--on-exit", on_exit)


def test_host_goes_down(unit_rig):
    """Services are stopped with their grace; the next boot starts those again whose policy says so, even with
    --on-exit stop."""
    rig = unit_rig
    (rig.folder / "system").write_text("stopping\n")
    start(rig, "stop")
    marks = rig.folder / "ran"
    stays = rig.enqueue(f'echo ran >> {marks}; trap "sleep 0.5; echo line 9; exit 0" TERM; '
                        f'echo line $(wc -l < {marks}); while :; do sleep 0.1; done',
                        "--restart unless-stopped")
    ends = rig.enqueue("echo line 3; exec sleep 300")
    rows = [rig.master.wait_phase(task, "running") for task in (stays, ends)]
    wait_until(lambda: rig.numbers(stays) == [1] and rig.numbers(ends) == [3], what="their first lines")
    rig.master.process.send_signal(signal.SIGTERM)
    assert rig.master.process.wait(60) == 0
    assert not any(alive(row["pid"]) for row in rows)
    assert rig.status(stays) == "in_progress"
    start(rig)
    rig.wait(ends, "failed")
    assert rig.document(ends)["status_reason"] == "host-reboot"
    wait_until(lambda: rig.numbers(stays) == [1, 9, 2], what="the next attempt")
    assert "host-reboot" in rig.text(stays)
    assert marks.read_text() == "ran\n" * 2
    # What ended the last attempt is over: this one can be stopped like any other.
    assert rig.master.control(cmd="stop", task=stays, signal="TERM", grace_ms=5000, by="me")["ok"]
    rig.wait(stays, "stopped")
    assert "reeve stop by me" in rig.document(stays)["status_message"]


def test_nothing_begins_while_the_host_goes_down(unit_rig):
    """Neither the next attempt that is due, nor a task whose claim lands only then: the next boot begins them."""
    rig = unit_rig
    (rig.folder / "system").write_text("stopping\n")
    begun, landed, down = rig.folder / "begun", threading.Event(), threading.Event()
    start(rig)
    again = rig.enqueue(f"echo begun >> {begun}; exit 1", "--restart always")
    holds = rig.enqueue('trap "sleep 2; exit 0" TERM; echo line 1; while :; do sleep 0.1; done')
    wait_until(lambda: rig.numbers(holds) == [1], what="the first line")

    def hold(name, body):
        if name == "tasks.started" and not landed.is_set():
            landed.set()
            down.wait(30)
    rig.proxy.before = hold
    claimed = rig.enqueue(f"echo claimed >> {begun}")
    assert landed.wait(30)
    wait_until(lambda: (r := rig.master.row(again))["phase"] == "backoff" and r["attempt"] >= 4, what="a longer wait")
    rig.master.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "ending with the host" in rig.master.log.read_text(), what="the end's beginning")
    before = begun.read_text()
    down.set()
    assert rig.master.process.wait(60) == 0
    assert begun.read_text() == before
    assert [rig.status(task) for task in (again, claimed)] == ["in_progress"] * 2
    start(rig)
    rig.wait(claimed)
    wait_until(lambda: begun.read_text().count("begun") > before.count("begun"), what="the next attempt")
    assert begun.read_text().count("claimed") == 1
    rig.server.call("tasks.stop", {"task": again})
    rig.wait(again, "stopped")


def test_master_alone_goes_down(unit_rig):
    rig = unit_rig
    (rig.folder / "system").write_text("running\n")
    start(rig)
    task = rig.enqueue("echo line 1; exec sleep 300")
    row = rig.master.wait_phase(task, "running")
    rig.master.process.send_signal(signal.SIGTERM)
    assert rig.master.process.wait(60) == 0
    assert alive(row["pid"])
    rig.master.start()
    assert rig.master.wait_phase(task, "running")["pid"] == row["pid"]


def test_told_to_end_while_systemd_is_asked(unit_rig):
    """The answer that comes later is no second signal, which would leave the runs as they are."""
    rig = unit_rig
    os.mkfifo(rig.folder / "system")  # systemctl waits for the word
    rig.master.start("--queue", "services", "--on-exit", "stop")
    task = rig.enqueue('trap "sleep 1; exit 0" TERM; echo line 1; while :; do sleep 0.1; done')
    wait_until(lambda: rig.numbers(task) == [1], what="the first line")
    rig.master.process.send_signal(signal.SIGTERM)
    wait_until(lambda: any(b"/system" in words for words in children(rig.master.process.pid)), what="the question")
    assert rig.master.control(cmd="shutdown", on_exit="stop")["ok"]
    assert rig.master.process.wait(60) == 0
    assert rig.status(task) == "stopped"


def children(pid):
    """The command lines of its children."""
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            yield pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            pass
