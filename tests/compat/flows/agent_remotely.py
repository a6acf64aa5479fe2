"""Starts here and goes on where an agent takes it: agent_remotely.py PROJECT QUEUE"""

import json
import sys

from clearml import Task

project, queue = sys.argv[1:3] if len(sys.argv) > 2 else ("", "")
task = Task.init(project_name=project or "ignored", task_name="remotely", auto_connect_frameworks=False,
                 auto_resource_monitoring=False, reuse_last_task_id=False)
settings = task.connect({"where": "as written"})
if not task.running_locally():
    print("it goes on there")
else:
    print(json.dumps({"task": task.id}), flush=True)
task.execute_remotely(queue_name=queue, exit_process=True)
task.get_logger().report_scalar("remote", "value", iteration=1, value=7)
print("done " + settings["where"])
