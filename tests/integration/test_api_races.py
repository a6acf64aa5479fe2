"""Two clients at one task: each change is there or was refused, none is lost."""

import concurrent.futures
import itertools

import pytest

from reeve_up import Api, ApiError

CLIENTS, ROUNDS = 4, 25


def clients(server):
    """Each with a session of its own, as programs on several machines have."""
    keys = server.endpoint["access_key"], server.endpoint["secret_key"]
    return [Api(server.endpoint["api"], *keys) for _ in range(CLIENTS)]


def at_once(server, work):
    """work(client, number) by each client at the same time; what they returned."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return [future.result(60) for future in
                [pool.submit(work, client, i) for i, client in enumerate(clients(server))]]


def test_parameters_of_all_are_kept(server):
    task = server.task()

    def edit(api, number):
        for i in range(ROUNDS):
            api("tasks.edit_hyper_params", task=task, hyperparams=[
                {"section": f"s{number}", "name": f"n{i}", "value": str(i)}])
            api("tasks.update_tags", ids=[task], add_tags=[f"t{number}-{i}"])
            api("tasks.add_or_update_artifacts", task=task, artifacts=[{"key": f"a{number}-{i}", "type": "x"}])

    at_once(server, edit)
    document = server.api("tasks.get_by_id", task=task)["task"]
    pairs = list(itertools.product(range(CLIENTS), range(ROUNDS)))
    assert {(s, n) for s, items in document["hyperparams"].items() for n in items} == {
        (f"s{number}", f"n{i}") for number, i in pairs}
    assert set(document["tags"]) == {f"t{number}-{i}" for number, i in pairs}
    assert {a["key"] for a in document["execution"]["artifacts"]} == {f"a{number}-{i}" for number, i in pairs}


def test_one_of_several_enqueues(server):
    """The others hear 400/706, and the task is in the queue once."""
    queue = server.queue("races")
    for _ in range(ROUNDS):
        task = server.task()

        def enqueue(api, number):
            try:
                return api("tasks.enqueue", task=task, queue=queue)["queued"]
            except ApiError as error:
                return error.code, error.subcode

        answers = at_once(server, enqueue)
        assert sorted(answers, key=str) == [(400, 706)] * (CLIENTS - 1) + [1]
        assert server.api("tasks.get_by_id", task=task)["task"]["status"] == "queued"
        entries = server.api("queues.get_by_id", queue=queue)["queue"]["entries"]
        assert [e["task"] for e in entries] == [task]
        server.api("tasks.dequeue", task=task)


def test_a_queue_gives_each_task_once(server):
    queue = server.queue("shared")
    tasks = [server.task() for _ in range(CLIENTS * ROUNDS)]
    for task in tasks:
        server.api("tasks.enqueue", task=task, queue=queue)

    def pull(api, number):
        got = []
        while entry := api("queues.get_next_task", queue=queue).get("entry"):
            got.append(entry["task"])
        return got

    got = list(itertools.chain(*at_once(server, pull)))
    assert sorted(got) == sorted(tasks)


def test_a_deleted_task_stays_deleted(server):
    """Whoever comes after the deletion hears that there is no such task."""
    for _ in range(ROUNDS):
        task = server.task()

        def change(api, number):
            try:
                if number == 0:
                    api("tasks.delete", task=task, force=True)
                else:
                    api("tasks.edit", task=task, name=f"name {number}", force=True)
                return 200, 0
            except ApiError as error:
                return error.code, error.subcode

        answers = at_once(server, change)
        assert answers[0] == (200, 0)
        assert set(answers[1:]) <= {(200, 0), (400, 101)}
        with pytest.raises(ApiError) as error:
            server.api("tasks.get_by_id", task=task)
        assert error.value.subcode == 101
