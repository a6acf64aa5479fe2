"""Reads another task's artifacts: artifacts_read.py TASK"""

import json
import os
import sys

from clearml import Task

task = Task.get_task(task_id=sys.argv[1])
artifacts = task.artifacts


def text_of(path):
    with open(path) as f:
        return f.read()


folder = artifacts["folder"].get_local_copy(extract_archive=True)
wildcard = artifacts["wildcard"].get_local_copy(extract_archive=True)
print(json.dumps({
    "names": sorted(artifacts),
    "dict": artifacts["a dict é"].get(),
    "metadata": artifacts["a dict é"].metadata,
    "frame": artifacts["frame"].get().iloc[:, -2:].to_dict("list"),
    "array": artifacts["array"].get().tolist(),
    "picture": [list(artifacts["picture"].get().size), list(artifacts["picture"].get().getpixel((1, 1)))],
    "text": artifacts["text"].get(),
    "object": artifacts["object"].get(),
    "number": artifacts["number"].get(),
    "file": text_of(artifacts["file"].get_local_copy(force_download=True)),
    "preview": artifacts["file"].preview,
    "hash": artifacts["file"].hash,
    "size": artifacts["file"].size,
    "folder": sorted(os.path.relpath(os.path.join(where, name), folder)
                     for where, _, names in os.walk(folder) for name in names),
    "wildcard": sorted(os.listdir(wildcard)),
    "link": artifacts["link"].url,
    "again": artifacts["again"].get(),
    "registered": artifacts["registered"].get().iloc[:, -1].tolist(),
    "types": {name: artifact.type for name, artifact in artifacts.items()},
}))
