"""Datasets: by the SDK, and by `clearml-data`."""

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
