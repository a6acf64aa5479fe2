"""A script that ends somehow: ends.py PROJECT ok|exception|exit-0|exit-3|return-text|SIGNAL"""

import json
import os
import signal
import sys

from clearml import Task

how = sys.argv[2]
task = Task.init(project_name=sys.argv[1], task_name="end " + how, reuse_last_task_id=False)
task.flush(wait_for_uploads=True)
print(json.dumps({"task": task.id}), flush=True)
if how == "exception":
    raise ValueError("the reason of it")
if how.startswith("exit-"):
    sys.exit(int(how[5:]))
if how == "exit":
    sys.exit("a last word")
if how.startswith("SIG"):
    os.kill(os.getpid(), getattr(signal, how))
