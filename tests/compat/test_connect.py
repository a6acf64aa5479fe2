"""Parameters and configuration: as the script has them, and changed on the server before an agent runs it."""

import json

PARAMETERS = {
    "Args/rate": "0.5", "Args/name": "some é", "Args/flag": "False", "Args/list": "[1, 2]",
    "General/epochs": "4", "General/set": "7", "My section/lr": "0.01", "My section/nested/a": "1",
    "My section/nested/b": "[1, 2]", "My section/text": "x y", "My section/nothing": "",
    "My section/yes": "True", "Data class/depth": "3", "Data class/label": "oak",
    "Data class/ratio": "0.25", "Plain/width": "5", "Plain/word": "plain", "More/one": "1",
}


def parameters_of(document):
    return {f"{section}/{name}": item["value"] for section, items in document["hyperparams"].items()
            for name, item in items.items()}


def test_connect(sdk, server, project, tmp_path):
    found = sdk.run("connect", "--rate", "0.5", "--name", "some é", cwd=tmp_path, env={"PROJECT": project}).json
    check_server(server, found)
    check_script(found)
    if server.is_embedded:
        check_changed_on_the_server(sdk, server, found)


def check_server(server, found):
    document = server.api("tasks.get_by_id", task=found["task"])["task"]
    assert parameters_of(document) == PARAMETERS
    assert document["hyperparams"]["General"]["set"]["description"] == "set by hand"
    configuration = document["configuration"]
    assert set(configuration) == {"network", "a file", "text"} == set(found["objects"])
    assert configuration["a file"]["value"] == "first: line\n# a comment\n"
    assert configuration["a file"]["description"] == "of settings"
    assert configuration["text"] == {"name": "text", "value": "free text\n", "type": "ini", "description": "d"}
    assert document["execution"]["model_labels"] == {"cat": 0, "dog": 1}


def check_script(found):
    assert found["params"] == {"lr": 0.01, "nested": {"a": 1, "b": [1, 2]}, "text": "x y",
                               "nothing": None, "yes": True}
    assert found["parameters"] == PARAMETERS
    assert found["cast"]["My section"]["lr"] == 0.01 and found["cast"]["Data class"]["depth"] == 3
    assert found["one"] == "7" and found["text"] == "free text\n"
    assert found["dict"] == {"layers": [{"kind": "conv", "size": 3}], "é": None}
    assert found["labels"] == {"cat": 0, "dog": 1}


def check_changed_on_the_server(sdk, server, found):
    """A clone with other values, run by reeve: the script sees those."""
    api = server.api
    clone = api("tasks.clone", task=found["task"], new_task_name="connect, again")["id"]
    api("tasks.edit_hyper_params", task=clone, hyperparams=[
        {"section": section, "name": name, "value": value} for section, name, value in (
            ("Args", "rate", "0.75"), ("Args", "flag", "True"), ("My section", "nested/a", "11"),
            ("My section", "lr", "0.02"), ("Data class", "depth", "9"), ("Plain", "width", "8"),
            ("General", "epochs", "40"))])
    api("tasks.edit_configuration", task=clone, configuration=[
        {"name": "network", "value": '{"layers": []}', "type": "dict"},
        {"name": "a file", "value": "first: other\n"}])
    api("tasks.edit", task=clone, script={**api("tasks.get_by_id", task=clone)["task"]["script"],
                                          "binary": str(sdk.python)})
    api("tasks.enqueue", task=clone, queue_name="services")
    assert server.reeve.wait(clone, timeout=300) == 0, server.reeve.logs(clone)
    said = json.loads([w for w in server.reeve.logs(clone).splitlines() if w.startswith("{")][-1])
    assert said["task"] == clone
    assert said["args"] == {"rate": 0.75, "name": "some é", "flag": True, "list": [1, 2]}
    assert said["params"]["nested"] == {"a": 11, "b": [1, 2]} and said["params"]["lr"] == 0.02
    assert said["settings"] == {"depth": 9, "label": "oak", "ratio": 0.25}
    assert said["plain"] == [8, "plain"] and said["general"] == {"epochs": 40}
    assert said["config"] == {"layers": []}
    assert said["file"] == "first: other\n"
