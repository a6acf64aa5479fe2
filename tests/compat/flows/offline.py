"""Works without a server, then imports what it did: offline.py PROJECT"""

import json
import sys

from clearml import Task

Task.set_offline(True)
task = Task.init(project_name=sys.argv[1], task_name="offline", auto_resource_monitoring=False,
                 auto_connect_frameworks=False)
task.connect({"rate": 0.5})
for i in range(3):
    task.get_logger().report_scalar("loss", "train", iteration=i, value=3 - i)
task.upload_artifact("kept", {"a": 1})
print("printed offline")
folder = task.get_offline_mode_folder()
task.close()
Task.set_offline(False)
imported = Task.import_offline_session(f"{folder}.zip")
task = Task.get_task(task_id=imported)
print(json.dumps({"task": task.id, "status": str(task.status), "artifact": task.artifacts["kept"].get()}))
