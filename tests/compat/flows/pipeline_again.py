"""Finds a pipeline by its name, and runs it again as a copy: --project NAME --queue QUEUE."""
import argparse
import json

from clearml import PipelineController


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--queue")
    args = parser.parse_args()
    found = PipelineController.get(pipeline_project=args.project, pipeline_name="functions")
    copy = PipelineController.clone(found, name="a copy")
    copy.add_tags(["copied"])
    PipelineController.enqueue(copy, queue_name=args.queue)
    print(json.dumps({"found": found.id, "copy": copy.id, "tags": copy.tags}))


if __name__ == "__main__":
    main()
