"""A pipeline of functions: on this host, or the controller on one queue and the steps on another."""
import argparse
import json

from clearml import PipelineController


def make(count, hold=""):
    import os
    import time
    print("making", count)
    while hold and not os.path.exists(hold):
        time.sleep(0.2)
    return list(range(int(count)))


def total(values, extra):
    print("adding", values)
    return {"total": sum(values) + int(extra)}


def completed(pipeline, node):
    print("step completed:", node.name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--controller-queue", default="")
    parser.add_argument("--steps-queue", default="")
    parser.add_argument("--hold", default="", help="the first step waits until this file is there")
    args = parser.parse_args()
    pipe = PipelineController(name="functions", project=args.project, version="1.0.0",
                              pool_frequency=0.02)
    pipe.add_parameter("count", "4")
    pipe.add_function_step("make", make, function_kwargs={"count": "${pipeline.count}", "hold": args.hold},
                           function_return=["values"], packages=[])
    pipe.add_function_step("total", total, function_kwargs={"values": "${make.values}", "extra": 10},
                           function_return=["sum"], packages=[], post_execute_callback=completed,
                           monitor_artifacts=["sum"])
    if args.steps_queue:
        pipe.set_default_execution_queue(args.steps_queue)
    if args.controller_queue:
        pipe.start(queue=args.controller_queue)
    else:
        pipe.start_locally(run_pipeline_steps_locally=not args.steps_queue)
    nodes = pipe.get_pipeline_dag().values()
    print(json.dumps({"steps": {node.name: node.executed for node in nodes},
                      "successful": pipe.is_successful()}))


if __name__ == "__main__":
    main()
