"""Makes tasks for agents and goes on with them: create.py PROJECT REPOSITORY COMMIT SCRIPT QUEUE"""

import json
import sys

from clearml import Task

project, repository, commit, script, queue = sys.argv[1:]
of_script = Task.create(project_name=project, task_name="of a script", script=script, packages=["six"],
                        argparse_args=[("rate", "0.5")], add_task_init_call=False)
of_repository = Task.create(
    project_name=project, task_name="of a repository", repo=repository, branch="trunk", commit=commit,
    script="sub/main.py", working_directory=".", packages=["six", "attrs>=20"],
    task_type="inference", add_task_init_call=False)
with_docker = Task.create(
    project_name=project, task_name="with docker", repo=repository, branch="trunk", commit=commit,
    script="sub/main.py", packages=["six"], docker="python:3.11", docker_args="-e A=1 --ipc=host",
    docker_bash_setup_script="apt-get update", add_task_init_call=True)
clone = Task.clone(source_task=of_script, name="a clone", comment="cloned", parent=of_repository.id)
clone.set_parameters({"Args/rate": 0.75, "General/x": [1, 2]})
clone.set_parent(with_docker.id)
clone.set_base_docker("ubuntu:22.04", docker_arguments="--memory 1g")
Task.enqueue(clone, queue_name=queue)
queued = str(Task.get_task(task_id=clone.id).status)
Task.dequeue(clone)
exported = of_script.export_task()
exported["name"] = "imported"
imported = Task.import_task(exported)
print(json.dumps({
    "script": of_script.id, "repository": of_repository.id, "docker": with_docker.id, "clone": clone.id,
    "queued": queued, "dequeued": str(Task.get_task(task_id=clone.id).status),
    "parameters": clone.get_parameters(), "imported": imported.id,
    "base docker": clone.get_base_docker(),
}))
