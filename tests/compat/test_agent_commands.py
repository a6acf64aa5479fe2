"""The SDK under an agent, and the agent's other commands."""

import json

import pytest

from reeve_up import wait_until

import versions
from agents import code, last_json


@pytest.fixture
def sdk(agent_server, flows, sdk_class):
    return sdk_class(versions.NEWEST, agent_server, flows)


def test_parameters_reach_the_code(agent, flows):
    parameters = {"Args": {"rate": "0.7", "steps": "9", "flag": "True"}, "Model": {"depth": "5"}}
    task = agent.submit((flows / "agent_parameters.py").read_text(), hyperparams={
        section: {name: {"section": section, "name": name, "value": value} for name, value in values.items()}
        for section, values in parameters.items()})
    agent.finish(task)
    seen = last_json(agent.console(task))
    assert seen == {"id": task, "model": {"depth": 5, "kept": "mine"},
                    "arguments": {"rate": 0.7, "steps": 9, "name": "own", "flag": True}}
    document = agent.document(task)
    assert document["hyperparams"]["Args"]["rate"]["value"] == "0.7"
    assert document["hyperparams"]["Args"]["name"]["value"] == "own"


def test_execute_remotely(agent, sdk, project):
    """The script enqueues itself, ends, and runs again under the agent."""
    here = sdk.run("agent_remotely", project, agent.queues[0])
    task = json.loads(next(line for line in here.stdout.splitlines() if line.startswith('{"task"')))["task"]
    agent.finish(task)
    lines = agent.lines(task)
    assert "it goes on there" in lines and "done as written" in lines
    wait_until(lambda: agent.server.api("events.scalar_metrics_iter_histogram", task=task).get("remote"), 60,
               what="the scalar of the remote part")


@pytest.mark.slow
def test_edited_before_it_runs(agent, sdk, project):
    """A clone with another parameter, as in the web page."""
    here = sdk.run("agent_remotely", project, agent.queues[0])
    task = json.loads(next(line for line in here.stdout.splitlines() if line.startswith('{"task"')))["task"]
    agent.finish(task)
    clone = agent.server.api("tasks.clone", task=task, new_task_name="a clone")["id"]
    agent.server.api("tasks.edit_hyper_params", task=clone, hyperparams=[
        {"section": "General", "name": "where", "value": "as edited"}])
    agent.enqueue(clone)
    agent.finish(clone)
    assert "done as edited" in agent.lines(clone)


@pytest.mark.parametrize("end, number", [("print('fine')", 0), ("sys.exit(3)", 3)], ids=["completes", "fails"])
def test_execute(agent_word, make_agent, end, number):
    agent = make_agent(agent_word)
    task = agent.create(f"import sys\n{end}\n")
    done = agent.run("execute", "--id", task)
    assert done.returncode == number, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    marks = [f"Executing task id [{task}]:", "Environment setup completed successfully",
             "Starting Task Execution:"]
    places = [lines.index(mark) for mark in marks]
    assert places == sorted(places)
    document = agent.finish(task, "failed" if number else "completed")
    assert document["status_message"].startswith(f"Changed by clearml-agent {document['last_worker']}")
    assert document["last_worker"] == agent.name
    assert agent.workers() == []


def test_execute_needs_a_queue(agent_word, make_agent):
    agent = make_agent(agent_word)
    task = agent.create("print('never')\n")
    done = agent.run("execute", "--id", task, "--require-queue")
    assert done.returncode != 0 and agent.document(task)["status"] == "created"
    agent.add_queues(f"compat {agent.name}")
    agent.enqueue(task)
    done = agent.run("execute", "--id", task, "--require-queue")
    assert done.returncode == 0, done.stdout + done.stderr
    agent.finish(task)
    queue = agent.server.api("queues.get_all", name=agent.queues[0])["queues"][0]
    assert queue["entries"] == []


@pytest.mark.slow
def test_execute_a_clone(agent_word, make_agent):
    agent = make_agent(agent_word)
    task = agent.create("print('of the clone')\n")
    done = agent.run("execute", "--id", task, "--clone")
    assert done.returncode == 0, done.stdout + done.stderr
    mark = "Task cloned, new task id="
    clone = next(line for line in done.stdout.splitlines() if line.startswith(mark)).removeprefix(mark)
    document = agent.finish(clone)
    assert document["name"] == "Clone of agent flow" and "of the clone" in agent.lines(clone)
    assert agent.document(task)["status"] == "created"


def test_execute_writes_a_log_file(agent_word, make_agent, tmp_path):
    agent = make_agent(agent_word)
    task = agent.create("print('in the file')\n")
    done = agent.run("execute", "--id", task, "--log-file", str(tmp_path / "log.txt"))
    assert done.returncode == 0, done.stdout + done.stderr
    agent.finish(task)
    assert "in the file" in agent.lines(task)
    log = tmp_path / "log.txt"
    agent.differs("the log file stays", log.exists() and "in the file" in log.read_text().splitlines())


def test_requirements(agent_word, make_agent):
    """From PyPI, in an environment of the task's own."""
    agent = make_agent(agent_word, environments=True)
    agent.add_queues(f"compat {agent.name}").start()
    task = agent.submit(code("""
        import importlib.metadata, sys
        try:
            found = importlib.metadata.version("iniconfig")
        except importlib.metadata.PackageNotFoundError:
            found = None
        print(f"iniconfig is {found}")
        print(f"own environment {sys.prefix != sys.base_prefix}")
        """), script={"requirements": {"pip": "iniconfig==2.0.0\n"}})
    agent.finish(task, timeout=600)
    found = next(line for line in agent.lines(task) if line.startswith("iniconfig is "))
    agent.differs("requirements", found)
    if agent.kind == "official":
        assert "own environment True" in agent.lines(task)
    else:
        told = [line for line in agent.lines(task) if "iniconfig==2.0.0" in line]
        assert told == ["python requirements are not installed by this version: iniconfig==2.0.0"]
    assert agent.stop() == []


def test_list_of_workers(agent, make_agent):
    """Each agent's `list` shows the other's workers."""
    other = make_agent("official" if agent.kind == "reeve" else "reeve")
    done = other.run("list")
    assert done.returncode == 0, done.stderr
    assert any(agent.name in line for line in done.stdout.splitlines()), done.stdout
