"""Drives an installed reeve through out/bin/reeve and HTTP, never through its insides.

Every instance lives in a folder of its own; when a test is over, no process, cgroup, mount or file of
it may be left. Tests marked `vm` also run on pure cgroup v2, see tests/vm/product-v2.sh.
"""

import os
import pathlib

import pytest

import joined
import reeve_up
from faulty_api import Rig
from net_rig import Authority
from server_rig import Server

Reeve = joined.Reeve if joined.CONF else reeve_up.Reeve

# Its tests change a system's units.
collect_ignore = [] if os.environ.get("REEVE_VM") == "1" and os.path.isdir("/run/systemd/system") else [
    "test_unit_file.py"]


@pytest.fixture
def make_reeve(tmp_path):
    """Makes instances; whatever a test leaves of them is an error."""
    made = []
    own_groups = pathlib.Path("/proc/self/cgroup").read_text()

    def make(*args, name="data", env=None, start=True):
        instance = Reeve(tmp_path / name, *args, env=env)
        made.append(instance)
        return instance.start() if start else instance

    yield make
    left = [thing for instance in made for thing in instance.end()]
    # In a delegated group a master moves who is in it out of the way, and back when it ends.
    if pathlib.Path("/proc/self/cgroup").read_text() != own_groups:
        left.append("our own cgroup: " + pathlib.Path("/proc/self/cgroup").read_text())
    assert not left, left


@pytest.fixture
def reeve(make_reeve):
    return make_reeve()


@pytest.fixture
def make_rig(tmp_path):
    """Makes a reeved before a server that fails as the test wants it; nothing of it may be left."""
    made = []

    def make(*server, **options):
        made.append(Rig(tmp_path, *server, **options))
        return made[-1]
    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_rig):
    return make_rig()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One reeve-server for all tests of a file; some files have their own, for each test or with options."""
    server = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "ca")
