"""Flows of unmodified ClearML software, against a server and with versions of one's choice: README.md."""

import json
import pathlib
import re
import shutil
import subprocess
import uuid

import pytest

import agents
import calls
import servers
import table
import versions
from reeve_up import SLOW

FLOWS = pathlib.Path(__file__).parent / "flows"
RESULTS = pytest.StashKey[table.Table]()
CALLS = pytest.StashKey[calls.Summary]()


def pytest_addoption(parser):
    group = parser.getgroup("compat")
    group.addoption("--server", metavar="CLEARML.CONF",
                    help="the server of this file, instead of an embedded one")
    group.addoption("--sdk", metavar="VERSION", action="append",
                    help="of the clearml package; newest, floor or a number; may be repeated")
    group.addoption("--agent", metavar="reeve|official|COMMAND", action="append",
                    help="that the agent flows run with; may be repeated")
    group.addoption("--table", metavar="FILE", help="write the table flow by flow, version by version")
    group.addoption("--calls", metavar="FILE",
                    help="write what each test's clients called of the embedded server")


def pytest_configure(config):
    config.stash[RESULTS] = table.Table()
    config.stash[CALLS] = calls.Summary()


def versions_of(config):
    words = config.getoption("--sdk") or ["newest"]
    return [versions.WORDS.get(word, word) for word in words]


def agents_of(config):
    return config.getoption("--agent") or ["reeve"]


def pytest_generate_tests(metafunc):
    if "sdk_version" in metafunc.fixturenames:
        metafunc.parametrize("sdk_version", versions_of(metafunc.config), scope="session")
    if "agent_word" in metafunc.fixturenames:
        metafunc.parametrize("agent_word", agents_of(metafunc.config), scope="session")


def pytest_collection_modifyitems(config, items):
    """What takes long runs with the first of the versions or agents alone, unless everything is asked for."""
    first = {"sdk_version": versions_of(config)[0], "agent_word": agents_of(config)[0]}
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        other = [params[name] for name in first if params.get(name, first[name]) != first[name]]
        if item.get_closest_marker("slow") and other and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason=f"slow: with {other[0]} only with --long"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    outcome = table.outcome_of(report)
    params = item.callspec.params if hasattr(item, "callspec") else {}
    version = params.get("sdk_version") or params.get("agent_word")
    if outcome and version:
        module = item.path.stem.removeprefix("test_")
        name = item.originalname.removeprefix("test_").replace("_", " ")
        item.config.stash[RESULTS].add(f"{module}: {name}", version, outcome)


def pytest_sessionfinish(session):
    for option, key in (("--table", RESULTS), ("--calls", CALLS)):
        name = session.config.getoption(option)
        if name:
            pathlib.Path(name).write_text(session.config.stash[key].text())


@pytest.fixture(scope="session")
def server_of(request, tmp_path_factory, sanitizer_folder):
    """The server for tests with a version of the SDK: one for all if it was given."""
    made = {}
    given = request.config.getoption("--server")

    def get(version):
        key = "given" if given else version
        if key not in made:
            folder = tmp_path_factory.mktemp(f"server-{key}")
            made[key] = (servers.GivenServer(folder, given) if given else
                         servers.EmbeddedServer(folder, version))
        return made[key]

    yield get
    left = [thing for server in made.values() for thing in server.stop()]
    assert not left, left


@pytest.fixture
def server(request, server_of):
    """Shared by the session: tests make projects and queues of their own. A refusal that calls.py
    does not list fails the test, whatever the client made of it; a test that provokes one says so:
    @pytest.mark.refused("tasks.get_by_id", 400, 101, "why")."""
    version = request.getfixturevalue("sdk_version") if "sdk_version" in request.fixturenames else None
    server = server_of(version or versions.NEWEST)
    if not server.calls:
        yield server
        return
    server.calls.take()
    yield server
    made = server.calls.take()
    request.config.stash[CALLS].add(request.node.nodeid, made)
    refused = calls.refused(made, [mark.args for mark in request.node.iter_markers("refused")])
    assert not refused, refused


@pytest.fixture
def served(server):
    """A server whose queues services, default and steps a reeve serves, with the SDK of the test."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    return server


@pytest.fixture(scope="session")
def agent_server(request, tmp_path_factory, sanitizer_folder):
    """For the agent flows alone: agents call all the time, which is none of another test's calls."""
    given = request.config.getoption("--server")
    folder = tmp_path_factory.mktemp("agent-server")
    server = servers.GivenServer(folder, given) if given else servers.EmbeddedServer(folder, versions.NEWEST)
    yield server
    left = server.stop()
    assert not left, left


@pytest.fixture(scope="session")
def make_agent(agent_server, tmp_path_factory):
    """Agents that end with the session, or before."""
    made = []

    def make(word, **options):
        made.append(agents.Agent(word, agent_server, tmp_path_factory.mktemp("agent"), **options))
        return made[-1]

    yield make
    left = [thing for agent in made for thing in agent.stop()]
    assert not left, left


@pytest.fixture(scope="session")
def agent_daemon(agent_word, make_agent):
    """One for the session, on a queue of its own; it runs one task at a time."""
    agent = make_agent(agent_word)
    agent.add_queues(f"compat {agent.name}").start()
    yield agent
    left = agent.stop()
    assert not left, left


@pytest.fixture
def agent(agent_daemon):
    """The daemon, still there, whatever the test before this one did."""
    assert agent_daemon.worker()
    return agent_daemon


class Sdk:
    def __init__(self, version, server, flows):
        self.version = version
        self.flows = flows
        self.number = tuple(int(n) for n in version.split("."))
        self.python = versions.python_of(version)
        self.server = server

    def needs(self, version, what):
        """Skips where this SDK is older than what has it first."""
        if self.number < tuple(int(n) for n in version.split(".")):
            pytest.skip(f"clearml {self.version} has no {what}")

    def environment(self, **more):
        return servers.clean_environment(self.server.conf, self.server.home, **more)

    def start(self, *command, cwd=None, env=None, **options):
        """This SDK's interpreter as a child of its own; the caller waits for it."""
        return subprocess.Popen([str(self.python), *map(str, command)],
                                cwd=cwd or self.server.home, env=self.environment(**(env or {})),
                                text=True, **options)

    def run(self, flow, *args, cwd=None, env=None, timeout=300, check=True, script=None):
        """Runs flows/<flow>.py, or script; gives stdout, stderr, returncode, and as json what its
        last line of JSON says. check: an exit code that is not 0 fails."""
        child = self.start(script or self.flows / f"{flow}.py", *args, cwd=cwd, env=env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stdout, stderr = child.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            child.kill()
            stdout, stderr = child.communicate()
            raise AssertionError(f"{flow} did not end in {timeout} s\n{stdout}\n{stderr}") from None
        done = subprocess.CompletedProcess(child.args, child.returncode, stdout, stderr)
        if check:
            assert done.returncode == 0, f"{flow}: {done.returncode}\n{stdout}\n{stderr}"
        # The SDK may say a word after the script.
        said = [line for line in stdout.splitlines() if line.startswith(("{", "["))]
        done.json = json.loads(said[-1]) if said else None
        return done


@pytest.fixture(scope="session")
def flows(tmp_path_factory):
    """The scripts outside of this checkout, which is nothing that they belong to."""
    return shutil.copytree(FLOWS, tmp_path_factory.mktemp("scripts") / "flows")


@pytest.fixture
def sdk_class():
    return Sdk


@pytest.fixture
def sdk(sdk_version, server, flows):
    return Sdk(sdk_version, server, flows)


@pytest.fixture
def project(request):
    """A project that no other test, and no earlier run on the same server, has."""
    word = re.sub(r"\W+", "-", request.node.originalname)
    return f"compat {word} {uuid.uuid4().hex[:12]}"
