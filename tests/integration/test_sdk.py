"""An unmodified ClearML SDK script attaches to its task when it runs under reeve.

The interpreter that runs the tests has the `clearml` package from PyPI; it is the payload's too.
"""

import importlib.util
import sys

import pytest

from conftest import wait_until

pytestmark = pytest.mark.skipif(importlib.util.find_spec("clearml") is None,
                                reason="the clearml package is not installed here")

SCRIPT = """
from clearml import Task
task = Task.init(project_name='ignored', task_name='ignored')
params = {'rate': 0.1, 'kept': 'mine'}
task.connect(params)
print('attached to', task.id, 'rate', params['rate'], 'kept', params['kept'])
task.get_logger().report_scalar('loss', 'train', iteration=3, value=0.5)
task.flush(wait_for_uploads=True)
"""


def test_task_init_attaches(reeve):
    task = reeve.call("tasks.create", name="with the SDK", type="service",
                      script={"binary": sys.executable, "entry_point": "main.py", "diff": SCRIPT},
                      hyperparams={"General": {"rate": {"section": "General", "name": "rate",
                                                        "value": "0.7", "type": "float"}}})["id"]
    reeve.call("tasks.enqueue", task=task, queue_name="services")
    assert reeve.wait(task, timeout=90) == 0, reeve.logs(task)
    assert f"attached to {task} rate 0.7 kept mine" in reeve.logs(task)
    document = reeve.task(task)
    assert document["status"] == "completed" and document["name"] == "with the SDK"
    scalars = wait_until(lambda: reeve.call("events.scalar_metrics_iter_histogram", task=task),
                         what="its scalars")
    assert scalars["loss"]["train"]["y"] == [0.5]


def test_connects_from_outside(reeve):
    """The clearml.conf that `reeve up` writes is all that the SDK needs."""
    import os
    import subprocess
    env = {k: v for k, v in reeve.env.items() if not k.startswith("CLEARML_API")}
    env["CLEARML_CONFIG_FILE"] = str(reeve.data / "clearml.conf")
    code = ("from clearml import Task\n"
            "t = Task.create(project_name='outside', task_name='made by the SDK')\n"
            "print(t.id)\n")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True,
                          timeout=120, cwd=os.path.dirname(str(reeve.data)))
    assert done.returncode == 0, done.stderr
    made = done.stdout.strip().splitlines()[-1]
    assert reeve.task(made)["name"] == "made by the SDK"
