"""Its own parameters, by argparse and a dictionary; what the server says of them counts under an agent."""

import argparse
import json

from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--name", default="own")
parser.add_argument("--flag", action="store_true")
task = Task.init(project_name="agent flows", task_name="parameters", auto_connect_frameworks=False,
                 auto_resource_monitoring=False)
arguments = vars(parser.parse_args())
settings = task.connect({"depth": 2, "kept": "mine"}, name="Model")
print(json.dumps({"arguments": arguments, "model": dict(settings), "id": task.id}))
