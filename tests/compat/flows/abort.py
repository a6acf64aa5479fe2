"""Starts a long task on a queue, and ends it: abort.py PROJECT SCRIPT QUEUE"""

import json
import sys

from clearml import Task

task = Task.create(project_name=sys.argv[1], task_name="long", script=sys.argv[2], packages=["six"],
                   add_task_init_call=False)
Task.enqueue(task, queue_name=sys.argv[3])
task.wait_for_status(status=(Task.TaskStatusEnum.in_progress,), check_interval_sec=1)
while "at work" not in "".join(task.get_reported_console_output(10)):
    task.reload()
task.mark_stopped(force=True, status_message="no longer needed")
task.wait_for_status(status=(Task.TaskStatusEnum.stopped,), check_interval_sec=1)
print(json.dumps({"task": task.id, "status": str(task.status)}))
