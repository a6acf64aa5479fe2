"""Clocks that jump by a year, and a host that was suspended: deadlines, back-off and the order of lines hold. The
master's clocks alone are moved, by a preload: the sub-agent, a static program, keeps the host's."""

import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from broken import make_world  # noqa: F401
from reeve_up import SLOW, sanitized, wait_until
from server_rig import Server

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
YEAR = 365 * 86400 * 1000
BUSY = "[ $((i % 20)) -gt 0 ] || sleep 0.1 9>&-"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("clocks") / "clocks.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, pathlib.Path(__file__).with_name("clocks.c")], check=True,
                   timeout=120 * SLOW)
    return made


class Clocks:
    def __init__(self, path):
        self.path = path
        self.jump()

    def jump(self, wall=0, monotonic=0, boot=0):
        """Milliseconds ahead of the host's."""
        with open(self.path, "r+b" if self.path.exists() else "w+b") as f:
            f.write(struct.pack("=qqq", wall, monotonic, boot))


def preload(library, clocks):
    env = {"LD_PRELOAD": str(library), "REEVE_TEST_CLOCKS": str(clocks.path)}
    if sanitized():
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


@pytest.fixture
def jumping(make_world, tmp_path, library):
    clocks = Clocks(tmp_path / "clocks")
    world = make_world(env=preload(library, clocks))
    world.clocks = clocks
    return world


@pytest.mark.parametrize("jump", [{"wall": YEAR}, {"wall": -YEAR}, {"wall": 3600000, "boot": 3600000}],
                         ids=["a year ahead", "a year back", "suspended for an hour"])
def test_jump_while_tasks_run(jumping, jump):
    """One counts over the jump, one fails and waits for its next attempt, one comes afterwards."""
    world = jumping
    world.master.start()
    counting = world.job(lines=200, each=BUSY)
    failing = world.job(lines=5, code=1, arguments="--restart on-failure:3", ready=True)
    counting.wait_begun()
    failing.wait_begun()
    world.clocks.jump(**jump)
    world.job(lines=5)
    world.check()
    assert len(failing.marks()) == 8, failing.marks()


@pytest.mark.parametrize("wall", [pytest.param(YEAR, id="a year ahead", marks=pytest.mark.long),
                                  pytest.param(-YEAR, id="a year back")])
def test_next_master_after_a_jump(jumping, wall):
    """A back-off that an earlier master wrote down is no longer than the longest one, its run no older than it is."""
    world = jumping
    world.master.start()
    counting = world.job(lines=200, each=BUSY)
    failing = world.job(lines=5, code=1, arguments="--restart on-failure:3", ready=True)
    counting.wait_begun()
    wait_until(lambda: failing.marks().count("end") >= 1, 60, what="the first attempt's end")
    world.master.kill()
    world.clocks.jump(wall=wall)
    world.master.start()
    world.check()
    assert len(failing.marks()) == 8, failing.marks()


def test_a_suspended_server_hears_its_tasks_first(tmp_path, library, monkeypatch):
    """After an hour in which nobody could be heard, the one that speaks goes on, the silent one is stopped."""
    clocks = Clocks(tmp_path / "clocks")
    server = Server(tmp_path / "server", "--watchdog-silence", "60", "--watchdog-interval", "2")
    with monkeypatch.context() as patch:
        for name, value in preload(library, clocks).items():
            patch.setenv(name, value)
        server.start()
    try:
        heard, silent = server.task(), server.task()
        for task in heard, silent:
            server.call("tasks.started", {"task": task})
        clocks.jump(wall=3600000, boot=3600000)
        wait_until(lambda: "passed unseen" in (server.data / "log").read_text(), 20, what="the watchdog's word")
        server.call("tasks.ping", {"task": heard})
        wait_until(lambda: server.call("tasks.get_by_id", {"task": silent})["task"]["status"] == "stopped", 20,
                   what="the silent one's end")
        assert server.call("tasks.get_by_id", {"task": heard})["task"]["status"] == "in_progress"
    finally:
        server.stop()
