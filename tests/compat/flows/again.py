"""Runs once more: again.py PROJECT new|reuse|continue [TASK]; reports three values of an iteration each."""

import json
import sys

from clearml import Task

how = {"new": {"reuse_last_task_id": False}, "reuse": {}, "continue": {"continue_last_task": True}}[sys.argv[2]]
if len(sys.argv) > 3:
    how["reuse_last_task_id"] = sys.argv[3]
task = Task.init(project_name=sys.argv[1], task_name="again", auto_resource_monitoring=False,
                 auto_connect_frameworks=False, **how)
for i in range(3):
    task.get_logger().report_scalar("loss", "train", iteration=i, value=i)
task.flush(wait_for_uploads=True)
print(json.dumps({"task": task.id, "offset": task.get_initial_iteration()}))
