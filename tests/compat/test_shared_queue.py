"""Two masters and clearml-agent on one queue: each task is run once, by one of them, and none is lost."""

import collections

import pytest

from agents import Agent, code

TASKS = 15
# Every start of a task leaves a line, whichever agent it was.
SCRIPT = """
    import os
    with open({path!r}, "a") as file:
        file.write(os.environ["CLEARML_TASK_ID"] + "\\n")
    for i in range(100):
        print("line", i)
    """


@pytest.fixture
def agents(server, tmp_path):
    made = [Agent(word, server, tmp_path / f"{word}-{n}") for n, word in enumerate(("reeve", "official", "reeve"))]
    yield made
    left = [thing for agent in made for thing in agent.stop()]
    assert not left, left


def test_each_task_is_run_once(agents, tmp_path):
    first = agents[0].add_queues(f"{agents[0].name} shared")
    starts = tmp_path / "starts"
    text = code(SCRIPT.format(path=str(starts)))
    for agent in agents:
        agent.queues = first.queues
        agent.start()
    tasks = [first.submit(text) for _ in range(TASKS)]
    documents = [first.finish(task, timeout=400) for task in tasks]
    assert sorted(starts.read_text().splitlines()) == sorted(tasks)
    for task, document in zip(tasks, documents):
        lines = first.lines(task)
        assert [line for line in lines if line.startswith("line ")] == [f"line {i}" for i in range(100)], lines
        assert lines.count(f"Executing task id [{task}]:") == 1
    workers = collections.Counter(document["last_worker"].partition(":")[0] for document in documents)
    assert set(workers) <= {agent.name for agent in agents}, workers
