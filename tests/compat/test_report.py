"""What a Logger reports is on the server, and comes back through the SDK."""


import pytest

SCALARS = {"train": [1 / (i + 1) for i in range(30)], "test é": [2 / (i + 1) for i in range(30)]}


@pytest.fixture
def task(sdk, project, tmp_path):
    return sdk.run("report", project, cwd=tmp_path).json["task"]


def plots_of(server, task):
    return server.api("events.get_task_plots", task=task, iters=10)["plots"]


def test_what_was_reported(sdk, server, task, project):
    api = server.api
    document = api("tasks.get_by_id", task=task)["task"]
    assert document["status"] == "completed" and document["last_iteration"] == 29
    scalars = api("events.scalar_metrics_iter_histogram", task=task)
    for variant, values in SCALARS.items():
        assert scalars["loss"][variant]["y"] == pytest.approx(values)
        assert scalars["loss"][variant]["x"] == list(range(30))
    plots = {p["metric"] for p in plots_of(server, task)}
    assert plots == {"histogram", "vector", "table", "scatter", "scatter 3", "lines", "confusion",
                     "surface", "plotly"}
    samples = api("events.debug_images", metrics=[{"task": task}], iters=10)["metrics"][0]
    found = {(e["metric"], e["variant"], e["iter"]) for i in samples["iterations"] for e in i["events"]}
    assert found == {("image", "array", 0), ("image", "array", 1), ("image", "array", 2),
                     ("image", "pillow", 1), ("media", "html", 1)}
    lines = "".join(e["msg"] for e in api("events.get_task_log", task=task, batch_size=500)["events"])
    for line in ("a line of text", "a warning of text", "printed é"):
        assert line in lines


def test_reading_it_back(sdk, server, task):
    found = sdk.run("read_back", task).json
    for variant, values in SCALARS.items():
        assert found["scalars"]["loss"][variant]["y"] == pytest.approx(values)
        assert found["last"]["loss"][variant] == pytest.approx(
            {"last": values[-1], "min": values[-1], "max": values[0]})
        few = found["few"]["loss"][variant]
        assert len(few["y"]) <= 10 and few["x"][0] == 0
    assert found["iteration"] == 29
    for line in ("a line of text", "a warning of text", "printed é"):
        assert line in found["console"]
    assert {plot[0] for plot in found["plots"]} == {p["metric"] for p in plots_of(server, task)}
    if "all" in found:
        assert found["all"]["loss"]["train"]["x"] == list(range(30))
        assert found["single"] == {"best": 0.5, "worst": 7}
        assert found["best"] == 0.5
        assert found["images"] == [2, 1, 0]
