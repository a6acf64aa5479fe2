"""A server that forgets: it was put back to an older copy of its data, or begins with none. What it does not know any more
ends here, what it knows goes on, and what comes then is served."""

import shutil

import pytest

from broken import make_world  # noqa: F401
from reeve_up import wait_until


@pytest.mark.parametrize("copied", ["before the task", "while it runs"])
def test_server_of_an_older_copy(make_world, tmp_path, copied):
    world = make_world()
    server = world.server
    ports = [server.endpoint[name].rpartition(":")[2] for name in ("api", "web", "files")]

    def restart(change):
        server.stop()
        change()
        server.args = (*server.args, "--api-port", ports[0], "--web-port", ports[1], "--files-port", ports[2])
        server.start()

    copy = tmp_path / "copy"
    world.master.start()
    if copied == "before the task":
        restart(lambda: shutil.copytree(server.data, copy))
    forgotten = world.job(lines=5)
    forgotten.wait_begun()
    wait_until(lambda: len(world.numbers(forgotten.task)) == 5, what="its lines")
    if copied == "while it runs":
        restart(lambda: shutil.copytree(server.data, copy))

    def put_back():
        shutil.rmtree(server.data)
        shutil.copytree(copy, server.data)
    restart(put_back)
    world.job(lines=5, ready=True)
    if copied == "before the task":
        world.jobs.remove(forgotten)
        wait_until(lambda: world.master.row(forgotten.task) is None, 60, what="the end of what is not known")
        assert "end" not in forgotten.marks()
    world.check()
