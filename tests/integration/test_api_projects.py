"""Projects over the API: their tree, kinds of children, statistics, merging, deletion."""

import uuid

import pytest

from reeve_up import ApiError


@pytest.fixture
def root(server):
    """The name and id of a project of this test's own."""
    name = "root " + uuid.uuid4().hex
    return name, server.call("projects.create", {"name": name})["id"]


def project(server, name, **fields):
    return server.call("projects.create", {"name": name, **fields})["id"]


def found(server, **request):
    return server.call("projects.get_all_ex", request)["projects"]


def refused(server, endpoint, **request):
    with pytest.raises(ApiError) as error:
        server.call(endpoint, request)
    return error.value.code, error.value.subcode


def test_parent_and_user_are_joined(server, root):
    child = project(server, root[0] + "/a")
    one, = found(server, id=[child])
    assert one["parent"] == {"id": root[1]}
    assert set(one["user"]) == set(one["company"]) == {"id"}
    one, = found(server, id=[child], only_fields=["name", "parent.name"])
    assert one == {"id": child, "name": root[0] + "/a",
                   "parent": {"id": root[1], "name": root[0]}}


@pytest.mark.parametrize("kind, tag, task_type", [
    ("dataset", "dataset", "data_processing"), ("pipeline", "pipeline", "controller")])
def test_kinds_of_children(server, root, kind, tag, task_type):
    name, above = root
    plain = project(server, name + "/plain")
    holder = project(server, f"{name}/with/.{kind}s", system_tags=["hidden"])
    special = project(server, f"{name}/with/.{kind}s/one", system_tags=[tag, "hidden"], tags=["x", "y"])
    server.task("special", type=task_type, project=special, system_tags=[tag])
    server.task("other", project=special)
    server.task("plain", project=plain)
    one, = found(server, parent=[above], children_type=kind, shallow_search=True, include_stats=True,
                 check_own_contents=True)
    assert one["basename"] == "with"
    if kind == "dataset":
        assert one["own_datasets"] == 0 and "own_tasks" not in one
        assert one["stats"] == {"datasets": {"count": 1, "tags": ["x", "y"]}}
    else:
        assert one["own_tasks"] == 0 and "own_datasets" not in one
        assert one["stats"]["active"]["total_tasks"] == 1
    assert {p["id"] for p in one["sub_projects"]} >= {special}
    # Hidden ones show up only if they are asked for.
    assert found(server, parent=[above], children_type=kind, name=rf"\.{kind}s") == []
    ids = {p["id"] for p in found(server, parent=[above], children_type=kind, search_hidden=True,
                                  name=rf"\.{kind}s")}
    assert ids == {holder, special}


@pytest.mark.parametrize("tags, totals", [
    ({"children_tags": ["t1", "t2"]}, {"b": 2}),
    ({"children_tags": ["__$all", "t1", "t2"]}, {"b": 1}),
    ({"children_tags": ["-t1", "-t2"]}, {"a": 1}),
    ({"children_tags": ["__$any", "__$not", "t1", "t2"]}, {"a": 1, "b": 1}),
    ({"children_tags_filter": {"any": {"include": ["t1", "t2"]}}}, {"b": 2}),
    ({"children_tags_filter": {"all": {"include": ["t1", "t2"]}}}, {"b": 1}),
    ({"children_tags_filter": {"all": {"exclude": ["t1", "t2"]}}}, {"a": 1}),
    ({}, {"a": 1, "b": 2})])
def test_children_by_tags(server, root, tags, totals):
    name, above = root
    for base, with_tags in (("a", []), ("b", ["t1", "t2"]), ("b", ["t1"])):
        server.call("reports.create", {"name": "report", "tags": with_tags,
                                       "project": ensure(server, f"{name}/{base}")})
    projects = found(server, parent=[above], children_type="report", shallow_search=True,
                     include_stats=True, **tags)
    assert {p["basename"]: p["stats"]["active"]["total_tasks"] for p in projects} == totals


def ensure(server, name):
    try:
        return project(server, name)
    except ApiError as error:
        assert error.subcode == 801
        return found(server, name=f"^{name}$")[0]["id"]


def test_statistics(server, root):
    name, above = root
    below = project(server, name + "/below")
    running, archived = server.task(project=above), server.task(project=below)
    for task in (running, archived):
        server.call("tasks.started", {"task": task})
        server.call("tasks.completed", {"task": task})
    server.call("tasks.archive", {"tasks": [archived]})
    draft = server.task(project=below, system_tags=["x"])
    one, = found(server, id=[above], include_stats=True, check_own_contents=True)
    stats = one["stats"]["active"]
    assert stats["status_count"]["completed"] == stats["status_count"]["created"] == 1
    assert stats["total_tasks"] == 2 and stats["completed_tasks_24h"] == 1
    assert stats["last_task_run"] == server.call("tasks.get_by_id", {"task": running})["task"]["started"]
    assert set(one["stats"]) == {"active"}
    assert (one["own_tasks"], one["own_models"]) == (1, 0)
    assert [p["name"] for p in one["sub_projects"]] == [name + "/below"]
    one, = found(server, id=[above], include_stats=True, stats_for_state="archived")
    assert one["stats"]["archived"]["total_tasks"] == 1 and set(one["stats"]) == {"archived"}
    one, = found(server, id=[above], include_stats=True, stats_with_children=False)
    assert one["stats"]["active"]["total_tasks"] == 1 and one["sub_projects"] == []
    one, = found(server, id=[above], include_stats=True, include_stats_filter={"system_tags": ["x"]})
    assert one["stats"]["active"]["total_tasks"] == 1
    assert refused(server, "projects.get_all_ex", id=[above], include_stats=True,
                   include_stats_filter={"system_tags": []}) == (400, 12)
    server.call("tasks.delete", {"task": draft})


def test_dataset_stats(server, root):
    one, = found(server, id=[root[1]], include_dataset_stats=True)
    assert one["dataset_stats"] is None
    task = server.task(project=root[1])
    server.call("tasks.edit", {"task": task, "runtime": {"ds_file_count": 2, "ds_total_size": 1000}})
    one, = found(server, id=[root[1]], include_dataset_stats=True)
    assert one["dataset_stats"] == {"file_count": 2, "total_size": 1000}


def test_active_users(server, root):
    user = server.call("users.get_current_user")["user"]["id"]
    child = project(server, root[0] + "/child")
    # Who made a project was active in it, and in all that are above it.
    assert [p["id"] for p in found(server, id=[root[1]], active_users=[user])] == [root[1]]
    assert found(server, id=[child], active_users=["nobody"]) == []
    assert refused(server, "projects.get_all_ex", children_tags=5) == (400, 12)


def test_merge(server, root):
    name, target = root
    source = project(server, name + "/source")
    child = project(server, name + "/source/child")
    kept = server.task(project=source)
    archived = server.task(project=source, system_tags=["archived"])
    assert refused(server, "projects.merge", project=source, destination_project=child) == (400, 412)
    assert refused(server, "projects.merge", project=source, destination_project=source) == (400, 410)
    assert refused(server, "projects.merge", project="none", destination_project=source) == (400, 401)
    assert server.call("projects.merge", {"project": source, "destination_project": target}) == {
        "moved_entities": 1, "moved_projects": 1}
    assert server.call("projects.get_by_id", {"project": child})["project"]["name"] == name + "/child"
    assert server.call("tasks.get_by_id", {"task": kept})["task"]["project"] == target
    assert server.call("tasks.get_by_id", {"task": archived})["task"]["project"] == source
    assert refused(server, "projects.get_by_id", project=source) == (400, 401)


def test_move_checks_depth(server, root):
    name, top = root
    deep = project(server, "/".join([name] + ["x"] * 9))
    assert refused(server, "projects.create", name="/".join([name] + ["y"] * 10)) == (400, 409)
    assert refused(server, "projects.move", project=top, new_location="other") == (400, 409)
    assert server.call("projects.get_by_id", {"project": deep})["project"]["name"].startswith(name)


def test_public(server, root):
    name, one = root
    assert refused(server, "projects.make_private", ids=[one]) == (400, 401)
    assert server.call("projects.make_public", {"ids": [one]}) == {"updated": 1}
    assert [p["id"] for p in found(server, id=[one])] == [one]
    assert found(server, id=[one], allow_public=False) == []
    assert refused(server, "projects.update", project=one, name="another") == (403, 21)
    assert refused(server, "projects.create", name=name + "/child") == (400, 414)
    assert refused(server, "projects.create", name=name) == (400, 414)
    assert server.call("projects.make_private", {"ids": [one]}) == {"updated": 1}
    assert server.call("projects.update", {"project": one, "name": name + " 2"})["updated"] == 1


def test_public_task(server):
    task = server.task()
    server.call("tasks.started", {"task": task})
    server.call("tasks.make_public", {"ids": [task]})
    for endpoint in ("tasks.stopped", "tasks.edit", "tasks.update", "tasks.reset", "tasks.delete"):
        assert refused(server, endpoint, task=task, name="other") == (403, 21), endpoint
    assert server.call("tasks.get_by_id", {"task": task})["task"]["status"] == "in_progress"
    server.call("tasks.make_private", {"ids": [task]})
    server.call("tasks.stopped", {"task": task})


def test_tags(server, root):
    name, one = root
    other = project(server, name + "/sub", tags=["p2"], system_tags=["hidden"])
    server.call("projects.update", {"project": one, "tags": ["p1"]})
    task = server.task(project=other, tags=["b", "a"], system_tags=["s"])
    model = server.call("models.create", {"name": "model", "uri": "file:///m", "project": one,
                                          "tags": ["m"]})["id"]
    assert server.call("projects.get_project_tags", {"projects": [one]})["tags"] == ["p1", "p2"]
    assert server.call("projects.get_project_tags", {
        "projects": [one], "filter": {"system_tags": ["__$not", "hidden"]}})["tags"] == ["p1"]
    assert server.call("projects.get_task_tags", {"projects": [one], "include_system": True}) == {
        "tags": ["a", "b"], "system_tags": ["s"]}
    assert server.call("projects.get_model_tags", {"projects": [one]})["tags"] == ["m"]
    assert {"a", "b", "m"} <= set(server.call("organization.get_tags")["tags"])
    server.call("tasks.delete", {"task": task})
    server.call("models.delete", {"model": model})
    assert server.call("projects.get_task_tags", {"projects": [one]})["tags"] == []


def test_old_clients_have_system_tags_among_the_tags(server, root):
    name = root[0] + " old"
    one = server.call("v2.2/projects.create", {"name": name, "tags": ["public", "mine"]})["id"]
    assert server.call("v2.2/projects.get_by_id", {"project": one})["project"]["tags"] == ["mine", "public"]
    now = server.call("projects.get_by_id", {"project": one})["project"]
    assert (now["tags"], now["system_tags"]) == (["mine"], ["public"])
    assert server.call("v2.2/projects.get_all", {"name": name, "tags": ["-public"]})["projects"] == []
    server.call("v2.2/projects.update", {"project": one, "tags": ["mine"]})
    assert server.call("projects.get_by_id", {"project": one})["project"]["system_tags"] == []


def test_parents_by_name_and_state(server, root):
    parents = [server.task(f"Parent{i}", project=root[1]) for i in range(3)]
    for parent in parents[:2]:
        server.task("child", project=root[1], parent=parent)

    def names(**more):
        answer = server.call("projects.get_task_parents", {"projects": [root[1]], **more})
        assert all(p["project"] == {"id": root[1], "name": root[0]} for p in answer["parents"])
        return [p["name"] for p in answer["parents"]]

    assert names() == ["Parent0", "Parent1"]
    assert names(task_name="Parent1") == ["Parent1"]
    assert names(task_name="Parent2") == []
    assert names(tasks_state="archived") == []
    assert refused(server, "projects.get_task_parents", task_name="(") == (400, 21)


def test_parameter_values(server, root):
    for value in ("10", "9", "x"):
        task = server.task(project=root[1])
        server.call("tasks.edit_hyper_params", {"task": task, "hyperparams": [
            {"section": "Se$tion", "name": "na__me.x", "type": "str", "value": value}]})

    def values(**more):
        return server.call("projects.get_hyperparam_values", {
            "projects": [root[1]], "section": "Se$tion", "name": "na__me.x", **more})

    assert values() == {"total": 3, "values": ["9", "10", "x"]}
    assert values(pattern="^1") == {"total": 1, "values": ["10"]}
    assert values(name="other") == {"total": 0, "values": []}
    assert values(page=1, page_size=2)["values"] == ["x"]


def test_model_metadata(server, root):
    model = {"uri": "file:///m", "metadata": {"k1": {"key": "k1", "type": "str", "value": "v1"}}}
    server.call("models.create", {"name": "top", **model})
    model["metadata"]["k2"] = {"key": "k2", "type": "str", "value": "v2"}
    server.call("models.create", {"name": "below", "project": root[1], **model})
    assert {"k1", "k2"} <= set(server.call("projects.get_model_metadata_keys")["keys"])
    assert server.call("projects.get_model_metadata_keys", {"project": root[1]})["keys"] == ["k1", "k2"]
    top = server.call("projects.get_model_metadata_keys", {"include_subprojects": False})["keys"]
    assert "k1" in top and "k2" not in top
    assert server.call("projects.get_model_metadata_values", {
        "projects": [root[1]], "key": "k2"}) == {"total": 1, "values": ["v2"]}


def test_delete_sets_free(server, root):
    task = server.task(project=root[1])
    assert refused(server, "projects.delete", project=root[1]) == (400, 402)
    assert server.call("projects.delete", {"project": root[1], "force": True}) == {
        "deleted": 1, "disassociated_tasks": 1, "deleted_models": 0, "deleted_tasks": 0, "urls": None}
    assert "project" not in server.call("tasks.get_by_id", {"task": task})["task"]


def test_delete_with_contents(server, root):
    """Nothing in other projects keeps pointing at what is gone."""
    name, top = root
    below = project(server, name + "/below")
    inside, outside = server.task(project=below), server.task("outside")
    child = server.task("child", parent=inside)
    made = server.call("models.create", {"name": "made", "uri": "file:///m", "project": top, "task": outside})["id"]
    other = server.call("models.create", {"name": "other", "uri": "file:///o", "task": inside})["id"]
    server.call("tasks.edit", {"task": outside, "models": {
        "input": [{"name": "in", "model": made}], "output": [{"name": "out", "model": made}]}})
    server.call("tasks.add_or_update_artifacts", {"task": inside, "artifacts": [
        {"key": "a", "type": "str", "uri": "file:///a"}, {"key": "b", "type": "str", "uri": "file:///b", "mode": "input"}]})
    server.call("tasks.enqueue", {"task": inside, "queue": server.queue(name)})
    server.call("events.add", {"type": "log", "task": inside, "msg": "x"})
    assert server.call("projects.delete", {"project": top, "force": True, "delete_contents": True}) == {
        "deleted": 2, "disassociated_tasks": 0, "deleted_models": 1, "deleted_tasks": 1,
        "urls": {"model_urls": ["file:///m"], "artifact_urls": ["file:///a"], "event_urls": []}}
    assert refused(server, "tasks.get_by_id", task=inside) == (400, 101)
    assert refused(server, "models.get_by_id", model=made) == (400, 201)
    task = server.call("tasks.get_by_id", {"task": outside})["task"]
    assert [m["model"] for m in task["models"]["input"]] == ["__DELETED__"]
    assert task["models"]["output"] == []
    assert "parent" not in server.call("tasks.get_by_id", {"task": child})["task"]
    assert "task" not in server.call("models.get_by_id", {"model": other})["model"]
    assert server.call("queues.get_by_id", {"queue": server.queue(name)})["queue"]["entries"] == []
