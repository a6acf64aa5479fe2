"""Says in the end how many points were tried."""

import pathlib

import pytest

from server_rig import Server

tried = {"points": 0, "failures": 0}


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    """For all masters that are killed: it has nothing to fear from them."""
    server = Server(pathlib.Path(tmp_path_factory.mktemp("faults")) / "server").start()
    yield server
    assert server.stop() == 0


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
