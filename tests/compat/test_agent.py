"""Flows of an agent on its queue: clearml-agent from PyPI and `reeve daemon` under the same expectations."""

import pytest

from reeve_up import git

import differences
from agents import code, last_json


def positions(lines, *marks):
    """Where each stands, as a whole line; they have to be there once."""
    for mark in marks:
        assert lines.count(mark) == 1, (mark, lines)
    return [lines.index(mark) for mark in marks]


def test_each_difference_has_a_reason():
    for name, difference in {**differences.OF_AGENTS, **differences.AT_TIMES}.items():
        assert set(difference) == {"reeve", "official", "why"} and difference["why"], name
        assert difference["reeve"] != difference["official"], name


def test_runs_a_script(agent):
    task = agent.submit(code("""
        import sys
        for i in range(100):
            sys.stdout.write(f"line {i}\\n")
        sys.stdout.flush()
        print("to standard error", file=sys.stderr, flush=True)
        sys.stdout.write("last line, without an end")
        """))
    document = agent.finish(task)
    lines = agent.lines(task)
    places = positions(lines, f"Executing task id [{task}]:", "Environment setup completed successfully",
                       "Starting Task Execution:", "line 0", "line 99", "to standard error")
    assert places == sorted(places)
    assert [line for line in lines if line.startswith("line ")] == [f"line {i}" for i in range(100)]
    assert lines.count("Process completed successfully") == 1
    assert "last line, without an end" in agent.text(task)
    agent.differs_at_times("the end of the log stands last",
                           lines.index("Process completed successfully") > lines.index("line 99"))
    agent.differs("status_reason of a success", document["status_reason"])
    assert document["status_message"].startswith(f"Changed by clearml-agent {document['last_worker']}")
    assert document["last_worker"].startswith(agent.name)
    assert document["last_worker_report"] and document["started"] and document["completed"]
    assert f"Running task id [{task}]:" in lines
    agent.differs("the host in the task's runtime", "_exec_agent_hostname" in document.get("runtime", {}))


@pytest.mark.parametrize("end, number", [
    ("sys.exit(3)", 3),
    ("raise ValueError('an exception')", 1),
    ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    ("os.abort()", -6),
], ids=["exit", "exception", "killed", "aborts"])
def test_fails(agent, end, number):
    task = agent.submit(f"import os, signal, sys\nprint('before', flush=True)\n{end}\n")
    document = agent.finish(task, "failed")
    lines = agent.lines(task)
    assert lines.count(f"Process failed, exit code {number}") == 1 and "before" in lines
    assert ("ValueError: an exception" in agent.text(task)) == (number == 1)
    agent.differs(f"status_reason of {number}", document["status_reason"])
    assert document["status_message"].startswith(f"Changed by clearml-agent {document['last_worker']}")


def test_a_missing_program(agent):
    task = agent.submit("print('never')\n", script={"entry_point": "nothing/of/it.py"})
    document = agent.finish(task, "failed", "completed")
    agent.differs("a whole script's folder", document["status"])


@pytest.fixture
def repository(tmp_path):
    """A git repository with a commit on its branch and one change that is not committed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "work")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "module.py").write_text("print('committed ' + __name__)\n")
    (folder / "tool.py").write_text(code("""
        import os, sys
        print(f"the tool in {os.path.basename(os.getcwd())}")
        """))
    (folder / "data").mkdir()
    (folder / "data" / "read.py").write_text("print(open('value.txt').read())\n")
    (folder / "data" / "value.txt").write_text("as committed\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def submit_from(agent, repository, **script):
    """As the SDK describes a script in a checkout."""
    commit = git(repository, "rev-parse", "HEAD").strip()
    return agent.submit("", script={"repository": f"file://{repository}", "branch": "work",
                                    "version_num": commit, "diff": "", **script})


def test_repository(agent, repository):
    """The commit that the task names, not the branch's latest."""
    task = submit_from(agent, repository, entry_point="read.py", working_dir="data")
    (repository / "data" / "value.txt").write_text("later\n")
    git(repository, "commit", "-q", "-a", "-m", "second")
    agent.finish(task)
    lines = agent.lines(task)
    assert "as committed" in lines
    assert f"repository = file://{repository}" in lines and "working_dir = data" in lines


@pytest.mark.slow
def test_latest_of_a_branch(agent, repository):
    task = submit_from(agent, repository, entry_point="read.py", working_dir="data", version_num="")
    agent.finish(task)
    assert "as committed" in agent.lines(task)


def test_uncommitted_changes(agent, repository):
    (repository / "data" / "value.txt").write_text("changed, not committed\n")
    (repository / "new.py").write_text("print('a new file')\n")
    git(repository, "add", "-N", "new.py")
    diff = git(repository, "diff")
    task = submit_from(agent, repository, entry_point="read.py", working_dir="data", diff=diff)
    new = submit_from(agent, repository, entry_point="new.py", working_dir=".", diff=diff)
    agent.finish(task)
    agent.finish(new)
    assert "changed, not committed" in agent.lines(task)
    assert "a new file" in agent.lines(new)


def test_changes_that_do_not_apply(agent, repository):
    (repository / "data" / "value.txt").write_text("changed\n")
    diff = git(repository, "diff").replace("as committed", "what was never there")
    task = submit_from(agent, repository, entry_point="read.py", working_dir="data", diff=diff)
    document = agent.finish(task, "failed")
    assert "Process failed, exit code 1" in agent.lines(task)
    agent.differs("status_reason of changes that do not apply", document["status_reason"])


@pytest.mark.slow
def test_module(agent, repository):
    task = submit_from(agent, repository, entry_point="-m package.module", working_dir=".")
    agent.finish(task)
    assert "committed __main__" in agent.lines(task)


def test_no_such_commit(agent, repository):
    task = submit_from(agent, repository, entry_point="tool.py", working_dir=".", version_num="1" * 40)
    document = agent.wait_status(task, "failed")
    agent.differs_at_times("status_reason of a missing commit", document["status_reason"])


def test_environment(agent):
    task = agent.submit(code("""
        import json, os, sys
        names = [n for n in os.environ if n.startswith(("CLEARML_", "TRAINS_"))]
        conf = open(os.environ["CLEARML_CONFIG_FILE"]).read()
        print(json.dumps({"names": names, "argv": sys.argv, "cwd": os.path.basename(os.getcwd()),
                          "task": os.environ["CLEARML_TASK_ID"], "old": os.environ["TRAINS_TASK_ID"],
                          "own": os.environ.get("COMPAT_OWN"), "stdin": sys.stdin.read(1),
                          "secret": "secret_key" in conf, "agent": "venvs_dir" in conf}))
        """))
    agent.finish(task)
    seen = last_json(agent.console(task))
    assert (seen["task"], seen["old"]) == (task, task)
    assert seen["argv"] == ["main.py"] and seen["stdin"] == ""
    # What the agent itself was started with goes through.
    assert seen["own"] == "of the agent's host"
    for name in ("LOG_LEVEL", "LOG_TASK_TO_BACKEND", "CONFIG_FILE", "TASK_ID", "WORKER_ID"):
        assert "CLEARML_" + name in seen["names"], name
    agent.differs("keys in the payload's configuration", (seen["secret"], seen["agent"]))
    agent.differs("a token in the payload's environment", "CLEARML_AUTH_TOKEN" in seen["names"])


@pytest.mark.slow
def test_container_section_is_for_docker(agent):
    """Without --docker the image is ignored, and the script runs on the host."""
    task = agent.submit("import os\nprint(f'host {os.path.exists(os.devnull)}')\n",
                        container={"image": "registry.invalid/image:1", "setup_shell_script": "exit 9"})
    agent.finish(task)
    assert "host True" in agent.lines(task)
