"""The disk below reeve-server fails: no call is answered by what could not be read or written."""

import pytest

from broken import make_world, world  # noqa: F401
from injector import Injector
from reeve_up import ApiError, wait_until
from server_rig import Server

BUSY = "[ $((i % 20)) -gt 0 ] || sleep 0.1 9>&-"


long = pytest.mark.long


@pytest.mark.parametrize("calls,error", [
    ("pread64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync,fsync", "EIO"),
    *(pytest.param("pwrite64", error, marks=long) for error in ("EIO", "EDQUOT", "EROFS"))])
def test_disk_of_the_server_fails_for_a_while(world, calls, error):
    """What runs is not taken for deleted, nor its keys for revoked."""
    world.master.start()
    world.job(lines=300, each=BUSY).wait_begun()
    with world.fail_server("--calls", calls, "--path", "reeve.db", "--errno", error) as injected:
        wait_until(lambda: len(injected.hits()) >= 8, 60, what="some failing calls")
        assert world.server.process.poll() is None, "the server ended"
    world.check()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A server's folder with a task, and that task."""
    server = Server(tmp_path_factory.mktemp("stored") / "data").start()
    task = server.task("stored", comment="x" * 20000)
    assert server.stop() == 0
    return server, task


READS = {"get_by_id": ("tasks.get_by_id", lambda task: {"task": task}),
         "get_all": ("tasks.get_all", lambda task: {"id": [task]}),
         "log in": ("auth.login", lambda task: {})}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("error", ["EIO", pytest.param("ENOMEM", marks=long)])
def test_what_cannot_be_read_is_not_missing(stored, read, error):
    """From the Nth read of a call on the disk fails: the answer is whole, or says that it failed."""
    server, task = stored
    endpoint, body = READS[read]
    point = 0
    while True:
        point += 1
        server.start()
        try:
            options = {"authorization": server.api.basic} if read == "log in" else {}
            with Injector(server.data.parent / f"report-{point}", server.process.pid, "--thread", "all", "--calls", "pread64",
                          "--path", "reeve.db", "--at", point, "--times", "0", "--errno", error) as injected:
                try:
                    whole = server.call(endpoint, body(task), **options)
                except ApiError as failed:
                    assert failed.code == 500, f"read {point} of {read} failed: {failed}"
                    whole = None
                hits = injected.hits()
            if whole:
                assert read == "log in" or task in str(whole), f"read {point} of {read}: {whole}"
            server.api.login()
            assert task in str(server.call("tasks.get_by_id", {"task": task}))
        finally:
            assert server.stop() == 0
        if not hits:
            break
    # The log-in of the start may have left its pages with the thread that answers.
    assert point > 1 or read == "log in", "nothing was read from the disk"
