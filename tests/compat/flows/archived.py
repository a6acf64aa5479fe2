"""An archived task with all that a task may have, and one that is not archived."""
import argparse
import json
import pathlib

import numpy
from clearml import OutputModel, Task


def make(project, name):
    task = Task.init(project_name=project, task_name=name, reuse_last_task_id=False,
                     auto_resource_monitoring=False, output_uri=True)
    task.upload_artifact("numbers", {"a": 1}, wait_on_upload=True)
    pathlib.Path("weights.bin").write_bytes(name.encode())
    model = OutputModel(task=task, name=name + " model")
    model.update_weights("weights.bin", auto_delete_file=False)
    task.get_logger().report_image("image", "i", iteration=1, image=numpy.zeros((4, 4, 3), dtype="uint8"))
    task.flush(wait_for_uploads=True)
    found = {"id": task.id, "model": model.id, "artifact": task.artifacts["numbers"].url,
             "weights": model.url}
    task.close()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    args = parser.parse_args()
    old = make(args.project, "old")
    Task.get_task(task_id=old["id"]).set_archived(True)
    print(json.dumps({"old": old, "kept": make(args.project, "kept")}))


if __name__ == "__main__":
    main()
