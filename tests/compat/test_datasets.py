"""Datasets: by the SDK, and by `clearml-data`."""

import re

import pytest

from pipe_rig import tasks_in

BOTH = {"a.txt": "a", "sub/b.txt": "b"}
CHANGED = {"a.txt": "changed", "c é.txt": "c"}


def dataset(server, task):
    document = server.api("tasks.get_by_id", task=task)["task"]
    assert document["type"] == "data_processing" and "dataset" in document["system_tags"]
    return document


def test_dataset(sdk, server, project, tmp_path):
    """A version, a child with a file added, changed and removed, and both squashed into one."""
    found = sdk.run("dataset", "--project", project, cwd=tmp_path).json
    first, child = found["first"], found["child"]["id"]
    assert found["added"] == 2 and found["listed"] == sorted(BOTH)
    assert found["found by name"] == first and found["final"] and found["copy"] == BOTH
    assert found["child"] == {"id": child, "added": ["c é.txt"], "removed": ["sub/b.txt"],
                              "modified": ["a.txt"]}
    assert found["child copy"] == found["mutable"] == CHANGED and not found["verified"]
    assert found["dependencies"][child] == [first]
    assert found["datasets"] == sorted([first, child])
    assert found["squashed"]["copy"].items() >= CHANGED.items()
    assert "tagged" in dataset(server, first)["tags"]
    for task in (first, child, found["squashed"]["id"]):
        document = dataset(server, task)
        assert document["status"] == "completed"
        assert {"state"} <= {a["key"] for a in document["execution"]["artifacts"]}


@pytest.mark.long
def test_clearml_data(sdk, server, project, tmp_path):
    """The command line, a version and its child."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")

    def data(*words):
        return sdk.run("clearml-data", *words, script=sdk.python.parent / "clearml-data", cwd=tmp_path).stdout

    def create(*words):
        return re.search(r"New dataset created id=(\w+)",
                         data("create", "--project", project, "--name", "by hand", *words)).group(1)

    first = create("--tags", "one", "two")
    assert "1 file added" in data("add", "--id", first, "--files", "source")
    assert "Dataset upload completed" in data("upload", "--id", first)
    assert "Dataset closed and finalized" in data("close", "--id", first)
    assert set(dataset(server, first)["tags"]) == {"one", "two"}

    child = create("--parents", first)
    data("add", "--id", child, "--files", "b.txt")
    data("remove", "--id", child, "--files", "a.txt")
    data("close", "--id", child)
    assert re.search(r"^b\.txt .*\nTotal 1 files", data("list", "--id", child), re.M)
    found = data("search", "--project", project)
    assert first in found and child in found
    data("get", "--id", first, "--copy", "copy")
    assert (tmp_path / "copy" / "a.txt").read_text() == "a"
    data("verify", "--id", first, "--folder", "copy")
    assert "b.txt" in data("compare", "--source", first, "--target", child, "--verbose")

    data("publish", "--id", first)
    assert dataset(server, first)["status"] == "published"
    data("delete", "--id", child, "--force")
    assert [t["id"] for t in tasks_in(server, f"{project}(/.*)?")] == [first]


def test_versions(sdk, server, project, tmp_path):
    """Versions that count up, links, metadata; moved to another project and renamed."""
    sdk.needs("1.6.0", "dataset versions and links")
    found = sdk.run("dataset_versions", "--project", project, cwd=tmp_path).json
    first, second = found["first"], found["second"]
    assert found["found"] == first and found["newest"] == second and found["versions"] == ["1.2.0", "1.2.1"]
    assert found["links"] == ["linked.txt"] and found["metadata"] == {"key": [1, 2]}
    assert found["tags"] == ["external files", "more"]
    assert found["copy"] == ["added.txt", "linked.txt"] and found["second copy"] == ["linked.txt"]
    assert found["left behind"] == []
    assert sorted(found["renamed"]) == sorted([[first, "versions", "1.2.0"], [second, "versions", "1.2.1"]])
    assert found["left"] == [first]
    assert dataset(server, first)["comment"] == "what it is"
    moved = server.api("projects.get_by_id", project=dataset(server, first)["project"])["project"]
    assert moved["name"] == f"{project} moved/.datasets/renamed"
