"""Disks that are full for a while: what runs goes on, what was taken is kept, and nothing is lost or doubled."""

import pytest

from broken import make_world  # noqa: F401
from reeve_up import wait_until


SETUP = ["setup:*"]  # of what finds no room for its own


@pytest.mark.parametrize("killed", [False, True], ids=["master lives", "master killed"])
@pytest.mark.parametrize("name", ["state", "run"])
def test_full_disk_of_the_master(make_world, name, killed):
    """A payload that prints goes on when there is room again; a task that comes meanwhile is not lost."""
    world = make_world(disks=[(name, "2m")])
    disk = world.disks[name]
    world.master.start()
    world.job(lines=400, each="[ $((i % 50)) -gt 0 ] || sleep 0.1 9>&-").wait_begun()
    disk.fill()
    world.job(lines=5, may=SETUP)
    if killed:
        world.master.kill()
        disk.fill()
        world.master.start()
    wait_until(lambda: world.master.control(cmd="status")["ok"], what="an answer")
    world.jobs[0].let_go()
    wait_until(lambda: "No space left" in world.log(), 60, what="a word about the disk")
    disk.free()
    world.check()


def test_master_dies_with_a_batch_while_the_disk_is_full(make_world):
    """What is under way, and what was sent, is recorded in room that was taken before: each line comes once."""
    world = make_world(disks=[("state", "3m")], env={"CLEARML_AGENT__API__HTTP__MAX_REQ_SIZE": "65536"})
    kills = 3

    def lose(name, body):
        return "drop" if name == "events.add_batch" else None

    def kill(name, body, answer):
        nonlocal kills
        if name != "events.add_batch" or b"line" not in body or not kills:
            return None
        kills -= 1
        world.master.kill()
        return "drop"

    world.proxy.before = lose
    world.master.start()
    job = world.job(lines=80, each="head -c 4000 /dev/zero | tr \"\\\\0\" x; echo")
    job.wait_begun()
    spool = world.master.state / "runs" / job.task
    wait_until(lambda: any(b"line 79\n" in path.read_bytes() for path in spool.glob("log.*")), what="its lines")
    world.disks["state"].fill()
    world.proxy.after = kill
    world.proxy.resume()
    for left in (2, 1, 0):
        wait_until(lambda: kills == left and world.master.process.poll() is not None, what="a batch under way")
        world.disks["state"].fill()
        world.master.start()
    wait_until(lambda: len(world.numbers(job.task)) == 80, what="all lines of a full disk")
    assert not [line for line in world.log().splitlines() if "component=reeved" in line and "No space left" in line]
    world.disks["state"].free()
    world.check()


def test_master_dies_when_nothing_could_be_recorded(make_world):
    """What it sent may come twice then, but no line is taken for one that the server has."""
    world = make_world()
    world.master.start()
    job = world.job(lines=60, each="sleep 0.05 9>&-")
    job.doubled = True
    for _ in range(3):
        wait_until(lambda: world.numbers(job.task), what="its first line")
        with world.fail_master("--calls", "pwrite64", "--path", "/state/", "--errno", "EIO") as injected:
            sent = len(world.numbers(job.task))
            # It prints on while a master starts, and may be through.
            wait_until(lambda: (len(world.numbers(job.task)) > sent + 2 and injected.hits()) or
                       59 in world.numbers(job.task), what="more lines")
            world.master.kill()
        world.master.start()
    world.check()


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
