"""Which file, variable or folder has the last word: reeve and clearml-agent on the same home folder and environment."""
import json
import os
import pathlib
import subprocess

import pytest

import versions
from reeve_up import OUT, SANITIZER_OPTIONS, SLOW

HERE = pathlib.Path(__file__).parent
FILE = "clearml.conf"
TREE = {"conf/default/api.conf": "api_server: \"http://folder\"\nweb_server: \"http://w\"", "conf/default/agent/git.conf": "depth: 1",
        "conf/local/api.conf": "api_server: \"http://local\""}
CASES = {
    "nothing": ({}, {}),
    "one file": ({FILE: "api.api_server: \"http://a\"\nagent { worker_id: w, worker_name: n }"}, {}),
    "two files": ({"trains.conf": "agent { a: 1, b: 2 }", FILE: "agent { b: 3, c { d: 4 } }"}, {}),
    "lists of two files": ({"trains.conf": "agent.l: [1, 2]", FILE: "agent.l: [3]"}, {}),
    "a named file": ({FILE: "agent.a: 1", "other.conf": "agent.b: 2"}, {"CLEARML_CONFIG_FILE": "~/other.conf"}),
    "an older name for it": ({FILE: "agent.a: 1", "other.conf": "agent.b: 2"}, {"TRAINS_CONFIG_FILE": "~/other.conf"}),
    "a named file that is missing": ({FILE: "agent.a: 1"}, {"CLEARML_CONFIG_FILE": "~/none.conf"}),
    "a folder": ({FILE: "api.web_server: \"http://f\"", **TREE}, {"CLEARML_CONFIG_PATH": "~/conf"}),
    "a folder and its place": (TREE, {"CLEARML_CONFIG_PATH": "~/conf", "TRAINS_ENV": "local"}),
    "hosts": ({FILE: "api.api_server: \"http://a\""}, {"CLEARML_API_HOST": "http://b", "TRAINS_WEB_HOST": "http://c", "CLEARML_FILES_HOST": "http://d"}),
    "keys": ({FILE: "api.credentials { access_key: a, secret_key: b }"}, {"CLEARML_API_ACCESS_KEY": "c"}),
    "older and newer name": ({}, {"CLEARML_API_HOST": "http://new", "TRAINS_API_HOST": "http://old"}),
    "an empty variable": ({FILE: "agent.worker_id: w"}, {"CLEARML_WORKER_ID": ""}),
    "worker": ({FILE: "agent.worker_id: w"}, {"CLEARML_WORKER_ID": "v:0", "CLEARML_WORKER_NAME": " v "}),
    "a section's key": ({FILE: "agent.git_user: a"}, {"CLEARML_AGENT__AGENT__GIT_USER": "b"}),
    "keys of several depths": ({}, {"CLEARML_AGENT__AGENT__PACKAGE_MANAGER__TYPE": "conda", "CLEARML_AGENT__SDK__AWS__S3__KEY": "k"}),
    "kinds of values": ({}, {"CLEARML_AGENT__AGENT__A": "5", "CLEARML_AGENT__AGENT__B": "true", "CLEARML_AGENT__AGENT__C": "[1, \"two\"]", "CLEARML_AGENT__AGENT__D": "{x: 1}",
                             "CLEARML_AGENT__AGENT__E": "\"5\"", "CLEARML_AGENT__AGENT__F": "null", "CLEARML_AGENT__AGENT__G": "", "CLEARML_AGENT__AGENT__H": "two words"}),
    "a key over a tree": ({FILE: "agent.x { y: 1 }"}, {"CLEARML_AGENT__AGENT__X": "2"}),
    "a tree over a key": ({FILE: "agent.x: 1"}, {"CLEARML_AGENT__AGENT__X__Y": "2"}),
    "a variable over a section's key": ({}, {"CLEARML_AGENT__API__API_SERVER": "\"http://a\"", "CLEARML_API_HOST": "http://b"}),
    "a variable in a variable": ({}, {"CLEARML_AGENT__AGENT__A": "${INNER}", "INNER": "in"}),
    "storage": ({FILE: "sdk.aws.s3 { key: a, region: b }"}, {"AWS_ACCESS_KEY_ID": "k", "AWS_DEFAULT_REGION": "r", "GOOGLE_APPLICATION_CREDENTIALS": "/g"}),
    "azure": ({FILE: "sdk.azure.storage.containers: [{account_name: a}]"}, {"AZURE_STORAGE_ACCOUNT": "b", "AZURE_STORAGE_KEY": "c"}),
    "a name of its own": ({FILE: "mine: 5, agent.a: ${mine}"}, {}),
    "the environment in a file": ({FILE: "agent.a: ${INNER}, agent.b: ${?NONE}"}, {"INNER": "in"}),
    "an included file": ({FILE: "include \"more.conf\"\nagent.b: 2", "more.conf": "agent { a: 1, b: 1 }"}, {}),
}
# reeve shows no passwords; the keys of the demo server, which clearml-agent falls back to, are nobody's.
HIDDEN = {"secret_key", "account_key"}


def environment(home, env):
    kept = {name: os.environ[name] for name in ("PATH", *SANITIZER_OPTIONS) if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **env}


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """All of its answers: to load it takes the most of the time."""
    home = tmp_path_factory.mktemp("official") / "home"
    home.mkdir()
    cases = {name: {"files": files, "env": env} for name, (files, env) in CASES.items()}
    done = subprocess.run([versions.agent_python(), HERE / "official_config.py"], input=json.dumps(cases), env=environment(home, {}),
                          capture_output=True, text=True, timeout=300 * SLOW)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def reeve(home, env, *args):
    done = subprocess.run([OUT / "bin" / "reeve", "config", *args, "--json"], cwd=home, env=environment(home, env), capture_output=True,
                          text=True, timeout=60 * SLOW)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def pick(tree, path):
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def without_hidden(value):
    if isinstance(value, list):
        return [without_hidden(v) for v in value]
    return {k: without_hidden(v) for k, v in value.items() if k not in HIDDEN} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_made_of_it(name, official, tmp_path):
    files, env = CASES[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    rows = reeve(tmp_path, env, "--origins")
    chosen = [row for row in rows if row["from"] != "default" and row["name"].split(".")[-1] not in HIDDEN]
    assert bool(chosen) == any(text for text in files.values()) or env, name
    wrong = [(row, pick(official[name], row["name"])) for row in chosen
             if without_hidden(row["value"]) != without_hidden(pick(official[name], row["name"]))]
    assert not wrong, wrong
    missing = [path for path in chosen_paths(files, env, tmp_path) if path not in {row["name"] for row in rows}]
    assert not missing, missing


def chosen_paths(files, env, home):
    """What the home folder's own file sets, if it is the one that is read."""
    if FILE not in files or {"CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE"} & set(env):
        return []
    shown = reeve(home, env, "--check", home / FILE, "--origins")
    replaced = {"CLEARML_AGENT__AGENT__X": "agent.x.y", "CLEARML_AGENT__AGENT__X__Y": "agent.x"}
    return [row["name"] for row in shown if row["name"] not in [v for k, v in replaced.items() if k in env]]


def same(ours, theirs):
    """But for what reeve does not show."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    return ours == theirs or ours == "****"


def test_the_agents_own_files_read_the_same(tmp_path):
    """The defaults that clearml-agent is installed with."""
    folder, = versions.agent_python().parent.parent.glob("lib/python*/site-packages/clearml_agent/backend_api/config/default")
    texts = [path.read_text() for path in sorted(folder.glob("*.conf"))]
    cases = json.dumps([{"files": {"main.conf": text}} for text in texts])
    done = subprocess.run([versions.agent_python(), HERE / "hocon_official.py"], input=cases, capture_output=True, text=True,
                          timeout=300 * SLOW)
    assert len(texts) >= 4
    for text, theirs in zip(texts, json.loads(done.stdout), strict=True):
        (tmp_path / "main.conf").write_text(text)
        ours = reeve(tmp_path, {}, "--check", tmp_path / "main.conf")
        assert "!" not in theirs and same(ours, theirs), (ours, theirs)
