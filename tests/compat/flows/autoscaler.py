"""An autoscaler over a cloud of its own: a machine for each waiting task, none once they are idle."""
import argparse
import json
import time

from clearml import Task
from clearml.automation.auto_scaler import AutoScaler, ScalerConfig
from clearml.automation.cloud_driver import CloudDriver
from clearml.backend_api.session import Session
from clearml.backend_api.session.client import APIClient


class Cloud(CloudDriver):
    """Its machines register as workers, take a task of their queue each, and are idle then."""

    history = []
    limit = 2

    def spin_up_worker(self, resource, worker_prefix, queue_name, task_id=None):
        client = APIClient()
        machine = "machine-{}".format(len(self.history))
        worker = "{}:{}".format(worker_prefix, machine)
        queue = client.queues.get_all(name="^{}$".format(queue_name))[0].id
        client.workers.register(worker=worker, queues=[queue], tags=["autoscaled"])
        entry = client.queues.get_next_task(queue=queue).entry
        self.history.append(["up", machine, queue_name, entry.task, resource["instance_type"]])
        client.tasks.started(task=entry.task, force=True)
        client.workers.status_report(worker=worker, task=entry.task, queues=[queue],
                                     timestamp=int(1000 * time.time()))
        client.tasks.completed(task=entry.task, force=True)
        client.workers.status_report(worker=worker, queues=[queue], timestamp=int(1000 * time.time()))
        return machine

    def spin_down_worker(self, instance_id):
        self.history.append(["down", instance_id])
        client = APIClient()
        for worker in client.workers.get_all():
            if worker.id.endswith(":" + instance_id):
                client.workers.unregister(worker=worker.id)
        if len([entry for entry in self.history if entry[0] == "down"]) == self.limit:
            self.scaler.stop()

    def kind(self):
        return "own"

    def instance_id_command(self):
        return "hostname"

    def instance_type_key(self):
        return "instance_type"

    def console_log(self, instance_id):
        return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    parser.add_argument("--queue", help="is made")
    args = parser.parse_args()
    session = Session()
    client = APIClient()
    client.queues.create(name=args.queue)
    waiting = []
    for i in range(2):
        task = Task.create(project_name=args.project, task_name="work {}".format(i))
        Task.enqueue(task, queue_name=args.queue)
        waiting.append(task.id)
    driver = Cloud(git_user="", git_pass="", extra_clearml_conf="",
                   api_server=session.get_api_server_host(), web_server=session.get_app_server_host(),
                   files_server=session.get_files_server_host(), access_key=session.access_key,
                   secret_key=session.secret_key, auth_token=None, extra_vm_bash_script="",
                   docker_image="")
    scaler = AutoScaler(ScalerConfig(
        max_idle_time_min=0, polling_interval_time_min=0.01, max_spin_up_time_min=10,
        workers_prefix=args.queue.replace(" ", "-"),
        resource_configurations={"small": {"instance_type": "s.1"}},
        queues={args.queue: [("small", 2)]}), driver)
    scaler.start()
    print(json.dumps({"waiting": waiting, "history": driver.history, "state": scaler.state.value,
                      "prefix": scaler.workers_prefix,
                      "workers": [worker.id for worker in client.workers.get_all()]}))


if __name__ == "__main__":
    main()
