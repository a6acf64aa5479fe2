"""Says in the end how many points were tried."""

import pytest

import orphans
from invariants import CallLog
from reeve_up import wait_until
from server_rig import Server

orphans.adopt()

tried = {"points": 0, "failures": 0}


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """For all masters that are killed: it has nothing to fear from them. shared_server(plain): without extensions."""
    servers = {}

    def get(plain):
        if plain not in servers:
            folder = tmp_path_factory.mktemp("faults")
            options = ["--call-log", folder / "calls", *(["--no-extensions"] if plain else ())]
            servers[plain] = Server(folder / "server", *options).start()
            servers[plain].calls = CallLog(folder / "calls")
        return servers[plain]

    yield get
    assert [server.stop() for server in servers.values()] == [0] * len(servers)


@pytest.fixture(autouse=True)
def no_orphans():
    """Nobody whose parent was killed has crashed, or is still there."""
    yield
    try:
        wait_until(lambda: not orphans.living(), 10, what="an end of all orphans")
    finally:
        found = orphans.crashed() + orphans.living()
    assert not found, found


@pytest.fixture
def tally(record_property):
    def add(points, failures):
        record_property("points", points)
        tried["points"] += points
        tried["failures"] += failures
    return add


def pytest_terminal_summary(terminalreporter):
    if tried["points"]:
        terminalreporter.write_line(f"faults: {tried['points']:,} points, {tried['failures']} failures")
