"""Steps that fail: the rest goes on, or is aborted, or the step is tried again."""
import argparse
import json

from clearml import PipelineController


def good(x=1):
    return x


def bad(path=""):
    with open(path, "a") as f:
        f.write("tried\n")
    with open(path) as f:
        tries = len(f.readlines())
    if tries < 2:
        raise ValueError("not yet")
    return tries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--count", help="the file in which tries are counted")
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--abort-on-failure", action="store_true")
    parser.add_argument("--continue-on-fail", action="store_true")
    args = parser.parse_args()
    more = {"retry_on_failure": args.retries} if args.retries else {}
    pipe = PipelineController(name="failing", project=args.project, version="1.0.0",
                              pool_frequency=0.02, abort_on_failure=args.abort_on_failure)
    pipe.add_function_step("bad", bad, function_kwargs={"path": args.count}, function_return=["tries"],
                           packages=[], continue_on_fail=args.continue_on_fail, **more)
    pipe.add_function_step("after", good, function_kwargs={"x": 2}, function_return=["x"], packages=[],
                           parents=["bad"])
    pipe.add_function_step("last", good, function_kwargs={"x": 3}, function_return=["x"], packages=[],
                           parents=["after"])
    pipe.start_locally(run_pipeline_steps_locally=True)
    steps = pipe.get_pipeline_dag()
    print(json.dumps({"successful": pipe.is_successful(), "elapsed": pipe.elapsed(),
                      "jobs": {name: node.job.task_id() for name, node in steps.items() if node.job}}))


if __name__ == "__main__":
    main()
