"""What decides before a pull: slots, memory and CPU promised, disk, bounds of queues; and who waits for whom."""

import json
import os
import socket

import pytest

from reeve_up import wait_until


def setting(name, value):
    return {"CLEARML_AGENT__AGENT__REEVE__" + name.upper().replace(".", "__"): value}


POLL = setting("waits.poll", "200ms")


def until_gone(reeve, *options):
    """A run that holds what it was promised until release()."""
    task = reeve.shell("while [ ! -e $GO ]; do sleep 0.05; done", "--env", f"GO={reeve.data}/go", *options)
    reeve.wait_phase(task, "running")
    return task


def release(reeve):
    (reeve.data / "go").touch()


def blocked(reeve, queue="services"):
    return next(q["blocked"] for q in reeve.json("status")["queues"] if q["name"] == queue)


def test_what_does_not_fit_stays_in_its_queue(make_reeve):
    reeve = make_reeve("--queue", "services", "--queue", "small",
                       env={**POLL, **setting("capacity.memory", "300m"), **setting("capacity.cpus", "2")})
    holder = until_gone(reeve, "--memory", "200m", "--cpus", "1.5")
    promised = reeve.json("status")["admission"]
    assert (promised["slots"], promised["memory"], promised["memory_promised"]) == (1, 300 << 20, 200 << 20)
    assert (promised["cpus"], promised["cpus_promised"]) == (2, 1.5)
    large = reeve.shell("true", "--memory", "200m")
    behind = reeve.shell("true", "--memory", "10m")
    wait_until(lambda: "of memory" in (blocked(reeve) or ""), what="the reason")
    # The other queue is served meanwhile, as far as it fits.
    other = reeve.shell("true", "--queue", "small", "--memory", "100m", "--cpus", "0.5")
    assert reeve.wait(other) == 0
    cpus = reeve.shell("true", "--queue", "small", "--cpus", "0.6")
    wait_until(lambda: "CPUs" in (blocked(reeve, "small") or ""), what="the reason of the other queue")
    # A reservation is what is promised, if there is one.
    reserved = reeve.run("clone", large).stdout.strip()
    reeve.call("tasks.edit", task=reserved, container={"arguments": "--memory 250m --memory-reservation 50m"})
    reeve.run("enqueue", reserved, "--queue", "small", "--front")
    assert reeve.wait(reserved) == 0
    assert [reeve.status(task) for task in (large, behind, cpus)] == ["queued"] * 3
    release(reeve)
    for task in holder, large, behind, cpus:
        assert reeve.wait(task) == 0
    promised = wait_until(lambda: (a := reeve.json("status")["admission"])["slots"] == 0 and a, what="no promise")
    assert (promised["memory_promised"], promised["cpus_promised"]) == (0, 0)


def test_what_can_never_fit_is_refused(make_reeve):
    reeve = make_reeve(env=setting("capacity.memory", "300m"))
    task = reeve.shell("true", "--memory", "301m", "--restart", "always")
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert (document["status"], document["status_reason"]) == ("failed", "refused")
    assert "301 MiB" in document["status_message"] and "300 MiB" in document["status_message"]
    assert "agent.reeve.capacity.memory" in reeve.logs(task)


def test_what_can_never_fit_is_for_others_while_there_are_any(make_reeve):
    """A worker that serves the queue; one that serves no queue is none."""
    reeve = make_reeve(env={**POLL, **setting("capacity.memory", "300m")})
    queue = next(q["id"] for q in reeve.json("status")["queues"])
    other = reeve.json("status")["worker"] + ":gpu0"
    reeve.call("workers.register", worker=other, queues=[queue])
    task = reeve.shell("true", "--memory", "301m")
    wait_until(lambda: "left for the 1 other worker of the queue" in (blocked(reeve) or ""), what="the reason")
    assert reeve.status(task) == "queued"
    assert reeve.log.read_text().count("it is left for the 1 other worker") == 1
    reeve.call("workers.unregister", worker=other, queues=[queue])
    reeve.call("workers.register", worker="idle", queues=[])
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "refused"


@pytest.mark.parametrize("server", [(), ("--no-extensions",)], ids=["extensions", "plain"])
def test_needs_are_read_before_the_pop(make_rig, server):
    """From the answer of the look where the server can, else by one more call."""
    rig = make_rig(*server, env={**POLL, **setting("capacity.memory", "300m")})
    rig.master.start()
    go = rig.folder / "go"
    first = rig.enqueue(f"until [ -e {go} ]; do sleep 0.05; done", "--memory 200m")
    rig.master.wait_phase(first, "running")
    second = rig.enqueue("true", "--memory 101m")
    wait_until(lambda: rig.master.control(cmd="status")["data"]["queues"][0]["blocked"], what="the reason")
    assert rig.status(second) == "queued"
    assert rig.proxy.seen["queues.get_next_task"] == 1
    go.touch()
    rig.wait(first)
    rig.wait(second)


@pytest.mark.parametrize("server", [(), ("--no-extensions",)], ids=["extensions", "plain"])
def test_slots_bound_what_one_look_takes(make_rig, server):
    """As many as there are slots, in the queue's order; what does not fit keeps what is behind it waiting."""
    rig = make_rig(*server, env={**POLL, **setting("capacity.memory", "300m")})
    go = rig.folder / "go"
    until = f"until [ -e {go} ]; do sleep 0.05; done"
    first = [rig.enqueue(until, "--memory 100m") for _ in range(2)]
    large = rig.enqueue("true", "--memory 200m")
    behind = [rig.enqueue("true") for _ in range(3)]
    rig.master.start("--queue", "services", "--services-mode", "4")
    for task in first:
        rig.master.wait_phase(task, "running")
    wait_until(lambda: rig.master.control(cmd="status")["data"]["queues"][0]["blocked"], what="the reason")
    assert [rig.status(task) for task in (large, *behind)] == ["queued"] * 4
    assert rig.proxy.seen["queues.get_next_task"] == 2
    go.touch()
    for task in (*first, large, *behind):
        rig.wait(task)


def test_one_look_takes_several(make_rig):
    rig = make_rig(env=POLL)
    tasks = [rig.enqueue("true") for _ in range(12)]
    calls = []
    rig.proxy.before = lambda name, body: calls.append(name) if name in ("queues.peek_task", "queues.get_next_task") else None
    rig.master.start("--queue", "services", "--services-mode", "20")
    for task in tasks:
        rig.wait(task)
    first = calls.index("queues.get_next_task")
    assert calls[first:first + 12] == ["queues.get_next_task"] * 12


def test_what_can_never_fit_may_be_left_for_others(make_reeve):
    reeve = make_reeve(env={**setting("capacity.memory", "300m"), **setting("admission.too_large", "leave")})
    task = reeve.shell("true", "--memory", "301m")
    wait_until(lambda: "promises no more than" in (blocked(reeve) or ""), what="the reason")
    assert reeve.status(task) == "queued"


def test_bound_of_one_queue(make_reeve):
    reeve = make_reeve("--queue", "services", "--queue", "other", env=setting("queues.services.max_runs", "1"))
    holder = until_gone(reeve)
    second = reeve.shell("true")
    wait_until(lambda: "max_runs 1" in (blocked(reeve) or ""), what="the reason")
    assert reeve.wait(reeve.shell("true", "--queue", "other")) == 0
    assert reeve.status(second) == "queued"
    release(reeve)
    assert reeve.wait(holder) == 0 and reeve.wait(second) == 0


def test_no_task_fails_for_want_of_open_files(make_rig):
    """The limit cannot be raised without that capability; what does not fit stays in the queue."""
    rig = make_rig(env=POLL)
    go = rig.folder / "go"
    tasks = [rig.enqueue(f"until [ -e {go} ]; do sleep 0.1; done") for _ in range(20)]
    rig.master.start(under=("setpriv", "--bounding-set", "-sys_resource", "prlimit", "--nofile=90:90"))
    wait_until(lambda: "LimitNOFILE" in (rig.master.control(cmd="status")["data"]["admission"]["closed"] or ""), what="the reason")
    assert rig.status(tasks[-1]) == "queued" and rig.status(tasks[3]) == "in_progress"
    go.touch()
    for task in tasks:
        rig.wait(task)


def test_a_silent_run_keeps_no_file_open(make_rig):
    rig = make_rig(env=setting("waits.report", "100ms"))
    rig.master.start()
    more = rig.folder / "more"
    task = rig.enqueue(f"echo line 1; until [ -e {more} ]; do sleep 0.05; done; echo line 2")
    rig.master.wait_phase(task, "running")

    def is_open():
        folder = f"/proc/{rig.master.process.pid}/fd"
        return any(f"/state/runs/{task}" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder) if os.path.lexists(f"{folder}/{fd}"))
    wait_until(lambda: rig.numbers(task) == [1] and not is_open(), what="its files closed")
    more.touch()
    rig.wait(task)
    assert rig.numbers(task) == [1, 2]


def test_full_disk_takes_nothing(make_reeve):
    reeve = make_reeve(env=setting("min_free_disk", "1000t"))
    task = reeve.shell("true")
    wait_until(lambda: "min_free_disk" in (reeve.json("status")["admission"]["closed"] or ""), what="the reason")
    assert reeve.status(task) == "queued"
    assert reeve.log.read_text().count("no more tasks are taken for now") == 1


@pytest.mark.parametrize("lend", ["true", "false"])
def test_a_controller_holds_no_slot_that_its_steps_need(make_reeve, lend):
    reeve = make_reeve("--services-mode", "1",
                       env={**setting("admission.lend_slots", lend), **setting("waits.steps", "200ms")})
    controller = until_gone(reeve)
    queue = reeve.task(controller)["execution"]["queue"]
    stranger = reeve.shell("true", "--name", "stranger")
    step = reeve.call("tasks.clone", task=stranger, new_task_name="step", new_task_parent=controller)["id"]
    reeve.call("tasks.enqueue", task=step, queue=queue)
    if lend == "true":
        assert reeve.wait(step) == 0 and reeve.wait(stranger) == 0
        assert "its slot is lent to them" in reeve.logs(controller)
    else:
        stuck = wait_until(lambda: reeve.json("status")["admission"]["steps"], what="the controller")
        assert [(s["id"], s["steps"], s["queue"], s["lent"]) for s in stuck] == [(controller, 1, "services", False)]
        assert "1 of its own steps" in reeve.run("status").stdout
        assert "it waits for ever" in reeve.logs(controller)
        assert reeve.status(step) == reeve.status(stranger) == "queued"
    release(reeve)
    for task in controller, stranger, step:
        assert reeve.wait(task) == 0


def test_a_controller_on_a_host_that_drains(make_reeve):
    """Its steps are not taken here any more: said where it would wait for ever."""
    reeve = make_reeve(env=setting("waits.steps", "200ms"))
    controller = until_gone(reeve)
    reeve.run("drain")
    step = reeve.call("tasks.clone", task=controller, new_task_name="step", new_task_parent=controller)["id"]
    reeve.call("tasks.enqueue", task=step, queue=reeve.task(controller)["execution"]["queue"])
    wait_until(lambda: "takes no more tasks (reeve drain): unless another agent" in reeve.logs(controller), what="the line")
    reeve.call("tasks.dequeue", task=step)
    release(reeve)
    assert reeve.wait(controller) == 0
    reeve.run("undrain")


def test_many_steps_of_one_controller_hide_none_of_another(make_rig):
    """The server answers with 500 of them, which are all the first one's."""
    rig = make_rig(env={**setting("waits.steps", "100ms"), **setting("admission.lend_slots", "false")})
    go, asked = rig.folder / "go", []

    def after(name, body, answer):
        if name != "tasks.get_all" or b'"parent":[' not in body:
            return None
        asked.append(json.loads(body)["parent"])
        if first in asked[-1]:
            step = {"parent": first, "execution": {"queue": rig.queue}}
            answer[1]["data"]["tasks"] = [step] * 500
        return answer
    rig.master.start("--queue", "services", "--services-mode", "2")
    first, second = (rig.enqueue(f"until [ -e {go} ]; do sleep 0.05; done") for _ in range(2))
    for task in first, second:
        rig.master.wait_phase(task, "running")
    rig.proxy.after = after
    step = rig.server.task(parent=second, script={"binary": "true", "entry_point": ""})
    rig.server.call("tasks.enqueue", {"task": step, "queue": rig.queue})
    wait_until(lambda: "it waits for ever" in rig.text(second), what="the second one's word")
    assert [first] not in asked and [second] in asked
    # As of the last look, also while the next one is under way.
    for _ in range(50):
        stuck = rig.master.control(cmd="status")["data"]["admission"]["steps"]
        assert {s["id"]: s["steps"] for s in stuck} == {first: 500, second: 1}
    rig.proxy.after = lambda name, body, answer: None
    go.touch()
    for task in first, second, step:
        rig.wait(task)


def test_a_queue_may_be_renamed(make_reeve):
    reeve = make_reeve(env=setting("waits.report", "200ms"))
    reeve.run("queue", "rename", "services", "duties")
    wait_until(lambda: [q["name"] for q in reeve.json("status")["queues"]] == ["duties"], what="the new name")
    task = until_gone(reeve, "--queue", "duties")
    assert reeve.row(task)["queue_name"] == "duties"
    release(reeve)
    assert reeve.wait(task) == 0


def test_a_slow_clone_delays_no_other(reeve):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/nothing.git"
        slow = [reeve.submit("--repo", url, "--branch", "main", "--", "sh", "-c", "true") for _ in range(3)]
        for task in slow:
            reeve.wait_phase(task, "preparing")
        others = [reeve.shell("true") for _ in range(3)]
        for task in others:
            assert reeve.wait(task) == 0
        assert [reeve.row(task)["phase"] for task in slow] == ["preparing"] * 3
        reeve.run("stop", "--grace", "0", *slow)
        for task in slow:
            assert reeve.wait(task) == 1
