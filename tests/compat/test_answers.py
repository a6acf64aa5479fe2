"""The embedded server answers the stories in answers/ as ClearML's own did, but where a reason is listed."""

import pytest

import answer_differences
import replay
from server_rig import Server


@pytest.fixture(scope="module")
def found(tmp_path_factory, sanitizer_folder):
    """Every story played on one server: story by story, what is not listed, and what of the list was seen."""
    server = Server(tmp_path_factory.mktemp("answers") / "server").start()
    try:
        return {story: answer_differences.sort_out(story, replay.recorded(story),
                                                   list(replay.play(story, server.api)))
                for story in replay.names()}
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("story", replay.names())
def test_answers_as_clearml_does(found, story):
    assert not found[story].unlisted, "\n".join(found[story].unlisted[:40])


def test_listed_differences_are_still_there(found):
    used = set().union(*(story.used for story in found.values()))
    gone = [d for i, d in enumerate(answer_differences.LISTED) if i not in used]
    assert not gone, gone
