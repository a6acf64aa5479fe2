"""Reads another task's reports: read_back.py TASK"""

import json
import sys

from clearml import Task

task = Task.get_task(task_id=sys.argv[1])
found = {
    "scalars": task.get_reported_scalars(),
    "few": task.get_reported_scalars(max_samples=10),
    "last": task.get_last_scalar_metrics(),
    "iteration": task.get_last_iteration(),
    "console": "".join(task.get_reported_console_output(100)),
    "plots": [[plot["metric"], plot["variant"], plot["iter"]] for plot in task.get_reported_plots()],
}
if hasattr(task, "get_all_reported_scalars"):
    found["all"] = task.get_all_reported_scalars()
    found["single"] = task.get_reported_single_values()
    found["best"] = task.get_reported_single_value("best")
    found["images"] = [sample["iter"] for sample in task.get_debug_samples("image", "array")]
print(json.dumps(found))
