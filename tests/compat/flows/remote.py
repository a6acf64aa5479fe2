"""Starts here, goes on where an agent of the queue is: PROJECT=... QUEUE=... remote.py [--rate R]"""

import argparse
import json
import os

from clearml import Task

task = Task.init(project_name=os.environ.get("PROJECT", "examples"), task_name="goes elsewhere",
                 reuse_last_task_id=False)
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
args = parser.parse_args()
local = Task.running_locally()
print(json.dumps({"task": task.id, "local": local}), flush=True)
task.execute_remotely(queue_name=os.environ.get("QUEUE", "default"), clone=False, exit_process=True)
task.get_logger().report_scalar("remote", "rate", iteration=0, value=args.rate)
task.upload_artifact("remote", {"rate": args.rate, "local": Task.running_locally()}, wait_on_upload=True)
print("went on with", args.rate)
