"""Makes a task with files: delete.py PROJECT; or deletes one from another process: delete.py - TASK"""

import json
import sys

import numpy
from clearml import OutputModel, Task

if sys.argv[1] == "-":
    task = Task.get_task(task_id=sys.argv[2])
    print(json.dumps({"deleted": bool(task.delete(delete_artifacts_and_models=True, raise_on_error=True))}))
    sys.exit(0)
task = Task.init(project_name=sys.argv[1], task_name="to be deleted", output_uri=True,
                 reuse_last_task_id=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
task.upload_artifact("dict", {"a": 1}, wait_on_upload=True)
with open("weights.bin", "wb") as f:
    f.write(b"weights")
OutputModel(task=task, name="a model").update_weights("weights.bin")
OutputModel.wait_for_uploads()
task.get_logger().report_image("image", "i", iteration=1, image=numpy.zeros((8, 8, 3), dtype="uint8"))
task.get_logger().report_scalar("loss", "train", iteration=1, value=1)
task.flush(wait_for_uploads=True)
task.close()
print(json.dumps({"task": task.id, "url": task.artifacts["dict"].url}))
