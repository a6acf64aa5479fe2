"""Quotas beside CPU, memory and pids, and those that change while a run lives."""

import socket
import sys

import pytest

from reeve_up import wait_until


@pytest.mark.vm
def test_open_files(reeve):
    task = reeve.submit("--nofile", "40:50", "--", sys.executable, "-c",
                        "import os, resource\n"
                        "print('limits', resource.getrlimit(resource.RLIMIT_NOFILE))\n"
                        "files = []\n"
                        "try:\n"
                        "    while True: files.append(os.dup(0))\n"
                        "except OSError as e: print('refused', e.errno, files[-1])\n")
    assert reeve.wait(task) == 0
    log = reeve.logs(task)
    assert "limits (40, 50)" in log and "refused 24 39" in log
    assert "quota: nofile 40:50 (container.arguments: --ulimit)" in log


@pytest.fixture
def silent_server():
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_set_up_time_out(reeve, silent_server):
    task = reeve.submit("--setup-timeout", "1s", "--repo", f"http://127.0.0.1:{silent_server}/a.git",
                        "--branch", "main", "x.py")
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert document["status_reason"] == "setup:clone"
    assert "time-out" in document["status_message"]


def test_set_up_time_out_ends_with_the_set_up(reeve):
    task = reeve.shell("sleep 2; echo survived", "--setup-timeout", "1s")
    assert reeve.wait(task) == 0
    assert "survived" in reeve.logs(task).splitlines()
