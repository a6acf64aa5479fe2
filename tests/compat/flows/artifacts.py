"""Uploads an artifact of each kind: artifacts.py PROJECT"""

import json
import os
import sys

import numpy
import pandas
from clearml import Task
from PIL import Image


class Thing:
    def __init__(self, size):
        self.size = size


task = Task.init(project_name=sys.argv[1], task_name="artifacts", output_uri=True, reuse_last_task_id=False,
                 auto_connect_frameworks=False, auto_resource_monitoring=False)
task.upload_artifact("a dict é", {"a": 1, "b": [1, 2, None]}, metadata={"kind": "dict", "n": 3})
task.upload_artifact("frame", pandas.DataFrame({"x": [1, 2], "y": ["a", "b"]}))
task.upload_artifact("array", numpy.arange(6).reshape(2, 3))
task.upload_artifact("picture", Image.new("RGB", (4, 2), (255, 0, 0)))
task.upload_artifact("text", "a string é\n")
task.upload_artifact("object", Thing(7).__dict__, auto_pickle=True)
task.upload_artifact("number", 3.5)
with open("a b.txt", "w") as f:
    f.write("content\n")
task.upload_artifact("file", "a b.txt", preview="the first lines")
os.makedirs("folder/inner", exist_ok=True)
for name in ("folder/one.txt", "folder/inner/two.txt"):
    with open(name, "w") as f:
        f.write(name)
task.upload_artifact("folder", artifact_object="folder")
task.upload_artifact("wildcard", artifact_object=os.path.join("folder", "*.txt"))
task.upload_artifact("link", artifact_object="https://files.invalid/some/where.bin")
registered = pandas.DataFrame({"epoch": [1, 2, 3]})
task.register_artifact("registered", registered, metadata={"unit": "none"})
task.upload_artifact("again", {"first": True}, wait_on_upload=True)
task.upload_artifact("again", {"second": True}, wait_on_upload=True)
task.flush(wait_for_uploads=True)
task.close()
print(json.dumps({"task": task.id}))
