"""Everything that an APIClient can do with queues: queues.py PROJECT QUEUE"""

import json
import sys

from clearml import Task
from clearml.backend_api.session.client import APIClient

project, name = sys.argv[1:]
client = APIClient()
said = {}
queue = client.queues.create(name=name, tags=["mine"]).id
tasks = [Task.create(project_name=project, task_name=f"task {i}").id for i in range(5)]


def order():
    return [tasks.index(entry.task) for entry in client.queues.get_by_id(queue=queue).entries]


for task in tasks[:4]:
    client.queues.add_task(queue=queue, task=task)
said["added"] = order()
client.queues.move_task_to_front(queue=queue, task=tasks[3])
said["to front"] = order()
client.queues.move_task_to_back(queue=queue, task=tasks[0])
said["to back"] = order()
client.queues.move_task_forward(queue=queue, task=tasks[0], count=2)
said["forward"] = order()
client.queues.move_task_backward(queue=queue, task=tasks[3], count=1)
said["backward"] = order()
client.queues.remove_task(queue=queue, task=tasks[1])
said["removed"] = order()
client.tasks.enqueue(task=tasks[4], queue=queue)
said["enqueued"] = order()
if hasattr(client.queues, "get_num_entries"):
    said["number"] = client.queues.get_num_entries(queue=queue).num
    said["peeked"] = tasks.index(client.queues.peek_task(queue=queue).task)
said["next"] = tasks.index(client.queues.get_next_task(queue=queue).entry.task)
said["after"] = order()
client.queues.update(queue=queue, name=name + " renamed", tags=["mine", "new"])
if hasattr(client.queues, "add_or_update_metadata"):
    client.queues.add_or_update_metadata(queue=queue, metadata=[
        {"key": "owner", "type": "str", "value": "me"}, {"key": "cost", "type": "int", "value": "3"}])
    client.queues.delete_metadata(queue=queue, keys=["owner"])
found = client.queues.get_all(name="^" + name)
said["found"] = [[q.id, q.name, sorted(q.tags)] for q in found]
said["default"] = client.queues.get_default().name
said["metrics"] = [m.queue for m in client.queues.get_queue_metrics(
    from_date=0, to_date=2 ** 31, interval=2 ** 30, queue_ids=[queue]).queues]
try:
    client.queues.delete(queue=queue)
except Exception as error:
    said["refused"] = str(error).split(":")[0]
said["deleted"] = client.queues.delete(queue=queue, force=True).deleted
said["left"] = len(client.queues.get_all(name="^" + name))
print(json.dumps({"queue": queue, "tasks": tasks, **said}))
