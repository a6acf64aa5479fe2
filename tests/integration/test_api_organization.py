"""The organization, pipelines and reports services over the API."""

import urllib.request
import uuid

import pytest

from reeve_up import SLOW, ApiError


@pytest.fixture
def name():
    return "test " + uuid.uuid4().hex


def refused(server, endpoint, **request):
    with pytest.raises(ApiError) as error:
        server.call(endpoint, request)
    return error.value.code, error.value.subcode


# ---- organization


def test_companies(server):
    user = server.call("users.get_current_user")["user"]
    company, = server.call("organization.get_user_companies")["companies"]
    assert company["id"] == user["company"]["id"]
    assert user["id"] in [owner["id"] for owner in company["owners"]]
    assert company["allocated"] == len(company["owners"])


def test_entities_count(server, name):
    user = server.call("users.get_current_user")["user"]["id"]
    project = server.call("projects.create", {"name": name})["id"]
    hidden = server.call("projects.create", {"name": name + "/hidden", "system_tags": ["hidden", "dataset"]})["id"]
    server.task(project=project)
    server.task(project=project, system_tags=["hidden"])
    server.call("reports.create", {"name": "report", "project": project})
    ours = {"id": [project, hidden]}

    def count(**request):
        return server.call("organization.get_entities_count", request)

    assert count(projects=ours, datasets={**ours, "system_tags": ["dataset"]},
                 tasks={"project": [project]}) == {"projects": 1, "datasets": 1, "tasks": 1}
    assert count(projects=ours, tasks={"project": [project]}, search_hidden=True) == {
        "projects": 2, "tasks": 2}
    assert count(projects=ours, tasks={"project": [project]}, active_users=[user]) == {
        "projects": 1, "tasks": 1}
    assert count(projects=ours, tasks={"project": [project]}, active_users=["nobody"]) == {
        "projects": 0, "tasks": 0}
    before = count(reports={})["reports"]
    server.call("reports.create", {"name": "report", "project": project})
    assert count(reports={}) == {"reports": before + 1}
    assert count() == {}
    assert refused(server, "organization.get_entities_count", tasks=[]) == (400, 12)


def fetch(server, prepared):
    """As a browser does."""
    request = urllib.request.Request(
        f"{server.endpoint['api']}/organization.download_for_get_all?prepare_id={prepared}",
        headers={"Authorization": "Bearer " + server.token})
    with server.api.opener.open(request, timeout=60 * SLOW) as answer:
        return answer.headers, answer.read().decode("utf-8-sig")


def test_download(server, name):
    project = server.call("projects.create", {"name": name + "/base"})["id"]
    for i, task in enumerate(('with "quotes", and, commas', "ünïcode")):
        server.task(task, project=project, tags=["a", "b"][i:])
    request = {"entity_type": "task", "project": [project], "order_by": ["name"],
               "only_fields": ["name", "tags", "status", "project.name", "active_duration"],
               "field_mappings": [{"field": "name", "name": "NAME"}, {"field": "tags"},
                                  {"field": "status", "values": [{"key": "created", "value": "Draft"}]},
                                  {"field": "project"}, {"field": "active_duration"}]}
    prepared = server.call("organization.prepare_download_for_get_all", request)["prepare_id"]
    headers, text = fetch(server, prepared)
    assert headers.get_content_type() == "text/csv"
    assert headers.get_filename() == "clearml-base-tasks.csv"
    assert text.split("\r\n") == [
        '"NAME","tags","status","project","active_duration"',
        f'"with ""quotes"", and, commas","[\'a\', \'b\']","Draft","{project}",""',
        f'"ünïcode","[\'b\']","Draft","{project}",""', ""]


@pytest.mark.parametrize("change, codes", [
    ({"entity_type": "queue"}, (400, 12)), ({"field_mappings": []}, (400, 12)),
    ({"only_fields": []}, (400, 12)), ({"field_mappings": [{"name": "x"}]}, (400, 12)),
    ({"field_mappings": [{"field": "a"}, {"field": "b", "name": "a"}]}, (400, 12)),
    ({"field_mappings": [{"field": "a", "values": [{"key": 1, "value": 2}, {"key": 1, "value": 3}]}]}, (400, 12)),
    ({"page_size": 0, "order_by": ["no.such.field"]}, (400, 14))])
def test_download_refused(server, change, codes):
    request = {"entity_type": "task", "only_fields": ["name"], "field_mappings": [{"field": "name"}], **change}
    assert refused(server, "organization.prepare_download_for_get_all", **request) == codes


def test_download_is_bounded(server, name):
    project = server.call("projects.create", {"name": name})["id"]
    server.task("long", project=project, comment="x" * 2_000_000)
    prepared = server.call("organization.prepare_download_for_get_all", {
        "entity_type": "task", "project": [project], "only_fields": ["comment"],
        "field_mappings": [{"field": "comment", "name": str(i)} for i in range(100)]})["prepare_id"]
    assert refused(server, "organization.download_for_get_all", prepare_id=prepared) == (400, 12)


def test_download_of_what_was_not_prepared(server):
    assert refused(server, "organization.download_for_get_all", prepare_id="none") == (400, 10)


# ---- pipelines


def pipeline(server, name):
    project = server.call("projects.create", {"name": name})["id"]
    params = {"properties": {"version": {"section": "properties", "name": "version", "type": "str", "value": "3"}},
              "Args": {"old": {"section": "Args", "name": "old", "value": "1"}}}
    task = server.task(name.rpartition("/")[2], project=project, type="controller",
                       system_tags=["pipeline"], hyperparams=params)
    return project, task, params


def test_start_pipeline(server, name):
    project, task, params = pipeline(server, "above/" + name)
    queue = server.queue(name)
    answer = server.call("pipelines.start_pipeline", {
        "task": task, "queue": queue, "args": [{"name": "lr", "value": "0.1"}], "verify_watched_queue": True})
    assert answer["enqueued"] is True and answer["queue_watched"] is False
    run = server.call("tasks.get_by_id", {"task": answer["pipeline"]})["task"]
    assert (run["name"], run["status"], run["project"]) == (f"{name} #2", "queued", project)
    assert run["status_message"] == "Starting pipeline" and run["execution"]["queue"] == queue
    params["Args"]["lr"] = {"section": "Args", "name": "lr", "value": "0.1"}
    assert run["hyperparams"] == params
    server.call("workers.register", {"worker": name, "queues": [queue]})
    answer = server.call("pipelines.start_pipeline", {"task": task, "queue": queue, "verify_watched_queue": True})
    assert answer["queue_watched"] is True
    assert refused(server, "pipelines.start_pipeline", task=task) == (400, 12)
    assert refused(server, "pipelines.start_pipeline", task="none", queue=queue) == (400, 101)
    assert refused(server, "pipelines.start_pipeline", task=task, queue="none") == (400, 701)
    assert refused(server, "pipelines.start_pipeline", task=task, queue=queue, args=[{"name": "x"}]) == (400, 12)
    # What was refused left no run behind.
    assert len(server.call("tasks.get_all", {"project": [project], "only_fields": ["id"]})["tasks"]) == 3


def test_delete_runs(server, name):
    project, task, _ = pipeline(server, name)
    queue = server.queue(name)
    runs = [server.call("pipelines.start_pipeline", {"task": task, "queue": queue})["pipeline"] for _ in range(2)]
    step = server.task("step", project=project, parent=runs[0])
    assert refused(server, "pipelines.delete_runs", project=project, ids=[task, *runs]) == (400, 160)
    answer = server.call("pipelines.delete_runs", {"project": project, "ids": [*runs, step, "none"]})
    assert {r["id"] for r in answer["succeeded"]} == set(runs) and answer["failed"] == []
    assert all(r["deleted"] for r in answer["succeeded"])
    left = server.call("tasks.get_all", {"project": [project]})["tasks"]
    assert [t["id"] for t in left] == [task]
    assert server.call("queues.get_by_id", {"queue": queue})["queue"]["entries"] == []
    assert server.call("pipelines.delete_runs", {"project": project, "ids": ["none"]}) == {
        "succeeded": [], "failed": []}


# ---- reports


def report(server, title="report", **fields):
    return server.call("reports.create", {"name": title, **fields})["id"]


def task_of(server, report_id):
    return server.call("tasks.get_all_ex", {"id": [report_id], "only_fields": ["*", "project.name"]})["tasks"][0]


def test_report_life(server, name):
    project = server.call("projects.create", {"name": name})["id"]
    one = report(server, project=project, tags=["b", "a"], comment="c")
    task = task_of(server, one)
    assert task["type"] == "report" and task["system_tags"] == ["hidden", "reports"]
    assert task["project"]["name"] == name + "/.reports" and task["tags"] == ["a", "b"]
    assert {"a", "b"} <= set(server.call("reports.get_tags")["tags"])
    text = "word " * 40
    answer = server.call("reports.update", {"task": one, "report": text, "report_assets": ["file://x.jpg"]})
    assert answer["updated"] == 1 and len(answer["fields"]["report"]) <= 100
    assert answer["fields"]["report"].endswith(" [...]")
    task = server.call("tasks.get_by_id", {"task": one})["task"]
    assert (task["report"], task["report_assets"]) == (text, ["file://x.jpg"])
    answer = server.call("reports.publish", {"task": one, "message": "done"})
    assert answer["updated"] == 1 and answer["fields"]["status"] == "published"
    assert refused(server, "reports.update", task=one, report="x") == (400, 110)
    assert server.call("reports.update", {"task": one, "name": "other", "comment": "x", "tags": []})["updated"] == 1
    assert server.call("reports.update", {"task": one})["updated"] == 0
    assert server.call("reports.archive", {"task": one, "message": "old"}) == {"archived": 1}
    assert task_of(server, one)["system_tags"] == ["archived", "hidden", "reports"]
    assert server.call("reports.unarchive", {"task": one}) == {"unarchived": 1}
    assert refused(server, "reports.delete", task=one) == (400, 123)
    assert server.call("reports.delete", {"task": one, "force": True}) == {"deleted": 1}
    # The project of its reports goes with the last of them.
    assert server.call("projects.get_all", {"name": name + "/.reports", "search_hidden": True})["projects"] == []


def test_report_moves(server, name):
    one, other = report(server), report(server)
    top = task_of(server, one)["project"]
    assert top["name"] == ".reports"
    moved = server.call("reports.move", {"task": one, "project_name": name})["project_id"]
    assert task_of(server, one)["project"] == {"id": moved, "name": name + "/.reports"}
    assert server.call("reports.move", {"task": one, "project": None})["project_id"] == top["id"]
    assert refused(server, "reports.move", task=one) == (400, 11)
    assert refused(server, "reports.move", task=one, project="none") == (400, 401)
    assert refused(server, "reports.move", task=server.task(), project=None) == (400, 150)
    server.call("reports.delete", {"task": other})


def test_reports_of_projects(server, name):
    project = server.call("projects.create", {"name": name})["id"]
    top, below = report(server, "top " + name), report(server, "below", project=project)

    def found(**request):
        return {t["id"] for t in server.call("reports.get_all_ex", request)["tasks"]}

    assert {top, below} <= found()
    assert found(project=project) == {below}
    assert top in found(project=[None]) and below not in found(project=[None])
    assert found(project=["none"]) == set()
    server.call("reports.update", {"task": below, "report": "text " + name})
    assert found(_any_={"pattern": "text " + name, "fields": ["name", "report"]}) == {below}
    assert found(name="top " + name) == {top}


def test_report_data(server, name):
    task = server.task(name)
    events = [{"task": task, "type": kind, "iter": i, "metric": f"m{m}", "variant": "v", "worker": "w",
               "timestamp": 1000 + i, **more}
              for kind, i, more in (("training_debug_image", 1, {"url": "u"}), ("plot", 1, {"plot_str": "{}"}),
                                    ("training_stats_scalar", 1, {"value": 1}),
                                    ("training_stats_scalar", -2**31, {"value": 7}))
              for m in range(2)]
    server.call("events.add_batch", lines=events)
    plain = server.call("reports.get_task_data", {"id": [task], "only_fields": ["name"]})
    assert plain == {"tasks": [{"id": task, "name": name}]}
    data = server.call("reports.get_task_data", {
        "id": [task], "only_fields": ["name"], "debug_images": {"metrics": []}, "single_value_metrics": {},
        "plots": {"metrics": [{"metric": "m1"}]}, "scalar_metrics_iter_histogram": {}})
    image, = data["debug_images"]
    assert image["task"] == task and len(image["iterations"][0]["events"]) == 2
    assert list(data["plots"]) == ["m1"] and list(data["plots"]["m1"]["v"]) == [task]
    assert data["scalar_metrics_iter_histogram"]["m0"]["v"][task]["y"] == [1]
    single, = data["single_value_metrics"]
    assert single["task_name"] == name and {v["value"] for v in single["values"]} == {7}
    none = server.call("reports.get_task_data", {"id": ["none"], "plots": {}, "debug_images": {}})
    assert none == {"tasks": [], "plots": {}, "debug_images": []}
