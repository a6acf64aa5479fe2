"""A dataset and a child of it: files added, changed and removed, uploaded, finalised and read back."""
import argparse
import json
import os
import pathlib

from clearml import Dataset


def contents(folder):
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    args = parser.parse_args()
    source = pathlib.Path("source")
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("a")
    (source / "sub" / "b.txt").write_text("b")

    first = Dataset.create(dataset_name="letters", dataset_project=args.project, dataset_tags=["tagged"])
    added = first.add_files(path=str(source))
    first.upload(show_progress=False)
    first.finalize()
    result = {"first": first.id, "added": added, "listed": sorted(first.list_files())}

    got = Dataset.get(dataset_name="letters", dataset_project=args.project)
    result["found by name"] = got.id
    copy = got.get_local_copy()
    result["copy"] = contents(copy)
    result["final"] = got.is_final()

    (source / "a.txt").write_text("changed")
    (source / "c é.txt").write_text("c")
    os.remove(source / "sub" / "b.txt")
    child = Dataset.create(dataset_name="letters", dataset_project=args.project,
                           parent_datasets=[first.id])
    result["synced"] = child.sync_folder(local_path=str(source))
    result["child"] = {"id": child.id, "added": sorted(child.list_added_files()),
                       "removed": sorted(child.list_removed_files()),
                       "modified": sorted(child.list_modified_files())}
    child.upload(show_progress=False, compression=8)
    child.finalize()
    again = Dataset.get(dataset_id=child.id)
    result["child copy"] = contents(again.get_local_copy())
    target = pathlib.Path("mutable")
    result["mutable"] = contents(again.get_mutable_local_copy(target_folder=str(target)))
    result["verified"] = again.verify_dataset_hash(local_copy_path=str(target))
    result["dependencies"] = again.get_dependency_graph()
    result["datasets"] = sorted(d["id"] for d in Dataset.list_datasets(dataset_project=args.project))
    squashed = Dataset.squash(dataset_name="flat", dataset_ids=[first.id, child.id])
    result["squashed"] = {"id": squashed.id, "copy": contents(squashed.get_local_copy())}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
