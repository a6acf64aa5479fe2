"""A script as there are many: init.py PROJECT"""

import json
import sys

from clearml import Task

task = Task.init(project_name=sys.argv[1], task_name="init", task_type=Task.TaskTypes.testing,
                 tags=["first", "second"], reuse_last_task_id=False)
task.add_tags(["third"])
task.set_comment("what this is about é")
task.set_user_properties(stage="trial", rate={"value": 0.5, "description": "of learning", "type": "float"})
task.set_user_properties({"name": "listed", "value": 3, "description": "in a list"})
task.delete_user_properties([("properties", "listed")])
task.set_name("init, renamed")
print(json.dumps({"task": task.id, "tags": sorted(task.get_tags()), "properties": task.get_user_properties(),
                  "comment": task.comment, "name": task.name, "type": str(task.task_type),
                  "page": task.get_output_log_web_page()}))
