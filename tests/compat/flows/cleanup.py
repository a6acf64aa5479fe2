"""Deletes archived tasks of a project with their artifacts, models and samples, from the services queue."""
import logging
from argparse import ArgumentParser
from datetime import datetime
from time import sleep, time

from clearml import Task
from clearml.backend_api.session.client import APIClient


def clean(client, project, days):
    changed_before = datetime.utcfromtimestamp(time() - 24 * 60 * 60 * days)
    page, size, tasks = 0, 100, None
    while tasks is None or len(tasks) == size:
        tasks = client.tasks.get_all(
            project=[project], system_tags=["archived"], only_fields=["id"], order_by=["-last_update"],
            page_size=size, page=page, status_changed=["<{}".format(changed_before)])
        page += 1
        for task in tasks:
            try:
                done = Task.get_task(task_id=task.id).delete(
                    delete_artifacts_and_models=True, skip_models_used_by_other_tasks=True,
                    raise_on_error=False)
                print("deleted", task.id, done)
            except Exception as error:
                logging.warning("Could not delete Task ID=%s, %s", task.id, error)


def main():
    parser = ArgumentParser()
    parser.add_argument("--project")
    args = parser.parse_args()
    task = Task.init(project_name=args.project, task_name="cleanup", reuse_last_task_id=False,
                     task_type=Task.TaskTypes.service, auto_resource_monitoring=False)
    settings = task.connect({"delete_threshold_days": 0.0, "cleanup_period_in_days": 0.00001})
    task.execute_remotely(queue_name="services", exit_process=True)
    print("cleanup started")
    client = APIClient()
    project = client.projects.get_all(name="^{}$".format(args.project), only_fields=["id"])[0].id
    while True:
        clean(client, project, settings["delete_threshold_days"])
        sleep(24 * 60 * 60 * settings["cleanup_period_in_days"])


if __name__ == "__main__":
    main()
