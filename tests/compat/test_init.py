"""Task.init: what the server knows of the script, and how its end is told."""

import pytest

from reeve_up import wait_until


def test_attaches_under_an_agent(sdk, server, project):
    """reeve runs the script; another server has to have an agent of its own on `services`."""
    if not server.is_embedded:
        pytest.skip("needs the embedded server's reeve: see the agent flows")
    owner = server.api("projects.create", name=project)["id"]
    task = server.api("tasks.create", name="with the SDK", type="service", project=owner,
                      script={"binary": str(sdk.python), "entry_point": "main.py",
                              "diff": (sdk.flows / "attach.py").read_text()},
                      hyperparams={"General": {"rate": {"section": "General", "name": "rate",
                                                        "value": "0.7", "type": "float"}}})["id"]
    server.api("tasks.enqueue", task=task, queue_name="services")
    assert server.reeve.wait(task, timeout=300) == 0, server.reeve.logs(task)
    assert f"attached to {task} rate 0.7 kept mine" in server.reeve.logs(task)
    document = server.api("tasks.get_by_id", task=task)["task"]
    assert document["status"] == "completed" and document["name"] == "with the SDK"
    scalars = wait_until(lambda: server.api("events.scalar_metrics_iter_histogram", task=task),
                         60, what="its scalars")
    assert scalars["loss"]["train"]["y"] == [0.5]
