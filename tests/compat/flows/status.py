"""Takes tasks through their states by hand: status.py PROJECT"""

import json
import sys

from clearml import Task

project = sys.argv[1]
seen = {}


def made(name):
    return Task.create(project_name=project, task_name=name)


def see(word, task):
    task.reload()
    seen[word] = [task.id, str(task.status)]


task = made("completed")
see("created", task)
task.started()
see("started", task)
task.mark_completed(status_message="all done")
see("completed", task)
task.publish()
see("published", task)

task = made("failed")
task.mark_started()
task.mark_failed(status_reason="a reason", status_message="a message")
see("failed", task)
task.reset(force=True)
see("reset", task)
task.mark_started(force=True)
task.mark_stopped(status_message="enough")
see("stopped", task)

task = made("renamed")
task.set_name("has another name")
task.set_archived(True)
seen["archived"] = [task.id, task.get_archived()]
if hasattr(task, "move_to_project"):
    task.move_to_project(new_project_name=project + "/moved")
    task.reload()
    seen["moved"] = [task.id, task.get_project_name()]
if hasattr(task, "set_progress"):
    task.set_progress(40)
    task.reload()
    seen["progress"] = [task.id, task.get_progress()]
print(json.dumps(seen))
