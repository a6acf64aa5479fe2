"""PipelineController: from functions, from tasks and by decorators; on this host and on queues; and its ends."""

import re

import pytest

from pipe_rig import artifacts, ended, log_of
from reeve_up import wait_until

COMPONENTS = dict.fromkeys(("make", "ends", "describe"), "completed")


def tasks_of(server, parent):
    """The steps that a controller made, by name."""
    found = server.api("tasks.get_all", parent=parent, search_hidden=True)["tasks"]
    by_name = {task["name"]: task for task in found}
    assert len(by_name) == len(found)
    return by_name


def statuses(server, parent):
    return {name: task["status"] for name, task in tasks_of(server, parent).items()}


def controllers(server, project):
    """Pipelines are in hidden projects below the one that was named."""
    return server.api("tasks.get_all_ex", project=[p["id"] for p in server.api(
        "projects.get_all_ex", name=f"^{re.escape(project)}", search_hidden=True)["projects"]],
        type=["controller"], search_hidden=True, order_by=["created"])["tasks"]


def controller(server, project):
    found = controllers(server, project)
    assert len(found) == 1
    return found[0]


def check_functions(server, task):
    """Both steps ran, the second with what the first returned, and the pipeline shows the sum."""
    steps = tasks_of(server, task["id"])
    assert {name: step["status"] for name, step in steps.items()} == {
        "make": "completed", "total": "completed"}
    assert task["status"] == "completed" and task["type"] == "controller"
    assert "pipeline" in task["system_tags"]
    assert task["hyperparams"]["Args"]["count"]["value"] == "4"
    assert steps["make"]["hyperparams"]["kwargs"]["count"]["value"] == "4"
    source = steps["total"]["hyperparams"]["kwargs_artifacts"]["values"]["value"]
    assert source == f"{steps['make']['id']}.values"
    assert list(artifacts(steps["total"])) == ["sum"] and "sum" in artifacts(task)
    return steps


def test_functions(sdk, server, project):
    done = sdk.run("pipeline_functions", "--project", project)
    steps = check_functions(server, controller(server, project))
    assert done.json == {"successful": True, "steps": {n: s["id"] for n, s in steps.items()}}


@pytest.mark.slow
def test_functions_on_a_queue(sdk, served, project):
    """The controller here, its steps on a queue."""
    done = sdk.run("pipeline_functions", "--project", project, "--steps-queue", "steps")
    steps = check_functions(served, controller(served, project))
    assert done.json == {"successful": True, "steps": {n: s["id"] for n, s in steps.items()}}
    queue = served.api("queues.get_all", name="^steps$")["queues"][0]["id"]
    assert {s["execution"]["queue"] for s in steps.values()} == {queue}


def test_controller_and_steps_on_queues(sdk, served, project):
    """The script enqueues itself and ends; then again by a clone with another parameter."""
    sdk.run("pipeline_functions", "--project", project, "--controller-queue", "services",
            "--steps-queue", "steps")
    task = ended(served, controller(served, project)["id"])
    check_functions(served, task)
    queues = {q["name"]: q["id"] for q in served.api("queues.get_all")["queues"]}
    assert task["execution"]["queue"] == queues["services"]
    assert "step completed: total" in log_of(served, task["id"])

    copy = served.api("tasks.clone", task=task["id"], new_task_name="again")["id"]
    served.api("tasks.edit_hyper_params", task=copy, hyperparams=[
        {"section": "Args", "name": "count", "value": "5"}])
    served.api("tasks.enqueue", task=copy, queue_name="services")
    assert ended(served, copy)["status"] == "completed", log_of(served, copy)
    steps = tasks_of(served, copy)
    assert steps["make"]["hyperparams"]["kwargs"]["count"]["value"] == "5"
    assert "20" in artifacts(steps["total"])["sum"]["type_data"]["preview"]


def test_tasks(sdk, served, project, tmp_path):
    """From tasks, twice: the second time the first step is the one of before."""
    runs = sdk.run("pipeline_tasks", "--project", project, "--queue", "steps", cwd=tmp_path).json
    first, second = (run["first"] for run in runs)
    assert first == second and runs[0]["second"] != runs[1]["second"]
    for run, task in zip(runs, controllers(served, project)):
        assert task["status"] == "completed"
        assert run["seen"] == [["before", "first", {"Args/rate": "0.5"}], ["after", "first"],
                               ["before", "second", {"Args/rate": "0.5", "Args/source": first}],
                               ["after", "second"]]
        assert run["loss"] == {"train": {"last": 1, "min": 1, "max": 1}}
        step = served.api("tasks.get_by_id", task=run["second"])["task"]
        assert step["status"] == "completed" and step["parent"] == task["id"]
        assert f"pipe: {task['id']}" in step["tags"]
        assert "first had {'value': 1.0}" in log_of(served, step["id"])
        assert "twice" in artifacts(task)
        # Beside it there may be what the SDK measures of the machine.
        assert [v["value"] for m in task["last_metrics"].values() for v in m.values()
                if v["metric"] == "loss"] == [1]


@pytest.mark.parametrize("where", ["debug", pytest.param("local", marks=pytest.mark.slow)])
def test_decorator(sdk, server, project, where):
    done = sdk.run("pipeline_decorator", "--project", project, "--where", where)
    assert done.json == {"answer": "from 0 to 4"}
    task = controller(server, project)
    assert task["status"] == "completed"
    assert statuses(server, task["id"]) == ({} if where == "debug" else COMPONENTS)


@pytest.mark.long
def test_decorator_on_queues(sdk, served, project):
    sdk.run("pipeline_decorator", "--project", project, "--where", "queue", "--controller-queue", "services",
            "--steps-queue", "steps")
    task = ended(served, controller(served, project)["id"])
    assert task["status"] == "completed", log_of(served, task["id"])
    assert statuses(served, task["id"]) == COMPONENTS
    assert "the pipeline says: from 0 to 4" in log_of(served, task["id"])


@pytest.mark.slow
@pytest.mark.parametrize("options, status, ran", [
    ([], "failed", {"bad": "failed"}),
    (["--abort-on-failure"], "failed", {"bad": "failed"}),
    (["--continue-on-fail"], "completed", {"bad": "failed"}),
], ids=["stops", "aborts", "goes on"])
def test_failure(sdk, server, project, tmp_path, options, status, ran):
    """A step that fails ends the pipeline as failed, unless it was said to matter not."""
    sdk.run("pipeline_failures", "--project", project, "--count", tmp_path / "count", *options)
    task = controller(server, project)
    assert task["status"] == status and statuses(server, task["id"]) == ran


@pytest.mark.slow
def test_retries(sdk, server, project, tmp_path):
    sdk.needs("1.9.0", "retry_on_failure")
    done = sdk.run("pipeline_failures", "--project", project, "--count", tmp_path / "count",
                   "--retries", "2")
    task = controller(server, project)
    assert task["status"] == "completed" and done.json["successful"]
    assert (tmp_path / "count").read_text() == "tried\ntried\n"
    assert statuses(server, task["id"]) == dict.fromkeys(("bad", "after", "last"), "completed")


@pytest.mark.slow
def test_abort(sdk, served, project, tmp_path):
    """Aborted as the web page does it, with its steps: reeve ends both."""
    sdk.run("pipeline_functions", "--project", project, "--controller-queue", "services",
            "--steps-queue", "steps", "--hold", tmp_path / "never")
    task = controller(served, project)["id"]
    step = wait_until(lambda: (s := tasks_of(served, task).get("make")) and
                      s["status"] == "in_progress" and s["id"], 300, 0.2, "the first step")
    wait_until(lambda: "making 4" in log_of(served, step), 300, 0.2, "the first step's line")
    served.api("tasks.stop_many", ids=[task], include_pipeline_steps=True, status_reason="enough")
    assert ended(served, step)["status"] == "stopped"
    # The controller may see the end of its step before its own comes, and call that a failure.
    assert ended(served, task)["status"] in ("stopped", "failed")
    assert list(tasks_of(served, task)) == ["make"]


@pytest.mark.slow
def test_again(sdk, served, project):
    """A pipeline that is found by its name runs as a copy on the queue, its steps at their side."""
    sdk.needs("1.13.0", "PipelineController.get")
    sdk.run("pipeline_functions", "--project", project)
    done = sdk.run("pipeline_again", "--project", project, "--queue", "services").json
    assert done["found"] in [t["id"] for t in controllers(served, project)] and done["tags"] == ["copied"]
    copy = ended(served, done["copy"])
    assert copy["name"] == "a copy" and copy["status"] == "completed", log_of(served, copy["id"])
    check_functions(served, copy)
