"""Versions, links, metadata and the moves of a dataset, as the SDK has them since 1.6."""
import argparse
import json
import pathlib

from clearml import Dataset


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    args = parser.parse_args()
    pathlib.Path("linked.txt").write_text("linked")
    pathlib.Path("added.txt").write_text("added")
    first = Dataset.create(dataset_name="versions", dataset_project=args.project, dataset_version="1.2.0",
                           description="what it is")
    first.add_files("added.txt")
    first.add_external_files(source_url=pathlib.Path("linked.txt").absolute().as_uri())
    first.set_metadata({"key": [1, 2]}, metadata_name="facts", ui_visible=True)
    first.add_tags(["more"])
    first.upload(show_progress=False)
    first.finalize()
    second = Dataset.create(dataset_name="versions", dataset_project=args.project,
                            parent_datasets=[first.id])
    second.remove_files("added.txt")
    second.finalize(auto_upload=True)
    found = Dataset.get(dataset_name="versions", dataset_project=args.project, dataset_version="1.2.0",
                        alias="the first")
    result = {
        "first": first.id, "second": second.id, "found": found.id,
        "versions": [found.version, Dataset.get(dataset_id=second.id).version],
        "newest": Dataset.get(dataset_name="versions", dataset_project=args.project).id,
        "links": sorted(found.link_entries_dict), "metadata": found.get_metadata("facts"),
        "tags": sorted(found.tags),
        "copy": sorted(p.name for p in pathlib.Path(found.get_local_copy()).iterdir()),
        "second copy": sorted(p.name for p in pathlib.Path(second.get_local_copy()).iterdir()),
    }
    there = args.project + " moved"
    Dataset.move_to_project(new_dataset_project=there, dataset_project=args.project, dataset_name="versions")
    Dataset.rename(new_dataset_name="renamed", dataset_project=there, dataset_name="versions")
    result["left behind"] = Dataset.list_datasets(dataset_project=args.project)
    result["renamed"] = [[d["id"], d["name"], d["version"]] for d in Dataset.list_datasets(dataset_project=there)]
    Dataset.delete(dataset_id=second.id)
    result["left"] = [d["id"] for d in Dataset.list_datasets(dataset_project=there)]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
