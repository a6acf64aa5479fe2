"""Runs a task and a function every minute, from the services queue."""
import argparse
import pathlib

from clearml import Task
from clearml.automation import TaskScheduler

BASE = """
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--word", default="none")
args = parser.parse_args()
task = Task.init(project_name="any", task_name="any", auto_resource_monitoring=False)
print("the word is", args.word)
"""


def tick():
    print("the function ran")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--queue")
    args = parser.parse_args()
    scheduler = TaskScheduler(sync_frequency_minutes=0.05, force_create_task_project=args.project,
                              force_create_task_name="scheduler")
    if Task.running_locally():
        pathlib.Path("base.py").write_text(BASE)
        Task.create(project_name=args.project, task_name="base", script="base.py", packages=[])
    base = Task.get_task(project_name=args.project, task_name="base")
    scheduler.add_task(schedule_task_id=base.id, queue=args.queue, name="a task", minute=1,
                       execute_immediately=True, task_parameters={"Args/word": "now"},
                       target_project=args.project)
    scheduler.add_task(schedule_function=tick, name="a function", minute=1, execute_immediately=True)
    scheduler.start_remotely(queue="services")


if __name__ == "__main__":
    main()
