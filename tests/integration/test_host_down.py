"""SIGTERM of a master that systemd has started: its own end, or the host's."""

import os
import signal

import pytest

from reeve_up import alive, wait_until


@pytest.fixture
def unit_rig(rig):
    """As a unit of systemd's, whose systemctl says what the file `system` has."""
    program = rig.folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = is-system-running ] && cat {rig.folder}/system\nexit 1\n')
    program.chmod(0o755)
    rig.master.env["INVOCATION_ID"] = "0123456789abcdef0123456789abcdef"
    rig.master.env["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    return rig


def start(rig):
    rig.master.start("--queue", "services", "--on-exit", "keep")


def test_host_goes_down(unit_rig):
    """Services are stopped with their grace; the next boot starts those again whose policy says so."""
    rig = unit_rig
    (rig.folder / "system").write_text("stopping\n")
    start(rig)
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
    rig.server.call("tasks.stop", {"task": stays})
    rig.wait(stays, "stopped")


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
