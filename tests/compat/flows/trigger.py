"""Runs a task for each task that completes, each model that is published, each dataset that gets a tag."""
import argparse
import pathlib

from clearml import Task
from clearml.automation import TriggerScheduler

BASE = """
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--source", default="none")
args = parser.parse_args()
task = Task.init(project_name="any", task_name="any", auto_resource_monitoring=False)
print("because of", args.source)
"""


def seen(task_id):
    print("the function saw", task_id)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--watched", help="the project to look at")
    parser.add_argument("--tag")
    parser.add_argument("--queue")
    args = parser.parse_args()
    trigger = TriggerScheduler(pooling_frequency_minutes=0.02, sync_frequency_minutes=1,
                               force_create_task_project=args.project,
                               force_create_task_name="trigger")
    if Task.running_locally():
        pathlib.Path("base.py").write_text(BASE)
        Task.create(project_name=args.project, task_name="base", script="base.py", packages=[])
    base = Task.get_task(project_name=args.project, task_name="base")
    job = {"schedule_task_id": base.id, "schedule_queue": args.queue, "target_project": args.project}
    trigger.add_task_trigger(name="on completed", trigger_project=args.watched,
                             trigger_on_status=["completed"],
                             task_parameters={"Args/source": "${task.id}"}, **job)
    trigger.add_model_trigger(name="on published", trigger_project=args.watched,
                              trigger_on_publish=True,
                              task_parameters={"Args/source": "${model.id}"}, **job)
    trigger.add_dataset_trigger(name="on tagged", trigger_on_tags=[args.tag],
                                task_parameters={"Args/source": "${dataset.id}"}, **job)
    trigger.add_task_trigger(name="with a function", schedule_function=seen, trigger_project=args.watched,
                             trigger_on_status=["completed"])
    trigger.start_remotely(queue="services")


if __name__ == "__main__":
    main()
