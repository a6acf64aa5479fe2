"""ClearML's services: what cleans up, what alerts, what scales."""

from pipe_rig import ended, log_of, status_of, tasks_in
from reeve_up import ApiError, wait_until


def exists(server, url):
    status = status_of(server, url)
    assert status in (200, 404)
    return status == 200


def gone(server, task):
    try:
        server.api("tasks.get_by_id", task=task)
    except ApiError as error:
        assert (error.code, error.subcode) == (400, 101)
        return True
    return False


def test_cleanup(sdk, served, project, tmp_path):
    """The archived task goes with its artifact, model, weights and samples; the other one stays."""
    made = sdk.run("archived", "--project", project, cwd=tmp_path).json
    old, kept = made["old"], made["kept"]
    assert exists(served, old["artifact"]) and exists(served, old["weights"])
    samples = {task["id"]: served.api("events.debug_images", metrics=[{"task": task["id"]}], iters=1)
               ["metrics"][0]["iterations"][0]["events"][0]["url"] for task in (old, kept)}
    assert exists(served, samples[old["id"]])
    sdk.run("cleanup", "--project", project)
    service = next(t["id"] for t in tasks_in(served, project) if t["name"] == "cleanup")
    wait_until(lambda: f"deleted {old['id']}" in log_of(served, service), 600, 0.5, "the old task's end")
    assert gone(served, old["id"])
    served.api("tasks.stop", task=service, status_reason="enough")
    assert ended(served, service)["status"] == "stopped"
    assert not served.api("models.get_all", id=[old["model"]])["models"]
    assert not any(exists(served, url) for url in (old["artifact"], old["weights"], samples[old["id"]]))
    assert served.api("models.get_by_id", model=kept["model"])["model"]["uri"] == kept["weights"]
    assert all(exists(served, url) for url in (kept["artifact"], kept["weights"], samples[kept["id"]]))
    assert {t["name"] for t in tasks_in(served, project)} == {"kept", "cleanup"}


def test_monitor(sdk, server, project):
    found = sdk.run("monitor", "--project", project).json
    assert found["seen"] == found["made"] and found["name"] == "bad" and found["status"] == "failed"
    assert found["reason"] == "on purpose"


def test_autoscaler(sdk, server, project):
    """A machine for each waiting task, none of them left once they are idle."""
    queue = project.replace(" ", "-")
    done = sdk.run("autoscaler", "--project", project, "--queue", queue).json
    first, second = done["waiting"]
    assert done["history"][:2] == [["up", "machine-0", queue, first, "s.1"],
                                   ["up", "machine-1", queue, second, "s.1"]]
    assert sorted(done["history"][2:]) == [["down", "machine-0"], ["down", "machine-1"]]
    assert done["state"] == "stopped" and not [w for w in done["workers"] if w.startswith(done["prefix"])]
    for task in done["waiting"]:
        assert server.api("tasks.get_by_id", task=task)["task"]["status"] == "completed"
