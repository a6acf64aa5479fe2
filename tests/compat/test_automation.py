"""What starts tasks by itself: optimisers, schedulers, triggers."""

import pytest

from pipe_rig import ended, log_of, project_id, tasks_in
from reeve_up import wait_until


def words(task):
    return {name: item["value"] for name, item in task["hyperparams"].get("Args", {}).items()}


@pytest.mark.slow
@pytest.mark.parametrize("strategy, where", [("grid", "queue"), ("random", "local")])
def test_optimizer(sdk, served, project, tmp_path, strategy, where):
    """Every job ran, and the best two are found by what they reported."""
    options = ["--local"] if where == "local" else []
    done = sdk.run("hpo", "--project", project, "--queue", "steps", "--strategy", strategy, *options,
                   cwd=tmp_path).json
    jobs = [t for t in tasks_in(served, project) if t.get("parent") == done["id"]]
    assert {t["status"] for t in jobs} == {"completed"}
    scored = {t["id"]: int(words(t)["x"]) * 10 + int(words(t)["y"]) for t in jobs}
    assert len(set(scored.values())) == len(scored)
    if strategy == "grid":
        assert sorted(scored.values()) == [13, 14, 23, 24]
    else:
        assert len(scored) >= 2 and set(scored.values()) <= {13, 14, 23, 24}
    best = sorted(scored, key=scored.get, reverse=True)[:2]
    assert done["top"] == best
    assert [d["task_id"] for d in done["details"]] == best
    assert [d["metrics"]["objective/value"]["value"] for d in done["details"]] == [scored[b] for b in best]
    optimizer = served.api("tasks.get_by_id", task=done["id"])["task"]
    assert optimizer["status"] == "completed" and optimizer["type"] == "optimizer"


def service(server, project, name):
    """The one service task of the project, once it runs."""
    return wait_until(lambda: next((t["id"] for t in tasks_in(server, project, status=["in_progress"])
                                    if t["name"] == name), None), 300, 0.2, f"{name} in {project}")


def stop(server, task):
    """As the web page's Abort; reeve ends it."""
    server.api("tasks.stop", task=task, status_reason="enough")
    assert ended(server, task)["status"] == "stopped"


def started_by(server, project, count):
    """The tasks made from `base`, once as many are there, each completed."""
    made = wait_until(lambda: (found := [t for t in tasks_in(server, project)
                                         if t["name"] == "base" and t.get("parent")])
                      and len(found) >= count and found, 600, 0.5, f"{count} tasks in {project}")
    return [ended(server, task["id"]) for task in made]


def test_scheduler(sdk, served, project, tmp_path):
    """A task and a function that are due at once, and the scheduler goes on until it is aborted."""
    sdk.run("scheduler", "--project", project, "--queue", "steps", cwd=tmp_path)
    scheduler = service(served, project, "scheduler")
    job = started_by(served, project, 1)[0]
    assert job["status"] == "completed" and words(job) == {"word": "now"}
    assert "the word is now" in log_of(served, job["id"])
    wait_until(lambda: "the function ran" in log_of(served, scheduler), 300, 0.5, "the function's line")
    assert served.api("tasks.get_by_id", task=scheduler)["task"]["type"] == "service"
    stop(served, scheduler)


def test_trigger(sdk, served, project, tmp_path):
    """Something happens in the watched project, and a task runs because of it, once for each."""
    watched = project + " watched"
    project_id(served, watched)
    sdk.run("trigger", "--project", project, "--watched", watched, "--tag", project, "--queue", "steps",
            cwd=tmp_path)
    trigger = service(served, project, "trigger")
    wait_until(lambda: "Sleeping until the next pool" in log_of(served, trigger), 300, 0.5, "its first look")
    happened = sdk.run("watched", "--project", watched, "--tag", project, cwd=tmp_path).json
    wanted = {happened["task"], happened["model"], happened["dataset"]}
    wait_until(lambda: wanted <= {words(t).get("source") for t in tasks_in(served, project)
                                  if t["name"] == "base" and t.get("parent")}, 600, 0.5, "a task for each")
    for job in started_by(served, project, 3):
        assert job["status"] == "completed"
        assert f"because of {words(job)['source']}" in log_of(served, job["id"])
    wait_until(lambda: f"the function saw {happened['task']}" in log_of(served, trigger), 300, 0.5,
               "the function's line")
    stop(served, trigger)
