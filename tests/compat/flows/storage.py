"""Puts files where an artifact would go, by hand: storage.py PROJECT"""

import json
import os
import sys

from clearml import StorageManager, Task

project = sys.argv[1]
task = Task.init(project_name=project, task_name="storage", output_uri=True, reuse_last_task_id=False,
                 auto_resource_monitoring=False, auto_connect_frameworks=False)
base = f"{task.output_uri or task.get_output_destination()}/{project}/by hand"
with open("a file é.bin", "wb") as f:
    f.write(bytes(range(256)) * 5000)
url = StorageManager.upload_file("a file é.bin", f"{base}/a file é.bin")
os.makedirs("tree/below", exist_ok=True)
for name in ("tree/one", "tree/below/two"):
    with open(name, "w") as f:
        f.write(name)
StorageManager.upload_folder("tree", f"{base}/tree")
with open(StorageManager.get_local_copy(url, force_download=True), "rb") as f:
    same = f.read() == bytes(range(256)) * 5000
two = StorageManager.get_local_copy(f"{base}/tree/below/two")
with open(two) as f:
    two = f.read()
found = {"task": task.id, "url": url, "same": same, "two": two}
if hasattr(StorageManager, "exists_file"):
    found["exists"] = [StorageManager.exists_file(url), StorageManager.exists_file(f"{base}/nowhere")]
print(json.dumps(found))
