"""Task.init: what the server knows of the script, and how its end is told."""

import shutil

import pytest

from reeve_up import git, wait_until


def test_attaches_under_an_agent(sdk, server, project):
    """reeve runs the script; another server has to have an agent of its own on `services`."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    owner = server.api("projects.create", name=project)["id"]
    task = server.api("tasks.create", name="with the SDK", type="service", project=owner,
                      script={"binary": str(sdk.python), "entry_point": "main.py",
                              "diff": (sdk.flows / "attach.py").read_text()},
                      hyperparams={"General": {"rate": {"section": "General", "name": "rate",
                                                        "value": "0.7", "type": "float"}}})["id"]
    server.api("tasks.enqueue", task=task, queue_name="services")
    assert server.reeve.wait(task, timeout=300) == 0, server.reeve.logs(task)
    assert f"attached to {task} rate 0.7 kept mine" in server.reeve.logs(task)
    document = server.api("tasks.get_by_id", task=task)["task"]
    assert document["status"] == "completed" and document["name"] == "with the SDK"
    scalars = wait_until(lambda: server.api("events.scalar_metrics_iter_histogram", task=task),
                         60, what="its scalars")
    assert scalars["loss"]["train"]["y"] == [0.5]


def test_script_without_checkout(sdk, server, project, tmp_path):
    found = sdk.run("init", project, cwd=tmp_path).json
    document = server.api("tasks.get_by_id", task=found["task"])["task"]
    script = document["script"]
    assert not script.get("repository") and script["entry_point"] == "init.py"
    assert script["working_dir"] == "."
    assert "what this is about" in script["diff"]
    assert "clearml" in script["requirements"]["pip"]
    assert document["type"] == "testing" and document["name"] == "init, renamed"
    assert sorted(document["tags"]) == found["tags"] == ["first", "second", "third"]
    assert document["comment"] == found["comment"] and "what this is about é" in found["comment"]
    properties = document["hyperparams"]["properties"]
    assert set(properties) == set(found["properties"]) == {"stage", "rate"}
    assert properties["rate"]["value"] == "0.5" and properties["rate"]["description"] == "of learning"
    assert document["status"] == "completed"
    assert server.api("projects.get_by_id", project=document["project"])["project"]["name"] == project


@pytest.fixture
def checkout(tmp_path):
    """A clone with a commit and uncommitted changes; its origin is nobody's to reach."""
    repo = tmp_path / "a repo"
    (repo / "sub").mkdir(parents=True)
    git(repo, "init", "-q", "-b", "trunk")
    git(repo, "remote", "add", "origin", "https://git.invalid/team/repo.git")
    (repo / "sub" / "train.py").write_text("# to be changed\n")
    (repo / "sub" / "other.txt").write_text("old\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "first")
    return repo


def test_git_checkout_with_uncommitted_changes(sdk, server, project, checkout):
    shutil.copy(sdk.flows / "init.py", checkout / "sub" / "train.py")
    (checkout / "sub" / "other.txt").write_text("new é\n")
    found = sdk.run("", project, cwd=checkout / "sub", script=checkout / "sub" / "train.py").json
    script = server.api("tasks.get_by_id", task=found["task"])["task"]["script"]
    assert script["repository"] == "https://git.invalid/team/repo.git"
    assert script["branch"] == "trunk" and script["entry_point"] == "train.py"
    assert script["version_num"] == git(checkout, "rev-parse", "HEAD").strip()
    assert script["working_dir"] == "sub"
    changed = git(checkout, "diff")
    git(checkout, "checkout", "-q", ".")
    git(checkout, "apply", "-", input=script["diff"] + "\n")
    assert git(checkout, "diff") == changed


ENDS = {
    "ok": (0, "completed", None),
    "exit-0": (0, "completed", None),
    "exception": (1, "failed", "the reason of it"),
    "exit-3": (3, "failed", None),
    "exit": (1, "failed", None),
    "SIGINT": (None, "stopped", None),
    "SIGKILL": (-9, "in_progress", None),
}


@pytest.mark.parametrize("how", ENDS)
def test_end(sdk, server, project, tmp_path, how):
    """A killed process tells nothing: the server ends such a task when it has been silent for long.
    1.x did not look at what sys.exit was given. What it ends with
    after a signal, it does not say; 2.1.12 goes on after a SIGTERM."""
    done = sdk.run("ends", project, how, cwd=tmp_path, check=False)
    code, status, word = ENDS[how]
    if how in ("exit-3", "exit") and sdk.number < (2,):
        status = "completed"
    document = server.api("tasks.get_by_id", task=done.json["task"])["task"]
    assert document["status"] == status, done.stderr
    assert code is None or done.returncode == code, done.stderr
    if word:
        lines = server.api("events.get_task_log", task=done.json["task"], batch_size=500)["events"]
        assert word in "".join(line["msg"] for line in lines)


def test_runs_again(sdk, server, project, tmp_path):
    """A script that is started again takes its task anew, or goes on where it was."""
    def run(how):
        found = sdk.run("again", project, how, cwd=tmp_path).json
        scalars = server.api("events.scalar_metrics_iter_histogram", task=found["task"])
        return found["task"], found["offset"], scalars["loss"]["train"]["x"]

    first = run("new")
    assert first[1:] == (0, [0, 1, 2])
    assert run("reuse") == (first[0], 0, [0, 1, 2])
    assert run("continue") == (first[0], 3, [0, 1, 2, 3, 4, 5])
    assert run("new")[0] != first[0]
