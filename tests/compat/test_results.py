"""Artifacts, models, offline sessions, and what deleting a task takes along."""

import pytest

from pipe_rig import status_of

NAMES = {"a dict é", "again", "array", "file", "folder", "frame", "link", "number", "object", "picture",
         "registered", "text", "wildcard"}


def artifacts_of(server, task):
    document = server.api("tasks.get_by_id", task=task)["task"]
    return {artifact["key"]: artifact for artifact in document["execution"]["artifacts"]}


def test_artifacts(sdk, server, project, tmp_path):
    task = sdk.run("artifacts", project, cwd=tmp_path).json["task"]
    stored = artifacts_of(server, task)
    assert set(stored) == NAMES
    assert stored["picture"]["type"] == "image" and stored["array"]["type"] == "numpy"
    assert stored["folder"]["type"] == "archive" and stored["file"]["content_size"] == 8
    assert stored["link"]["uri"] == "https://files.invalid/some/where.bin"
    found = sdk.run("artifacts_read", task, cwd=tmp_path).json
    assert set(found["names"]) == NAMES
    assert found["dict"] == {"a": 1, "b": [1, 2, None]}
    assert found["metadata"] == {"kind": "dict", "n": "3"}
    assert found["frame"] == {"x": [1, 2], "y": ["a", "b"]}
    assert found["array"] == [[0, 1, 2], [3, 4, 5]]
    assert found["picture"] == [[4, 2], [255, 0, 0]]
    assert found["text"] == "a string é\n" and found["number"] == 3.5 and found["object"] == {"size": 7}
    assert [found["file"], found["preview"], found["size"]] == ["content\n", "the first lines", 8]
    assert found["hash"] == stored["file"]["hash"]
    assert found["folder"] == ["inner/two.txt", "one.txt"]
    assert "one.txt" in found["wildcard"]
    assert found["link"] == stored["link"]["uri"]
    assert found["again"] == {"second": True}
    assert found["registered"] == [1, 2, 3]


def test_models(sdk, server, project, tmp_path):
    found = sdk.run("models", project, cwd=tmp_path).json
    model = server.api("models.get_by_id", model=found["model"])["model"]
    assert model["name"] == "the model" and model["framework"] == "PyTorch" and model["ready"]
    assert model["labels"] == found["labels"] == {"cat": 0, "dog": 1}
    assert sorted(model["tags"]) == found["tags"] == ["first", "good"]
    assert model["task"] == found["task"] == found["made by"]
    assert model["uri"] == found["url"] and found["weights"] == "weights\0of it"
    assert found["published"] and found["config"] == {"layers": 3} and "made by a flow" in found["comment"]
    assert found["output"] == [found["model"], found["second"]]
    assert found["input"] == sorted([found["model"], found["imported"]])
    assert found["by tag"] == found["published only"] == [found["model"]]
    assert found["by name"] == [found["second"]] and found["second"] in found["without tag"]
    assert found["model"] not in found["without tag"]
    if found["metadata"]:
        assert found["metadata"] == {"score": {"key": "score", "type": "float", "value": "0.5"}} == model["metadata"]
    user = server.api("tasks.get_by_id", task=found["user"])["task"]
    assert [found["model"], "start"] in [[m["model"], m["name"]] for m in user["models"]["input"]]
    second = server.api("models.get_by_id", model=found["second"])["model"]
    assert second["uri"] == "https://files.invalid/weights.pt" and not second["ready"]


def test_offline_session(sdk, server, project, tmp_path):
    found = sdk.run("offline", project, cwd=tmp_path).json
    assert found["artifact"] == {"a": 1}
    document = server.api("tasks.get_by_id", task=found["task"])["task"]
    assert document["status"] == found["status"] == "completed"
    assert document["hyperparams"]["General"]["rate"]["value"] == "0.5"
    scalars = server.api("events.scalar_metrics_iter_histogram", task=found["task"])
    assert scalars["loss"]["train"]["y"] == [3, 2, 1]
    lines = server.api("events.get_task_log", task=found["task"], batch_size=500)["events"]
    assert "printed offline" in "".join(line["msg"] for line in lines)


@pytest.mark.refused("models.delete", 400, 201, "the server has deleted it with its task already")
def test_delete_with_artifacts(sdk, server, project, tmp_path):
    made = sdk.run("delete", project, cwd=tmp_path).json
    document = server.api("tasks.get_by_id", task=made["task"])["task"]
    (output,) = document["models"]["output"]
    samples = server.api("events.debug_images", metrics=[{"task": made["task"]}])["metrics"][0]
    urls = [made["url"], server.api("models.get_by_id", model=output["model"])["model"]["uri"],
            samples["iterations"][0]["events"][0]["url"]]
    for url in urls:
        assert status_of(server, url) == 200
    assert sdk.run("delete", "-", made["task"], cwd=tmp_path).json["deleted"] is True
    for endpoint, name, what in (("tasks.get_all", "tasks", made["task"]),
                                 ("models.get_all", "models", output["model"])):
        assert server.api(endpoint, id=[what])[name] == []
    for url in urls:
        assert status_of(server, url) == 404


def test_storage_manager(sdk, server, project, tmp_path):
    found = sdk.run("storage", project, cwd=tmp_path).json
    assert found["same"] is True and found["two"] == "tree/below/two"
    assert found.get("exists", [True, False]) == [True, False]
    assert status_of(server, found["url"]) == 200
