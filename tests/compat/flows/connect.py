"""Connects parameters of each kind: PROJECT=... connect.py [--rate R] [--name N] [--flag]"""

import argparse
import dataclasses
import json
import os
import pathlib

from clearml import Task


@dataclasses.dataclass
class Settings:
    depth: int = 3
    label: str = "oak"
    ratio: float = 0.25


class Plain:
    def __init__(self):
        self.width = 5
        self.word = "plain"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--name", default="none")
    parser.add_argument("--flag", action="store_true")
    parser.add_argument("--list", nargs="*", type=int, default=[1, 2])
    task = Task.init(project_name=os.environ.get("PROJECT", "examples"), task_name="connect", reuse_last_task_id=False)
    args = parser.parse_args()

    params = {"lr": 0.01, "nested": {"a": 1, "b": [1, 2]}, "text": "x y", "nothing": None, "yes": True}
    params = task.connect(params, name="My section")
    general = {"epochs": 4}
    task.connect(general)
    settings = Settings()
    task.connect(settings, name="Data class")
    plain = Plain()
    task.connect(plain, name="Plain")
    config = task.connect_configuration({"layers": [{"kind": "conv", "size": 3}], "é": None}, name="network")
    file = pathlib.Path("settings.yaml")
    if not file.exists():
        file.write_text("first: line\n# a comment\n")
    path = task.connect_configuration(file, name="a file", description="of settings")
    task.set_configuration_object("text", config_text="free text\n", description="d", config_type="ini")
    task.set_model_label_enumeration({"cat": 0, "dog": 1})
    task.set_parameter("General/set", 7, description="set by hand")
    task.set_parameters_as_dict({**task.get_parameters_as_dict(), "More": {"one": 1}})
    task.flush(wait_for_uploads=True)
    print(json.dumps({
        "task": task.id, "args": vars(args), "params": params, "general": general,
        "settings": dataclasses.asdict(settings), "plain": [plain.width, plain.word], "config": config,
        "file": pathlib.Path(path).read_text(),
        "parameters": task.get_parameters(), "cast": task.get_parameters_as_dict(cast=True),
        "one": task.get_parameter("General/set"),
        "text": task.get_configuration_object("text"),
        "dict": task.get_configuration_object_as_dict("network"),
        "objects": sorted(task.get_configuration_objects()),
        "labels": task.get_labels_enumeration(),
    }))


if __name__ == "__main__":
    main()
