"""Programs of different versions understand each other, and what an older one has left on disk is gone on with.

states/COMMIT.tar.xz was made by that commit's programs: a host that went down while one task ran, one waited for its next
attempt and one had printed lines that were not sent yet. Its boot's identity is no host's; all else is as it was."""

import json
import pathlib
import tarfile

import pytest

from broken import make_world  # noqa: F401
from injector import TOOLS
from reeve_up import OUT

PROGRAMS = OUT / "libexec/reeve"
STATES = sorted(pathlib.Path(__file__).with_name("states").glob("*.tar.xz"))
NUMBERS = {"running": [1, 1, 2], "backoff": [1, 1, 2], "draining": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize("state", STATES, ids=lambda path: path.name.partition(".")[0])
def test_older_state_is_gone_on_with(make_world, tmp_path, state):
    with tarfile.open(state) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "go").touch()  # for their next attempts
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    world = make_world()
    world.master.start()
    for phase, task in tasks.items():
        world.wait(task)
        assert world.document(task)["status_reason"] == "exit:0", phase
        assert world.numbers(task) == NUMBERS[phase], (phase, world.text(task))
        assert world.finals.taken[task] == ["completed"], phase
    assert "host-reboot" in world.text(tasks["running"])
    assert not list(world.master.state.glob("damaged/*"))
    world.check_nothing_left()


@pytest.mark.parametrize("first", ["other", "same"])
def test_master_and_sub_agent_of_different_versions(make_world, tmp_path, first):
    """Whoever came first: the sub-agent's messages have another version's number than the master's."""
    other = tmp_path / "programs"
    other.mkdir()
    for program in PROGRAMS.iterdir():
        (other / program.name).symlink_to(program)
    (other / "reeve-subagent").unlink()
    (other / "reeve-subagent").symlink_to(TOOLS / "other-subagent")
    folders = [other, PROGRAMS] if first == "other" else [PROGRAMS, other]
    world = make_world(env={"REEVE_LIBEXEC_DIR": str(folders[0])})
    world.master.start()
    world.job(lines=20).wait_begun()
    world.job(lines=5, code=3, arguments="--restart on-failure:1").wait_begun()
    world.master.kill()
    world.master.env["REEVE_LIBEXEC_DIR"] = str(folders[1])
    world.master.start()
    world.job(lines=5, ready=True)
    world.check()
    assert world.jobs[1].marks().count("end") == 2
    assert "was lost" not in world.log() and "refused" not in world.log()
