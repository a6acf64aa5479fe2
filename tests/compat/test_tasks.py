"""Tasks made for agents, looked for, and taken through their states."""

import re
import subprocess

import pytest

from reeve_up import SLOW, git, wait_until


@pytest.fixture
def queue(server, project):
    """A queue that no agent looks into."""
    queue = server.api("queues.create", name=project)["id"]
    yield queue
    server.api("queues.delete", queue=queue, force=True)


@pytest.fixture
def repository(tmp_path):
    repo = tmp_path / "repo"
    (repo / "sub").mkdir(parents=True)
    git(repo, "init", "-q", "-b", "trunk")
    (repo / "sub" / "main.py").write_text("import six\nprint('main')\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "first")
    return repo


def test_create(sdk, server, project, tmp_path, repository, queue):
    commit = git(repository, "rev-parse", "HEAD").strip()
    script = tmp_path / "alone.py"
    script.write_text("print('alone é')\n")
    url = f"file://{repository}"
    found = sdk.run("create", project, url, commit, script, project, cwd=tmp_path).json

    def task(name):
        return server.api("tasks.get_by_id", task=found[name])["task"]

    of_script = task("script")
    assert of_script["script"]["entry_point"] == "alone.py" and "alone é" in of_script["script"]["diff"]
    assert of_script["script"]["requirements"]["pip"].split() == ["six", "clearml"]
    assert of_script["hyperparams"]["Args"]["rate"]["value"] == "0.5"
    assert [of_script["status"], of_script["type"]] == ["created", "training"]
    of_repository = task("repository")
    wanted = {"repository": url, "branch": "trunk", "version_num": commit, "entry_point": "sub/main.py",
              "working_dir": "."}
    assert wanted.items() <= of_repository["script"].items()
    assert of_repository["type"] == "inference"
    assert of_repository["script"]["requirements"]["pip"].split() == ["six", "attrs>=20", "clearml"]
    docker = task("docker")
    assert docker["container"] == {"image": "python:3.11", "arguments": "-e A=1 --ipc=host",
                                   "setup_shell_script": "apt-get update"}
    assert "Task.init" in docker["script"]["diff"]
    clone = task("clone")
    assert clone["name"] == "a clone" and clone["comment"] == "cloned" and clone["parent"] == found["docker"]
    assert clone["script"]["diff"] == of_script["script"]["diff"]
    assert found["parameters"] == {"Args/rate": "0.75", "General/x": "[1, 2]"}
    assert clone["hyperparams"]["Args"]["rate"]["value"] == "0.75"
    assert clone["container"]["image"] == "ubuntu:22.04"
    assert found["base docker"].split() == ["ubuntu:22.04", "--memory", "1g"]
    assert [found["queued"], found["dequeued"], clone["status"]] == ["queued", "created", "created"]
    assert server.api("queues.get_by_id", queue=queue)["queue"]["entries"] == []
    imported = task("imported")
    assert imported["name"] == "imported" and imported["script"]["diff"] == of_script["script"]["diff"]


def test_states(sdk, server, project, tmp_path):
    seen = sdk.run("status", project, cwd=tmp_path).json
    for word, status in (("created", "created"), ("started", "in_progress"), ("completed", "completed"),
                         ("published", "published"), ("failed", "failed"), ("reset", "created"),
                         ("stopped", "stopped")):
        assert seen[word][1] == status, word
    published = server.api("tasks.get_by_id", task=seen["published"][0])["task"]
    assert published["status"] == "published" and published["published"] >= published["completed"]
    stopped = server.api("tasks.get_by_id", task=seen["stopped"][0])["task"]
    assert stopped["status"] == "stopped" and stopped["status_message"] == "enough"
    other = server.api("tasks.get_by_id", task=seen["archived"][0])["task"]
    assert other["name"] == "has another name" and "archived" in other["system_tags"] and seen["archived"][1]
    if "moved" in seen:
        assert seen["moved"][1] == project + "/moved"
        assert other["project"] == server.api("projects.get_all", name=f"^{project}/moved$",
                                              search_hidden=True)["projects"][0]["id"]
    if "progress" in seen:
        assert seen["progress"][1] == 40 and other["runtime"]["progress"] == "40"


ALL = ["alpha one", "alpha two", "beta (1)", "gamma"]
QUERIES = {
    "one": "alpha one",
    "by ids": ["alpha one", "gamma"],
    "partial": ["alpha one", "alpha two"],
    "not archived": ["alpha one", "alpha two", "beta (1)"],
    "all": ALL,
    "name": ["alpha one", "alpha two"],
    "escaped": ["beta (1)"],
    "tag": ["alpha one", "alpha two"],
    "any tag": ["alpha one", "alpha two", "beta (1)"],
    "no tag": ["beta (1)", "gamma"],
    "all tags": ["alpha two"],
    "and not": ["beta (1)"],
    "status": ["alpha two"],
    "type": ["alpha one", "beta (1)"],
    "parent": ["beta (1)"],
    "pattern": ["alpha one", "alpha two", "gamma"],
    "all fields": ["alpha one"],
    "system tags": ["alpha one", "alpha two", "beta (1)"],
    "not type": ["alpha two", "gamma"],
    "two projects": sorted([*ALL, "alpha below"]),
    "order": ALL[::-1],
    "page": ["beta (1)", "gamma"],
    "fields": [["alpha one", "created", "training"], ["alpha two", "in_progress", "testing"],
               ["beta (1)", "created", "training"], ["gamma", "created", "service"]],
    "nowhere": False,
}


def test_queries(sdk, project, tmp_path):
    assert sdk.run("query", project, cwd=tmp_path).json == QUERIES


def test_execute_remotely(sdk, server, project, tmp_path):
    """Starts here, is enqueued, and finishes under reeve."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    found = sdk.run("remote", "--rate", "0.25", cwd=tmp_path, env={"PROJECT": project}).json
    task = found["task"]
    assert found["local"] is True
    assert server.reeve.wait(task, timeout=300) == 0, server.reeve.logs(task)
    lines = server.reeve.logs(task).splitlines()
    assert "went on with 0.25" in lines
    document = server.api("tasks.get_by_id", task=task)["task"]
    assert document["status"] == "completed" and document["execution"]["queue"]
    assert [a["key"] for a in document["execution"]["artifacts"]] == ["remote"]
    scalars = server.api("events.scalar_metrics_iter_histogram", task=task)
    assert scalars["remote"]["rate"]["y"] == [0.25]


def test_clearml_task_command(sdk, server, project, tmp_path):
    """clearml-task, the SDK's command: makes a task of a script and enqueues it."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    (tmp_path / "one.py").write_text("print('by command')\n")
    command = sdk.start("-m", "clearml.cli.task", "--project", project, "--name", "by command", "--script",
                        "one.py", "--packages", "six", "--queue", "services", "--skip-task-init",
                        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = command.communicate(timeout=300 * SLOW)
    assert command.returncode == 0, said
    task = re.search(r"New task created id=(\w+)", said)[1]
    assert server.reeve.wait(task, timeout=300) == 0, server.reeve.logs(task)
    assert "by command" in server.reeve.logs(task).splitlines()


def test_abort(sdk, server, project, tmp_path):
    """Ended by the SDK while reeve runs it: its process is gone, and what was said stays."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    script = tmp_path / "long.py"
    script.write_text("import time\nprint('at work', flush=True)\ntime.sleep(3600)\n")
    found = sdk.run("abort", project, script, "services", cwd=tmp_path).json
    wait_until(lambda: server.reeve.row(found["task"]) is None, 120, what="the end of its run")
    document = server.api("tasks.get_by_id", task=found["task"])["task"]
    assert [found["status"], document["status"]] == ["stopped", "stopped"]
    assert "at work" in server.reeve.logs(found["task"]).splitlines()
