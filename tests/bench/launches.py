"""How many tasks a second one host starts and ends, of a queue that never runs dry."""

from rig import Note, host, peer, row, stamp, wait_until


def measure(options):
    count = 50 if options.smoke else 500 if options.quick else 3000
    with host("--queue", "first") as reeve:
        reeve.call("queues.create", name="later")
        tasks = reeve.make({"binary": "true"}, count)
        reeve.enqueue(tasks, "later")
        reeve.stop()
        reeve.args += ["--queue", "later"]
        reeve.start()
        wait_until(lambda: reeve.count(tasks, "queued", "in_progress", "created") == 0, 300, 1, f"the end of {count} tasks")
        found = reeve.times(tasks, "started", "completed")
        done = sum(task["status"] == "completed" for task in found)
        if done != count:
            raise Note(f"{count - done} of {count} tasks did not complete")
        begin = min(stamp(task["started"]) for task in found)
        launched = max(stamp(task["started"]) for task in found) - begin
        whole = max(stamp(task["completed"]) for task in found) - begin
    yield row("launches, sustained", 500, (count - 1) / launched, "1/s", less_is_better=False, **peer(options, "starts"),
              note=f"{count} tasks; clearml-agent's: Python services")
    yield row("tasks from start to final status", None, (count - 1) / whole, "1/s", less_is_better=False)
