"""Disks that are full for a while: what runs goes on, what was taken is kept, and nothing is lost or doubled."""

import pytest

from broken import make_world  # noqa: F401
from reeve_up import wait_until


def cpu_ticks(pid):
    """What a process has used so far, in 1/100 s."""
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


@pytest.mark.parametrize("killed", [False, True], ids=["master lives", "master killed"])
@pytest.mark.parametrize("name", ["state", "run"])
def test_full_disk_of_the_master(make_world, name, killed):
    """A payload that prints goes on when there is room again; a task that comes meanwhile is not lost."""
    world = make_world(disks=[(name, "2m")])
    disk = world.disks[name]
    world.master.start()
    world.job(lines=400, each="[ $((i % 50)) -gt 0 ] || sleep 0.1 9>&-").wait_begun()
    disk.fill()
    world.job(lines=5)
    if killed:
        world.jobs[0].doubled = name == "state"  # what was sent could not be written down
        world.master.kill()
        disk.fill()
        world.master.start()
    wait_until(lambda: world.master.control(cmd="status")["ok"], what="an answer")
    world.jobs[0].let_go()
    wait_until(lambda: "No space left" in world.log(), 60, what="a word about the disk")
    disk.free()
    # What finds no room for its own set-up says so.
    world.check(["setup:*"])


def test_full_disk_of_the_server(make_world):
    """Nothing that was answered is lost, what was not is sent again."""
    world = make_world(disks=[("server", "8m")])
    disk = world.disks["server"]
    world.master.start()
    world.job(lines=300, each="[ $((i % 50)) -gt 0 ] || sleep 0.1 9>&-").wait_begun()
    for _ in range(2):
        disk.fill()
        world.jobs[0].let_go()
        failed = world.finals.failed
        wait_until(lambda: world.finals.failed >= failed + 3, 60, what="some failing calls")
        assert world.server.process.poll() is None, "the server ended"
        disk.free()
        world.job(lines=5)
    world.check()
