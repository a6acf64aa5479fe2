"""Projects, their sub-projects, and where their tasks' files go: projects.py PROJECT FOLDER"""

import json
import sys

from clearml import Task
from clearml.backend_api.session.client import APIClient

project, folder = sys.argv[1:]
client = APIClient()
parent = client.projects.create(name=project, description="of a flow", tags=["mine"],
                                default_output_destination="file://" + folder)
child = client.projects.create(name=project + "/child/grand child", description="below")
task = Task.init(project_name=project, task_name="default output", reuse_last_task_id=False,
                 auto_resource_monitoring=False, auto_connect_frameworks=False)
task.upload_artifact("dict", {"a": 1}, wait_on_upload=True)
task.close()
below = Task.create(project_name=project + "/child/grand child", task_name="below")
client.projects.update(project=parent.id, description="changed")
print(json.dumps({
    "task": task.id, "below": below.id, "parent": parent.id, "child": child.id,
    "names": sorted(p.name for p in client.projects.get_all(name="^" + project)),
    "exact": [p.id for p in client.projects.get_all(name="^" + project + "$")],
    "description": client.projects.get_by_id(project=parent.id).description,
    "artifact": Task.get_task(task_id=task.id).artifacts["dict"].url,
    "by sdk": sorted(p.name for p in Task.get_projects() if p.name.startswith(project)),
    "id by name": Task.get_project_id(project) if hasattr(Task, "get_project_id") else parent.id,
    "tags": client.projects.get_task_tags(projects=[parent.id]).tags,
}))
