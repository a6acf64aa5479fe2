"""Attaches to the task that an agent runs it for; its parameters come from there."""

from clearml import Task

task = Task.init(project_name="ignored", task_name="ignored")
params = {"rate": 0.1, "kept": "mine"}
task.connect(params)
print("attached to", task.id, "rate", params["rate"], "kept", params["kept"])
task.get_logger().report_scalar("loss", "train", iteration=3, value=0.5)
task.flush(wait_for_uploads=True)
