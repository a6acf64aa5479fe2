"""What a trigger looks for: a completed task, a published model, a tagged dataset."""
import argparse
import json
import pathlib

from clearml import Dataset, OutputModel, Task


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--tag")
    args = parser.parse_args()
    task = Task.init(project_name=args.project, task_name="watched", reuse_last_task_id=False,
                     auto_resource_monitoring=False)
    pathlib.Path("weights.bin").write_bytes(b"weights")
    model = OutputModel(task=task, name="a model")
    model.update_weights("weights.bin", auto_delete_file=False)
    task.flush(wait_for_uploads=True)
    model.publish()
    task.close()
    pathlib.Path("data").mkdir()
    pathlib.Path("data/a.txt").write_text("a")
    dataset = Dataset.create(dataset_name="data", dataset_project=args.project, dataset_tags=[args.tag])
    dataset.add_files(path="data")
    dataset.upload(show_progress=False)
    dataset.finalize()
    print(json.dumps({"task": task.id, "model": model.id, "dataset": dataset.id}))


if __name__ == "__main__":
    main()
