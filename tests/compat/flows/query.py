"""Looks for tasks in each way that the SDK offers: query.py PROJECT"""

import json
import re
import sys

from clearml import Task

project = sys.argv[1]
ids = {}
for name, kind, tags in (("alpha one", "training", ["red"]), ("alpha two", "testing", ["red", "blue"]),
                         ("beta (1)", "training", ["blue"]), ("gamma", "service", [])):
    task = Task.create(project_name=project, task_name=name, task_type=kind)
    if tags:
        task.add_tags(tags)
    task.set_comment("comment of " + name)
    ids[task.id] = name
other = Task.create(project_name=project + "/sub", task_name="alpha below")
ids[other.id] = "alpha below"
by_name = {name: key for key, name in ids.items()}
Task.get_task(task_id=by_name["alpha two"]).started()
Task.get_task(task_id=by_name["gamma"]).set_archived(True)
Task.get_task(task_id=by_name["beta (1)"]).set_parent(by_name["alpha one"])


def names(found):
    return sorted(ids.get(getattr(task, "id", task), "?") for task in found)


def query(**how):
    return names(Task.query_tasks(project_name=[project], **how))


print(json.dumps({
    "one": Task.get_task(project_name=project, task_name="alpha one").name,
    "by ids": names(Task.get_tasks(task_ids=[by_name["gamma"], by_name["alpha one"]])),
    "partial": names(Task.get_tasks(project_name=project, task_name="alpha")),
    "not archived": names(Task.get_tasks(project_name=project, task_filter={"system_tags": ["-archived"]})),
    "all": query(),
    "name": query(task_name="^alpha"),
    "escaped": query(task_name=re.escape("beta (1)")),
    "tag": query(tags=["red"]),
    "any tag": query(tags=["red", "blue"]),
    "no tag": query(tags=["-red"]),
    "all tags": query(tags=["__$all", "red", "blue"]),
    "and not": query(tags=["__$all", "blue", "__$not", "red"]),
    "status": query(task_filter={"status": ["in_progress"]}),
    "type": query(task_filter={"type": ["training"]}),
    "parent": query(task_filter={"parent": by_name["alpha one"]}),
    "pattern": query(task_filter={"_any_": {"fields": ["name", "comment"], "pattern": "of (alpha|g)"}}),
    "all fields": query(task_filter={"_all_": {"fields": ["name"], "pattern": "one$"}}),
    "system tags": query(task_filter={"system_tags": ["-archived"]}),
    "not type": query(task_filter={"type": ["__$not", "training"]}),
    "two projects": names(Task.query_tasks(project_name=[project, project + "/sub"])),
    "order": [ids[i] for i in Task.query_tasks(project_name=[project], task_filter={"order_by": ["-name"]})],
    "page": [ids[i] for i in Task.query_tasks(
        project_name=[project], task_filter={"order_by": ["name"], "page": 1, "page_size": 2})],
    "fields": sorted((t["name"], str(t["status"]), str(t["type"])) for t in Task.query_tasks(
        project_name=[project], additional_return_fields=["name", "status", "type"])),
    "nowhere": bool(Task.get_tasks(project_name=project, task_name="nowhere")),
}))
