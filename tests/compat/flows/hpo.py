"""Looks for the best parameters of a task: every one of a grid, or some at random."""
import argparse
import json
import pathlib

from clearml import Task
from clearml.automation import (DiscreteParameterRange, GridSearch, HyperParameterOptimizer,
                                RandomSearch, UniformIntegerParameterRange)

BASE = """
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int, default=0)
parser.add_argument("--y", type=int, default=0)
args = parser.parse_args()
task = Task.init(project_name="any", task_name="any", auto_resource_monitoring=False)
task.get_logger().report_scalar("objective", "value", iteration=1, value=args.x * 10 + args.y)
task.flush(wait_for_uploads=True)
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--queue")
    parser.add_argument("--strategy", choices=("grid", "random"))
    parser.add_argument("--local", action="store_true")
    args = parser.parse_args()
    pathlib.Path("base.py").write_text(BASE)
    base = Task.create(project_name=args.project, task_name="base", script="base.py", packages=[])
    task = Task.init(project_name=args.project, task_name="optimizer",
                     task_type=Task.TaskTypes.optimizer, reuse_last_task_id=False,
                     auto_resource_monitoring=False)
    optimizer = HyperParameterOptimizer(
        base_task_id=base.id,
        hyper_parameters=[UniformIntegerParameterRange("Args/x", 1, 2),
                          DiscreteParameterRange("Args/y", [3, 4])],
        objective_metric_title="objective", objective_metric_series="value",
        objective_metric_sign="max", max_number_of_concurrent_tasks=2,
        optimizer_class=GridSearch if args.strategy == "grid" else RandomSearch,
        execution_queue=args.queue, pool_period_min=0.02, total_max_jobs=4)
    optimizer.set_report_period(0.05)
    if args.local:
        optimizer.start_locally()
    else:
        optimizer.start()
    optimizer.wait()
    top = optimizer.get_top_experiments(top_k=2)
    details = optimizer.get_top_experiments_details(top_k=2) if hasattr(
        optimizer, "get_top_experiments_details") else None
    optimizer.stop()
    task.flush(wait_for_uploads=True)
    result = {"id": task.id, "base": base.id, "top": [t.id for t in top],
              "parameters": [t.get_parameters() for t in top], "details": details}
    task.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
