"""What happens to an agent's tasks and workers meanwhile: aborts, resets, other queues, other agents."""

import pytest

from reeve_up import alive, wait_until

from agents import code


def wait_file(path):
    return wait_until(lambda: path.exists() and path.read_text().strip(), 120, what=str(path))


def sleeper(folder, trap=""):
    """Says its pid in a file, then sleeps for longer than any test."""
    return code(f"""
        import os, signal, time
        print("it runs", flush=True)
        {trap}
        with open({str(folder / "pid.new")!r}, "w") as f:
            f.write(str(os.getpid()))
        os.rename({str(folder / "pid.new")!r}, {str(folder / "pid")!r})
        time.sleep(3600)
        """)


def running(agent, folder, **fields):
    """A task that runs, and the pid of its program."""
    task = agent.submit(sleeper(folder), **fields)
    return task, int(wait_file(folder / "pid"))


def wait_gone(pid):
    wait_until(lambda: not alive(pid), 120, what=f"the end of process {pid}")


def test_abort(agent, tmp_path):
    task, pid = running(agent, tmp_path)
    agent.server.api("tasks.stop", task=task, status_reason="by hand")
    wait_gone(pid)
    document = agent.finish(task, "stopped")
    assert agent.lines(task).count("Process aborted by user") == 1
    agent.differs("status_reason of an abort", document["status_reason"])
    assert document["status_message"].startswith(f"Changed by clearml-agent {document['last_worker']}")


@pytest.mark.slow
def test_marked_failed_from_outside(agent, tmp_path):
    task, pid = running(agent, tmp_path)
    agent.server.api("tasks.failed", task=task, status_reason="by hand", status_message="words", force=True)
    wait_gone(pid)
    document = agent.document(task)
    assert (document["status"], document["status_reason"]) == ("failed", "by hand")


def test_a_status_set_by_the_sdk_stands(agent):
    """With its words, whatever the exit code is, and no attempt follows it."""
    if agent.kind != "reeve":
        pytest.skip("clearml-agent writes its own over it, or not, as its look at the task falls")
    task = agent.submit(code("""
        import os
        from clearml import Task
        task = Task.init()
        task.mark_failed(status_reason="my own", status_message="words", force=True)
        os._exit(3)
        """), container={"arguments": "--restart on-failure"})
    agent.finish(task, "failed")
    wait_until(lambda: not any(task in worker["id"] for worker in agent.workers()), 120, what="the run's end")
    document = agent.document(task)
    assert (document["status"], document["status_reason"], document["status_message"]) == ("failed", "my own", "words")


def test_reset_while_it_runs(agent, tmp_path):
    task, pid = running(agent, tmp_path)
    agent.server.api("tasks.reset", task=task, force=True)
    wait_gone(pid)
    assert agent.document(task)["status"] == "created"


def test_deleted_while_it_runs(agent, tmp_path):
    task, pid = running(agent, tmp_path)
    agent.server.api("tasks.delete", task=task, force=True)
    wait_gone(pid)
    # It goes on with its queue.
    agent.finish(agent.submit("print('the next one')\n"))


def test_enqueued_again(agent):
    task = agent.submit("import sys\nsys.exit(5)\n")
    agent.finish(task, "failed")
    agent.server.api("tasks.edit", task=task, force=True,
                     script={"binary": "python3", "entry_point": "main.py", "working_dir": ".",
                             "diff": "print('better')\n"})
    agent.server.api("tasks.reset", task=task)
    agent.enqueue(task)
    agent.finish(task)
    lines = agent.lines(task)
    assert "better" in lines and "Process failed, exit code 5" not in lines


def test_dequeued_in_time(agent, tmp_path):
    """What leaves the queue before its turn never runs."""
    task, pid = running(agent, tmp_path)
    other = agent.submit("print('never')\n")
    agent.server.api("tasks.dequeue", task=other)
    agent.server.api("tasks.stop", task=task)
    wait_gone(pid)
    agent.finish(agent.submit("print('after it')\n"))
    document = agent.document(other)
    assert document["status"] == "created" and not document.get("last_worker")


def test_worker(agent, tmp_path):
    worker = agent.worker()
    assert [queue["name"] for queue in worker["queues"]] == list(agent.queues)
    assert worker["ip"] and worker["register_time"] and worker["last_activity_time"]
    task, pid = running(agent, tmp_path)
    at_work = wait_until(lambda: [w for w in agent.workers() if (w.get("task") or {}).get("id") == task],
                         120, what="a worker with the task")
    assert len(at_work) == 1 and at_work[0]["task"]["name"] == "agent flow"
    agent.differs("each task has a worker of its own", at_work[0]["id"] != agent.name)
    assert agent.document(task)["last_worker"] == at_work[0]["id"]
    agent.server.api("tasks.stop", task=task)
    wait_gone(pid)
    agent.finish(task, "stopped")
    wait_until(lambda: not [w for w in agent.workers() if w.get("task")], 120, what="an idle worker")


def test_priority_of_queues(agent_word, make_agent):
    """The first queue is emptied before the second, each from its front."""
    agent = make_agent(agent_word)
    agent.add_queues(f"compat first {agent.name}", f"compat second {agent.name}")
    tasks = {}
    for name, queue in (("second 1", 1), ("second 2", 1), ("first 1", 0), ("first 2", 0)):
        tasks[name] = agent.create("print('in its turn')\n")
        agent.enqueue(tasks[name], agent.queues[queue])
    agent.start()
    started = {agent.finish(task)["started"]: name for name, task in tasks.items()}
    assert [started[when] for when in sorted(started)] == ["first 1", "first 2", "second 1", "second 2"]
    assert agent.stop() == []
    assert agent.workers() == []


def test_ends_with_its_agent(agent_word, make_agent, tmp_path):
    agent = make_agent(agent_word)
    agent.add_queues(f"compat {agent.name}").start()
    task, pid = running(agent, tmp_path)
    assert agent.stop() == []
    wait_gone(pid)
    document = agent.wait_status(task, "stopped", "failed")
    agent.differs("a task whose agent is ended",
                  (document["status"], document["status_reason"]))
    assert agent.workers() == []


def test_two_agents_share_a_queue(agent_word, make_agent, tmp_path):
    """reeve and clearml-agent on one queue: each task runs, and runs once."""
    if agent_word != "official":
        pytest.skip("runs with --agent official, which needs no other one")
    two = [make_agent("official"), make_agent("reeve")]
    two[0].add_queues(f"compat shared {two[0].name}")
    two[1].queues = two[0].queues
    script = code(f"""
        import os, time
        with open({str(tmp_path / "ran")!r}, "a") as f:
            f.write(os.environ["CLEARML_TASK_ID"] + "\\n")
        while not os.path.exists({str(tmp_path / "go")!r}):
            time.sleep(0.1)
        """)
    tasks = [two[0].submit(script) for _ in range(6)]
    for agent in two:
        agent.start()
    # Each has one in hand, and neither can take a second before that has ended.
    in_hand = wait_until(lambda: len(ran := (tmp_path / "ran").read_text().split()) == 2 and ran
                         if (tmp_path / "ran").exists() else None, 180, what="two tasks that run")
    workers = [two[0].document(task)["last_worker"] for task in in_hand]
    for agent in two:
        assert sum(worker.startswith(agent.name) for worker in workers) == 1, workers
    (tmp_path / "go").write_text("")
    for task in tasks:
        two[0].finish(task)
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(tasks)
    for agent in two:
        assert agent.stop() == []
