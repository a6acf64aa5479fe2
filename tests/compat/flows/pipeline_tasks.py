"""A pipeline of two existing tasks on a queue, run twice: the second time a step comes from the cache."""
import argparse
import json
import pathlib

from clearml import PipelineController, Task

STEP = """
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--source", default="")
args = parser.parse_args()
task = Task.init(project_name="any", task_name="any")
task.get_logger().report_scalar("loss", "train", iteration=1, value=args.rate * 2)
if args.source:
    print("first had", Task.get_task(task_id=args.source).artifacts["twice"].get())
task.upload_artifact("twice", {"value": args.rate * 2}, wait_on_upload=True)
task.flush(wait_for_uploads=True)
"""


def pipeline(project, queue):
    seen = []

    def before(pipe, node, parameters):
        seen.append(["before", node.name, parameters])
        return True

    def after(pipe, node):
        seen.append(["after", node.name])

    pipe = PipelineController(name="tasks", project=project, version="1.0.0", pool_frequency=0.02,
                              add_pipeline_tags=True)
    pipe.set_default_execution_queue(queue)
    pipe.add_parameter("rate", "0.5", "how fast")
    pipe.add_step("first", base_task_project=project, base_task_name="step", cache_executed_step=True,
                  parameter_override={"Args/rate": "${pipeline.rate}"},
                  pre_execute_callback=before, post_execute_callback=after)
    pipe.add_step("second", parents=["first"], base_task_project=project, base_task_name="step",
                  parameter_override={"Args/rate": "${first.parameters.Args/rate}",
                                      "Args/source": "${first.id}"},
                  monitor_metrics=[("loss", "train")], monitor_artifacts=["twice"],
                  pre_execute_callback=before, post_execute_callback=after)
    pipe.start_locally()
    steps = pipe.get_pipeline_dag()
    result = {"seen": seen,
              "first": steps["first"].executed, "second": steps["second"].executed,
              "loss": Task.get_task(task_id=steps["second"].executed).get_last_scalar_metrics()["loss"]}
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--queue")
    args = parser.parse_args()
    pathlib.Path("step.py").write_text(STEP)
    Task.create(project_name=args.project, task_name="step", task_type="training",
                script="step.py", packages=[])
    print(json.dumps([pipeline(args.project, args.queue), pipeline(args.project, args.queue)]))


if __name__ == "__main__":
    main()
