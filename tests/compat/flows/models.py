"""Makes a model, publishes it, and takes it as another task's input: models.py PROJECT"""

import json
import sys

from clearml import InputModel, Model, OutputModel, Task

project = sys.argv[1]
task = Task.init(project_name=project, task_name="trains", output_uri=True, reuse_last_task_id=False,
                 auto_connect_frameworks=False, auto_resource_monitoring=False)
with open("weights.bin", "wb") as f:
    f.write(b"weights\0of it")
model = OutputModel(task=task, name="the model", framework="PyTorch", tags=["good", "first"],
                    label_enumeration={"cat": 0}, comment="made by a flow", config_dict={"layers": 3})
model.update_weights("weights.bin", iteration=5)
OutputModel.wait_for_uploads()
model.update_labels({"cat": 0, "dog": 1})
if hasattr(model, "set_metadata"):
    model.set_metadata("score", "0.5", "float")
second = OutputModel(task=task, name="another", framework="custom")
second.update_weights(register_uri="https://files.invalid/weights.pt")
model.publish()
task.flush(wait_for_uploads=True)
task.close()

user = Task.init(project_name=project, task_name="uses", reuse_last_task_id=False,
                 auto_connect_frameworks=False, auto_resource_monitoring=False)
source = InputModel(model_id=model.id)
user.connect(source, name="start")
imported = InputModel.import_model(weights_url=f"https://files.invalid/{user.id}.h5", name="imported",
                                   framework="Keras", label_enumeration={"bird": 2})
user.connect(imported)
user.flush(wait_for_uploads=True)
user.close()

found = Model(model_id=model.id)
with open(found.get_local_copy(), "rb") as f:
    weights = f.read().decode()
print(json.dumps({
    "task": task.id, "user": user.id, "model": model.id, "second": second.id, "imported": imported.id,
    "weights": weights, "name": found.name, "framework": str(found.framework), "labels": found.labels,
    "tags": sorted(found.tags), "config": found.config_dict, "comment": found.comment,
    "published": found.published, "url": found.url, "made by": found.task,
    "output": [m.id for m in Task.get_task(task_id=task.id).models["output"]],
    "input": sorted(m.id for m in Task.get_task(task_id=user.id).models["input"]),
    "by tag": [m.id for m in Model.query_models(project_name=project, tags=["good"])],
    "without tag": sorted(m.id for m in Model.query_models(project_name=project, tags=["-good"])),
    "by name": [m.id for m in Model.query_models(project_name=project, model_name="another")],
    "published only": [m.id for m in Model.query_models(project_name=project, only_published=True)],
    "metadata": found.get_all_metadata() if hasattr(found, "get_all_metadata") else None,
}))
