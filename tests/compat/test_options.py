"""src/config/options.tsv has a row for all that clearml-agent's package knows (official_options.py)."""
import pathlib
import subprocess

import pytest

import versions
from reeve_up import SLOW, TOP

HERE = pathlib.Path(__file__).parent
# Texts in the package that look like names of options and are none: parts of other names, and members of the section
# `files` and of lists that its comments show.
NO_OPTIONS = {"agent.conf", "agent.contents", "agent.path", "agent.value", "agent.extra_keys", "agent.git", "api.http.retries"}
NO_VARIABLES = {"CLEARML_AGENT"}


@pytest.fixture(scope="module")
def official():
    done = subprocess.run([versions.agent_python(), HERE / "official_options.py"], capture_output=True, text=True,
                          timeout=300 * SLOW)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [row for row in rows if row[1] not in NO_OPTIONS | NO_VARIABLES]


@pytest.fixture(scope="module")
def table():
    lines = (TOP / "src" / "config" / "options.tsv").read_text().splitlines()
    return {tuple(row[:2]): row for row in (line.split("\t") for line in lines) if not row[0].startswith("#")}


def test_all_that_the_agent_knows_has_a_row(official, table):
    assert len(official) > 350
    missing = [(kind, name) for kind, name, _ in official if (kind, name) not in table]
    assert not missing, missing


def test_the_defaults_are_the_agents(official, table):
    wrong = [(name, default, table[kind, name][4]) for kind, name, default in official
             if (kind, name) in table and default != table[kind, name][4]]
    assert not wrong, wrong
