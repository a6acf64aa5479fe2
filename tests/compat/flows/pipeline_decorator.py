"""The decorator form: steps as functions, as processes of this host, or all of it on queues."""
import argparse
import json

from clearml.automation.controller import PipelineDecorator


@PipelineDecorator.component(return_values=["values"])
def make(count):
    print("making", count)
    return " ".join(str(i) for i in range(int(count)))


@PipelineDecorator.component(return_values=["lowest", "highest"])
def ends(values):
    numbers = [int(word) for word in values.split()]
    return min(numbers), max(numbers)


@PipelineDecorator.component(return_values=["text"], cache=True)
def describe(lowest, highest):
    return "from {} to {}".format(lowest, highest)


def build(project, queue):
    @PipelineDecorator.pipeline(name="decorated", project=project, version="0.1",
                                pool_frequency=0.02, pipeline_execution_queue=queue)
    def flow(count):
        values = make(count)
        lowest, highest = ends(values)
        text = str(describe(lowest, highest))
        print("the pipeline says:", text)
        return text
    return flow


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--where", choices=("debug", "local", "queue"))
    parser.add_argument("--controller-queue")
    parser.add_argument("--steps-queue")
    args = parser.parse_args()
    if args.where == "debug":
        PipelineDecorator.debug_pipeline()
    elif args.where == "local":
        PipelineDecorator.run_locally()
    if args.steps_queue:
        PipelineDecorator.set_default_execution_queue(args.steps_queue)
    answer = build(args.project, args.controller_queue)(5)
    print(json.dumps({"answer": answer}))


if __name__ == "__main__":
    main()
