"""clearml.conf as a master and its tasks see it, and what `reeve config` says of it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from reeve_up import OUT, SANITIZER_OPTIONS, SLOW, Reeve, wait_until

CONF = """
agent {
    debug: true
    ignore_requested_python_version: true
    python_binary: %s
    enable_task_env: true
    worker_name: named
    translate_ssh: true
}
environment {
    FROM_CONF: "two words"
    A_NUMBER: 3.10
    A_FLAG: true
    NOTHING: null
    OVERRIDDEN: conf
}
files {
    plain { path: "~/made/plain.txt", contents: "one\\ntwo" }
    coded { path: "$MADE/coded", contents: "AP\\n8=\\n", format: base64, target_format: bytes, mode: 0600 }
    tree { path: "${MADE}/tree.json", contents { a: [1, "x"] }, target_format: json }
    kept { path: "~/kept", contents: new, overwrite: false }
    folder { path: "~", contents: x }
    wrong { path: "~/wrong", contents: "???", format: base64 }
}
sdk { aws.s3 { key: K, region: "" }
      development { default_output_uri: "", worker.report_period_sec: 2.5 }
      own { list: [1, "two", { three: 3 }], text: ${?HOME} } }
"""
SHOW = "import json, os; print('SEEN', json.dumps(dict(os.environ, conf=open(os.environ['CLEARML_CONFIG_FILE']).read())))"


def table():
    path = pathlib.Path(__file__).parents[2] / "src" / "config" / "options.tsv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [line.split("\t") for line in lines]


def run_config(tmp_path, *args, env=None):
    kept = {name: os.environ[name] for name in ("PATH", *SANITIZER_OPTIONS) if name in os.environ}
    return subprocess.run([OUT / "bin" / "reeve", *args], capture_output=True, text=True,
                          env={**kept, "HOME": str(tmp_path), **(env or {})}, timeout=60 * SLOW)


def write(path, text):
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def reeve(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    conf = write(folder / "extra.conf", CONF % sys.executable)
    # What this machine has set, and reeve has a word about.
    here = {row[1]: "" for row in table() if row[0] == "variable" and row[2] != "same" and row[1] in os.environ}
    (folder / "kept").write_text("old")
    made = Reeve(folder / "data", "--config", conf, env={
        **here, "HOME": str(folder), "MADE": str(folder / "made"),
        "CLEARML_AGENT__AGENT__GIT_PASS": "kept back"}).start()
    yield made
    left = made.end()
    assert not left, left


def seen(reeve, task):
    assert reeve.wait(task) == 0, reeve.logs(task)
    line = next(line for line in reeve.logs(task).splitlines() if line.startswith("SEEN "))
    return json.loads(line.removeprefix("SEEN "))


def make_task(reeve, **more):
    """A script, enqueued as any client does it."""
    body = {"name": "config", "type": "service", **more}
    script = {"diff": SHOW, "entry_point": "show.py", "working_dir": ".", "binary": "python2.9"}
    task = reeve.call("tasks.create", script=script, **body)["id"]
    reeve.call("tasks.enqueue", task=task, queue_name="services")
    return task


@pytest.fixture(scope="module")
def first(reeve):
    """What one task saw."""
    task = make_task(reeve, hyperparams={"Environment": {
        "FROM_TASK": {"section": "Environment", "name": "FROM_TASK", "value": "its own"},
        "OVERRIDDEN": {"section": "Environment", "name": "OVERRIDDEN", "value": "task"}}})
    return seen(reeve, task)


def test_the_section_environment_reaches_tasks(first):
    assert first["FROM_CONF"] == "two words"
    assert (first["A_NUMBER"], first["A_FLAG"], first["NOTHING"]) == ("3.10", "True", "")


def test_hyperparameters_become_variables(first):
    assert first["FROM_TASK"] == "its own" and first["OVERRIDDEN"] == "task"


def test_a_version_that_is_asked_for_is_passed_over(reeve, first):
    """The task asked for python2.9; with ignore_requested_python_version no warning says so."""
    task = next(r["id"] for r in reeve.ps("--all") if r["name"] == "config")
    assert "python2.9" not in reeve.logs(task)


def test_the_sdk_section_is_passed_on_unchanged(reeve, first):
    sdk = json.loads(first["conf"])["sdk"]
    assert sdk == {"aws": {"s3": {"key": "K", "region": ""}},
                   "development": {"default_output_uri": "", "worker": {"report_period_sec": 2.5}},
                   "own": {"list": [1, "two", {"three": 3}], "text": str(reeve.data.parent)}}


def test_a_task_gets_no_keys_of_the_agent(first):
    conf = json.loads(first["conf"])
    assert "agent" not in conf and "credentials" not in conf["api"]
    assert not any(name.endswith("SECRET_KEY") and name.startswith("CLEARML") for name in first)
    assert "kept back" not in first.values()


def test_files_are_written(reeve):
    home = reeve.data.parent
    assert (home / "made" / "plain.txt").read_text() == "one\ntwo"
    mask = os.umask(0o22)
    os.umask(mask)
    assert (home / "made" / "plain.txt").stat().st_mode & 0o777 == 0o666 & ~mask
    assert (home / "made" / "coded").read_bytes() == b"\0\xff"
    assert (home / "made" / "coded").stat().st_mode & 0o777 == 0o600
    assert json.loads((home / "made" / "tree.json").read_text()) == {"a": [1, "x"]}
    assert (home / "kept").read_text() == "old" and not (home / "wrong").exists()
    log = reeve.log.read_text()
    assert "it is there already" in log and "it is a folder" in log and "no base64" in log


def test_the_worker_is_named(reeve):
    wait_until(lambda: [w for w in reeve.call("workers.get_all")["workers"] if w["id"].startswith("named:")],
               what="a worker of that name")


def test_the_default_python_and_what_is_switched_off(tmp_path):
    conf = write(tmp_path / "extra.conf", """
        agent { default_python: 3.99, ignore_requested_python_version: true, apply_files: false }
        environment.FROM_CONF: x
        files.f { path: "~/made", contents: x }
    """)
    made = Reeve(tmp_path / "data", "--config", conf,
                 env={"HOME": str(tmp_path), "CLEARML_AGENT_ENABLE_ENV_CONFIG_SECTION": "0"}).start()
    try:
        shell = made.shell("echo got:$FROM_CONF:")
        task = make_task(made)
        assert made.wait(shell) == 0 and "got::" in made.logs(shell).splitlines()
        assert made.wait(task) == 1 and "python3.99" in made.logs(task)
        assert not (tmp_path / "made").exists()
    finally:
        left = made.end()
    assert not left, left


def test_the_masters_log_has_no_word_against_its_own_settings(reeve):
    text = reeve.log.read_text()
    assert "not known" not in text and "not used by this version" not in text


# ---- what is wrong is said ----

SERVER = "api.api_server: \"http://127.0.0.1:9\"\n"


@pytest.mark.parametrize("conf, env, words", [
    ("agent.reeve.defaults.memroy: 1g", {}, "agent.reeve.defaults.memory"),
    ("agent.uptime: \"17-20 TUE\"", {}, "there is no schedule yet"),
    ("agent.custom_build_script: /x", {}, "no build script is run"),
    ("", {"CLEARML_AGENT_EXEC_USER": "somebody"}, "tasks run as the user of the master"),
    ("agent {\n  a: [1\n}", {}, "clearml.conf:2: '[' has no ']'"),
    (SERVER + "agent.reeve.capacity.memory: lots", {}, "agent.reeve.capacity.memory: a size"),
    (SERVER + "agent.reeve.capacity.cpus: -1", {}, "agent.reeve.capacity.cpus: a number"),
    (SERVER + "agent.reeve.max_pressure.io: 101", {}, "agent.reeve.max_pressure.io: per cent"),
    (SERVER + "agent.reeve.min_free_disk: -1", {}, "agent.reeve.min_free_disk"),
    (SERVER + "agent.reeve.admission.too_large: maybe", {}, "auto, refuse or leave"),
    (SERVER + "agent.reeve.forced_stop: never", {}, "resume or stop"),
    (SERVER + "agent.reeve.queues.services.max_runs: some", {}, "agent.reeve.queues.services.max_runs: a number"),
    ("agent.reeve.waits.wacht: 1s", {}, "the nearest known one is agent.reeve.waits.watch"),
    (SERVER + "agent.reeve.waits.watch: soon", {}, "agent.reeve.waits.watch"),
    (SERVER + "agent.reeve.waits.report: 0", {}, "agent.reeve.waits.report: a time from 1ms to 24d"),
    ("agent.x: ${REEVE_NOWHERE}", {}, "clearml.conf:1: ${REEVE_NOWHERE} is set nowhere"),
])
def test_a_master_does_not_start(tmp_path, conf, env, words):
    write(tmp_path / "clearml.conf", SERVER * bool(env) + conf)
    done = run_config(tmp_path, "daemon", "--state-dir", tmp_path / "state", "--run-dir", tmp_path / "run", env=env)
    assert done.returncode not in (0, 3) and words in done.stderr
    assert not (tmp_path / "state").exists()


def test_what_is_not_done_is_said_once_each(tmp_path):
    conf = write(tmp_path / "c.conf", """
agent { worker_nmae: x, crash_on_exception: true, package_manager.type: conda, venvs_dir: /v, git_user: "" }
agnet.worker_id: x
mine.own: 1
api.credentials { access_key: K, secret_key: S }
""")
    done = run_config(tmp_path, "config", "--config", conf, env={"CLEARML_AGENT_GIT_USR": "x"})
    said = done.stderr.splitlines()
    assert done.returncode == 1
    assert said == [
        f"reeve: config: agent.worker_nmae ({conf}:2) is not known; the nearest known one is agent.worker_name",
        f"reeve: config: warning: agent.crash_on_exception ({conf}:2): a master does not end over one task",
        "reeve: config: the section agnet is not known; the nearest known one is agent",
        "reeve: config: CLEARML_AGENT_GIT_USR (environment) is not known; the nearest known one is CLEARML_AGENT_GIT_USER",
        "reeve: config: warning: not used by this version: agent.package_manager.type, agent.venvs_dir;"
        " reeve-clearml-agent(7) says why",
    ]
    assert "secret_key = ****" in done.stdout and "access_key = K" in done.stdout


def test_origins(tmp_path):
    write(tmp_path / "part.conf", "\nagent.git_host: h\n")
    write(tmp_path / "clearml.conf", "include \"part.conf\"\nagent {\n worker_id: w\n}\napi.web_server: w\n")
    done = run_config(tmp_path, "config", "--origins", "--json",
                      env={"CLEARML_AGENT__AGENT__GIT_USER": "u", "CLEARML_API_HOST": "http://h", "CLEARML_WEB_HOST": "v"})
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}
    assert rows["agent.worker_id"] == ("w", f"{tmp_path}/clearml.conf:3")
    assert rows["agent.git_host"] == ("h", f"{tmp_path}/part.conf:2")
    assert rows["agent.git_user"] == ("u", "$CLEARML_AGENT__AGENT__GIT_USER")
    assert rows["api.api_server"] == ("http://h", "$CLEARML_API_HOST")
    assert rows["api.web_server"] == ("v", "$CLEARML_WEB_HOST")
    assert rows["agent.translate_ssh"] == (True, "default")


@pytest.mark.parametrize("env, name, value", [
    ({"TRAINS_API_HOST": "http://t"}, "api.api_server", "http://t"),
    ({"TRAINS_API_HOST": "http://t", "CLEARML_API_HOST": " http://c "}, "api.api_server", "http://c"),
    ({"CLEARML_AGENT__API__HOST": "http://h"}, "api.api_server", "http://h"),
    ({"CLEARML_AGENT__AGENT__EXTRA_DOCKER_ARGUMENTS": '["-e", "A=b"]'}, "agent.extra_docker_arguments", ["-e", "A=b"]),
    ({"CLEARML_AGENT__AGENT__GIT_PASS": ""}, "agent.git_host", None),
    ({"CLEARML_AGENT__AGENT__GIT_HOST": "${HOSTED}", "HOSTED": "h"}, "agent.git_host", "h"),
    ({"CLEARML_AGENT__AGENT__VCS_CACHE__ENABLED": "false"}, "agent.vcs_cache.enabled", False),
    ({"CLEARML_AGENT__AGENT__POLLING_INTERVAL": "2.5"}, "agent.polling_interval", 2.5),
    ({"CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "3"}, "agent.polling_interval", "3"),
    ({"CLEARML_AGENT_SSH_URL_REPLACEMENT_SCHEME": "http"}, "agent.translate_ssl_replacement_scheme", "http"),
    ({"CLEARML_AGENT_ENABLE_ENV_CONFIG_SECTION": "0"}, "agent.apply_environment", "0"),
    ({"TRAINS_WORKER_NAME": "n"}, "agent.worker_name", "n"),
    ({"AWS_ACCESS_KEY_ID": "k"}, "sdk.aws.s3.key", "k"),
    ({"AZURE_STORAGE_ACCOUNT": "a"}, "sdk.azure.storage.containers", [{"account_name": "a", "account_key": "****"}]),
])
def test_variables(tmp_path, env, name, value):
    done = run_config(tmp_path, "config", "--json", env=env)
    found = json.loads(done.stdout)
    for part in name.split("."):
        found = found.get(part) if found is not None else None
    assert found == value, done.stderr


def test_the_file_of_a_variable_is_the_only_one(tmp_path):
    write(tmp_path / "clearml.conf", "agent.worker_id: home")
    write(tmp_path / "other.conf", "agent.worker_name: other")
    shown = json.loads(run_config(tmp_path, "config", "--json", env={"CLEARML_CONFIG_FILE": "~/other.conf"}).stdout)
    assert shown["agent"]["worker_name"] == "other" and "worker_id" not in shown["agent"]


# ---- the table ----

def test_the_table_is_sound():
    rows = table()
    assert len({(row[0], row[1]) for row in rows}) == len(rows) and rows == sorted(
        rows, key=lambda row: (["option", "variable", "flag"].index(row[0]), row[1]))
    for kind, name, fate, say, default, text in rows:
        assert fate in ("same", "better", "later", "refused", "reeve"), name
        assert say in ("", "warn", "error") and (say == "" or fate in ("later", "refused")), name
        assert text or name in ("--help", "-h", "--version"), name
        assert default == "" or json.loads(default) is not None, name


def test_the_command_and_the_manual_have_the_table(tmp_path):
    shown = json.loads(run_config(tmp_path, "config", "--options", "--json").stdout)
    rows = table()
    assert [[s["kind"], s["name"], s["reeve"], s["text"]] for s in shown] == [[r[0], r[1], r[2], r[5]] for r in rows]
    page = (OUT / "share" / "man" / "man7" / "reeve-clearml-agent.7").read_text().replace("\\-", "-")
    assert all(f" {row[1]}\n{row[2]}" in page for row in rows)


FLAGS = [row for row in table() if row[0] == "flag"]


@pytest.mark.parametrize("name, fate", [(row[1], row[2]) for row in FLAGS if not row[1].startswith("-")])
def test_flags(tmp_path, name, fate):
    """What the table calls done is taken; what it does not is refused by its name."""
    known = fate in ("same", "better") and not name.startswith("install-bootstrap")
    done = run_config(tmp_path, *name.split(), "1", "--help")
    assert done.returncode == (0 if known else 2), done.stderr
    assert known or (name.split()[-1] in done.stderr or name.split()[0] in done.stderr)
    assert "unknown" not in done.stderr


@pytest.mark.parametrize("front", [["--config-file", "other.conf"], ["--config-file=other.conf"],
                                   ["--debug", "--config-file", "other.conf", "-d"]])
def test_flags_before_the_command(tmp_path, front):
    write(tmp_path / "other.conf", "agent.worker_id: other")
    done = subprocess.run([OUT / "bin" / "reeve", *front, "config", "--json"], cwd=tmp_path, capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, timeout=60 * SLOW)
    agent = json.loads(done.stdout)["agent"]
    assert agent["worker_id"] == "other" and agent.get("debug", False) == ("--debug" in front)


def test_a_named_file_must_be_there(tmp_path):
    done = run_config(tmp_path, "--config-file", "none.conf", "config")
    assert done.returncode == 2 and "none.conf" in done.stderr
