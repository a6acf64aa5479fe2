"""Everything that an APIClient can do with workers: workers.py WORKER QUEUE TASK"""

import json
import sys
import time

from clearml.backend_api.session.client import APIClient, APIError

worker, queue, task = sys.argv[1:]
client = APIClient()
client.workers.register(worker=worker, queues=[queue], timeout=600, tags=["mine"])


def mine():
    return [w for w in client.workers.get_all(last_seen=600) if w.id == worker]


registered = mine()
client.workers.status_report(worker=worker, timestamp=int(time.time() * 1000), queues=[queue], task=task,
                             machine_stats={"cpu_usage": [10.0, 20.0], "memory_used": 5.0})
(busy,) = mine()
now = time.time()
keys = []
while not keys and time.time() < now + 120:  # the server's index takes its time
    try:
        keys = [k for c in client.workers.get_metric_keys(worker_ids=[worker]).categories for k in c.metric_keys]
    except APIError:
        time.sleep(1)
said = {
    "registered": [[q.id for q in w.queues] for w in registered],
    "tags": [registered[0].tags, busy.tags],
    "task": busy.task.id,
    "queues": [q.id for q in busy.queues],
    "keys": keys,
    "stats": [s.worker for s in client.workers.get_stats(
        from_date=now - 600, to_date=now + 600, interval=1200, worker_ids=[worker],
        items=[{"key": "cpu_usage", "aggregation": "avg"}]).workers],
    "activity": len(client.workers.get_activity_report(
        from_date=now - 600, to_date=now + 600, interval=600).total.dates),
}
client.workers.unregister(worker=worker)
said["gone"] = not mine()
print(json.dumps(said))
