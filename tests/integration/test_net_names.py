"""The server's name: unknown for a while, a name service that does not answer, several addresses of which one
is dead."""

import os
import pathlib
import shutil
import socket
import subprocess

import pytest

from net_rig import Counting, command, lives_through, one_line, server_state, wait_away, wait_reachable
from reeve_up import SLOW, sanitized

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("names") / "names.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, pathlib.Path(__file__).with_name("names.c"), "-ldl"],
                   check=True, timeout=120 * SLOW)
    return made


@pytest.fixture
def named(make_rig, tmp_path, library):
    """A rig whose master knows the server by a name; rig.names is the file with its addresses."""
    env = {"LD_PRELOAD": str(library), "REEVE_TEST_NAMES": str(tmp_path / "names")}
    if sanitized():
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    rig = make_rig(env=env)
    rig.names = tmp_path / "names"
    rig.names.write_text("127.0.0.1\n")
    rig.master.env["CLEARML_API_HOST"] = rig.proxy.url.replace("127.0.0.1", "api.reeve.example")
    return rig


def test_name_that_comes_later(named):
    """At the start, and for a command, there is no name service yet."""
    named.names.write_text("")
    named.master.start()
    wait_away(named, ["api.reeve.example"])
    one_line(command(named, "queue", "list"), "api.reeve.example")
    named.names.write_text("127.0.0.1\n")
    Counting(named).check()
    wait_reachable(named)


def test_name_is_lost_for_a_while(named):
    named.master.start()
    # Kept connections need no name: they are cut, too.
    lives_through(named, lambda: (named.names.write_text(""), named.proxy.pause()),
                  lambda: (named.names.write_text("127.0.0.1\n"), named.proxy.resume()), [])


def test_name_service_does_not_answer(named):
    """The master answers meanwhile, as wait_away asks it all the time."""
    named.names.unlink()
    named.master.start()
    wait_away(named, [])
    named.names.write_text("127.0.0.1\n")
    Counting(named).check()
    wait_reachable(named)


def test_master_ends_while_the_name_is_looked_up(named):
    named.names.unlink()
    named.master.start()
    assert named.master.stop() == 0
    named.names.write_text("127.0.0.1\n")


def test_first_address_refuses(named):
    """Nobody listens on the first."""
    named.names.write_text("127.0.0.2\n127.0.0.1\n")
    named.master.start()
    Counting(named).check()
    assert server_state(named)["reachable"]
    assert "cannot be used" not in named.master.log.read_text()


@pytest.fixture
def silent():
    """silent(address, port): takes no connection there, since its backlog is full. Gives the port."""
    sockets = []

    def make(address, port=0):
        sockets.append(socket.socket())
        sockets[0].bind((address, port))
        sockets[0].listen(0)
        for _ in range(4):
            sockets.append(socket.socket())
            sockets[-1].setblocking(False)
            sockets[-1].connect_ex(sockets[0].getsockname())
        return sockets[0].getsockname()[1]
    yield make
    for made in sockets:
        made.close()


def test_first_address_is_silent(named, silent):
    """The second is tried in time."""
    silent("127.0.0.2", named.proxy.port)
    named.names.write_text("127.0.0.2\n127.0.0.1\n")
    named.master.start()
    Counting(named).check()


@pytest.mark.long
def test_every_address_is_silent(rig, silent):
    """A black hole: the master answers meanwhile, and a command gives up in a line."""
    rig.master.env["CLEARML_API_HOST"] = f"http://127.0.0.1:{silent('127.0.0.1')}"
    rig.master.start()
    wait_away(rig, ["is the server up"])
    one_line(command(rig, "queue", "list"), "is the server up")
