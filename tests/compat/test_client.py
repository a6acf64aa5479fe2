"""Projects, queues and workers through the SDK's APIClient."""

import pytest


def test_projects(sdk, server, project, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    found = sdk.run("projects", project, output, cwd=tmp_path).json
    family = [project, f"{project}/child", f"{project}/child/grand child"]
    assert found["names"] == family
    # 1.x asks for the first page only, and an old server may have many.
    if server.is_embedded or sdk.number >= (2,):
        assert found["by sdk"] == family
    assert found["exact"] == [found["id by name"]] == [found["parent"]]
    assert found["description"] == "changed"
    parent = server.api("projects.get_by_id", project=found["parent"])["project"]
    assert parent["default_output_destination"] == f"file://{output}" and parent["tags"] == ["mine"]
    # 1.x does not ask the project where files go.
    if sdk.number >= (2,):
        assert found["artifact"].startswith(f"file://{output}")
        assert [p.name for p in output.rglob("*.json")] == ["dict.json"]
    below = server.api("tasks.get_by_id", task=found["below"])["task"]
    assert below["project"] == found["child"]
    stats = server.api("projects.get_all_ex", id=[found["parent"]], include_stats=True)["projects"][0]["stats"]
    assert stats["active"]["total_tasks"] == 2 and stats["active"]["status_count"]["completed"] == 1


@pytest.mark.refused("queues.delete", 400, 702, "it is not empty, and asked for without force at first")
def test_queues(sdk, server, project):
    found = sdk.run("queues", project, project).json
    # Positions of the five tasks, the head of the queue first.
    assert found["added"] == [0, 1, 2, 3]
    assert found["to front"] == [3, 0, 1, 2]
    assert found["to back"] == [3, 1, 2, 0]
    assert found["forward"] == [3, 0, 1, 2]
    assert found["backward"] == [0, 3, 1, 2]
    assert found["removed"] == [0, 3, 2]
    assert found["enqueued"] == [0, 3, 2, 4]
    if "number" in found:
        assert [found["number"], found["peeked"]] == [4, 0]
    assert found["next"] == 0 and found["after"] == [3, 2, 4]
    assert found["found"] == [[found["queue"], project + " renamed", ["mine", "new"]]]
    assert found["metrics"] == [found["queue"]]
    assert found["refused"] == "APIError" and found["deleted"] == 1 and found["left"] == 0
    assert server.api("queues.get_default")["name"] == found["default"]
    statuses = {t["id"]: t["status"] for t in server.api(
        "tasks.get_all", id=found["tasks"], only_fields=["id", "status"])["tasks"]}
    assert statuses[found["tasks"][4]] == "created"


def test_workers(sdk, server, project):
    worker = f"{project}:0"
    queue = server.api("queues.create", name=project)["id"]
    task = server.api("tasks.create", name="at work", type="testing")["id"]
    found = sdk.run("workers", worker, queue, task).json
    assert found["registered"] == [[queue]] and found["queues"] == [queue]
    # A report without tags takes those of the registration away.
    assert found["tags"] == [["mine"], []] and found["task"] == task
    assert {"cpu_usage", "memory_used"} <= set(found["keys"])
    assert found["stats"] == [worker] and found["activity"] > 0 and found["gone"]
    assert all(w["id"] != worker for w in server.api("workers.get_all")["workers"])
    server.api("queues.delete", queue=queue)
