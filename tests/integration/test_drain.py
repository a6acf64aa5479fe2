"""reeve drain and undrain, and reeve clone."""

import json
import os
import re
import signal
import subprocess

from reeve_up import OUT, SLOW, alive, wait_until

TAG = "reeve:draining"


def tags(reeve):
    """Of the master's own worker, as the server shows them."""
    name = reeve.json("status")["worker"]
    return next((w["tags"] for w in reeve.call("workers.get_all")["workers"] if w["id"] == name), None)


def test_drain_and_undrain(reeve):
    first = reeve.shell("echo up; while [ ! -e $GO ]; do sleep 0.05; done", "--env", f"GO={reeve.data}/go")
    reeve.wait_phase(first, "running")
    state = reeve.json("drain")
    assert state["since"] and state["deadline"] is None and state["left"] == 1
    wait_until(lambda: tags(reeve) == [TAG], what="the tag")
    second = reeve.shell("true")
    # A restarted master goes on with it.
    before = reeve.json("status")["pid"]
    os.kill(before, signal.SIGKILL)

    def is_back():
        done = reeve.run("status", "--json", check=False)
        return done.returncode == 0 and (s := json.loads(done.stdout))["pid"] != before and s
    after = wait_until(is_back, what="the next master")
    assert after["draining"]["since"] == state["since"]
    wait_until(lambda: tags(reeve) == [TAG], what="the tag of the next master")
    assert "draining" in reeve.run("ps").stdout
    (reeve.data / "go").touch()
    assert reeve.json("drain", "--wait")["left"] == 0
    assert reeve.status(first) == "completed"
    assert reeve.status(second) == "queued"
    assert reeve.json("undrain") is None
    assert reeve.json("status")["draining"] is None
    assert reeve.wait(second) == 0
    wait_until(lambda: tags(reeve) == [], what="the end of the tag")


def test_at_the_deadline_what_runs_is_stopped(reeve):
    endless = reeve.shell("trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    again = reeve.shell("exit 1", "--restart", "always")
    reeve.wait_line(endless, "up")
    reeve.wait_phase(again, "backoff")
    assert reeve.json("drain", "--deadline", "1s", "--wait")["left"] == 0
    for task in endless, again:
        document = reeve.task(task)
        assert (document["status"], document["status_reason"]) == ("stopped", "aborted")
        assert "the deadline of reeve drain is over" in document["status_message"]
    assert "told" in reeve.logs(endless).splitlines()
    reeve.run("undrain")
    later = reeve.shell("true")
    assert reeve.wait(later) == 0


def test_a_controller_that_lives_on_holds_nothing_up(make_reeve, tmp_path):
    """Its steps are told once it has had its time, here half of two seconds; its own grace is longer."""
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__STOP": "2s"})
    script = "trap 'echo told; {}' TERM; echo up; while :; do sleep 0.05; done"
    controller = reeve.shell(script.format("true"), "--type", "controller", "--stop-timeout", "1h")
    step = reeve.shell(script.format("exit 0"), "--type", "training")
    for task in controller, step:
        reeve.wait_line(task, "up")
    reeve.run("drain", "--deadline", "0s")
    reeve.wait_line(controller, "told")
    assert "told" not in reeve.logs(step).splitlines()
    assert reeve.wait(step) == 1
    assert "told" in reeve.logs(step).splitlines()
    reeve.run("stop", "--now", controller)
    assert reeve.wait(controller) == 1
    assert reeve.logs(controller).splitlines().count("told") == 1
    reeve.run("undrain")


def test_who_waits_is_told_of_undrain(reeve):
    task = reeve.shell("while [ ! -e $GO ]; do sleep 0.05; done", "--env", f"GO={reeve.data}/go")
    reeve.wait_phase(task, "running")
    waiting = subprocess.Popen([OUT / "bin/reeve", "drain", "--data", reeve.data, "--wait"], env=reeve.env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: reeve.json("status")["draining"], what="the draining")
    assert alive(waiting.pid)
    reeve.run("undrain")
    assert "ended the draining" in waiting.communicate(timeout=30 * SLOW)[1]
    assert waiting.returncode == 1
    (reeve.data / "go").touch()
    assert reeve.wait(task) == 0


def test_clone(reeve):
    task = reeve.shell("echo cloned", "--name", "original")
    assert reeve.wait(task) == 0
    clone = reeve.run("clone", "original").stdout.strip()
    document = reeve.task(clone)
    assert (document["status"], document["name"]) == ("created", "Clone of original")
    other = reeve.run("clone", task, "--name", "mine", "--queue", "services").stdout.strip()
    assert reeve.wait(other) == 0
    assert reeve.task(other)["name"] == "mine" and "cloned" in reeve.logs(other).splitlines()
    assert reeve.run("clone", "nothing", check=False).returncode == 4


def test_put_back_at_the_deadline(rig):
    """The master dies between the two calls, too: the next one goes on."""
    rig.master.start()
    tasks = [rig.enqueue("echo up; sleep 300") for _ in range(2)]
    for task in tasks:
        rig.master.wait_phase(task, "running")
    killed = []

    def kill(name, body, answer):
        if name == "tasks.stopped" and not killed:
            killed.append(name)
            rig.master.kill()
        return None
    rig.proxy.after = kill
    rig.master.control(cmd="drain", deadline_ms=0, put_back=True)
    wait_until(lambda: killed and rig.master.process.poll() is not None, what="the end of the master")
    rig.master.start()
    for task in tasks:
        wait_until(lambda task=task: rig.status(task) == "queued", what="its place in the queue")
        wait_until(lambda task=task: rig.master.row(task) is None, what="the end of its run")
        assert rig.document(task)["execution"]["queue"] == rig.queue
        assert "put back" in rig.document(task)["status_reason"]
    assert rig.master.control(cmd="status")["data"]["draining"]["put_back"] is True
    # Here it would begin again at once.
    for task in tasks:
        rig.server.call("tasks.dequeue", {"task": task})
    rig.master.control(cmd="undrain")


def test_what_another_has_stopped_is_not_put_back(rig):
    """Also where that one has this worker's name: the claim tells them apart."""
    rig.master.start()
    task = rig.enqueue("echo up; sleep 300")
    rig.master.wait_phase(task, "running")
    killed = []

    def before(name, body):
        if name != "tasks.stopped" or killed:
            return None
        killed.append(json.loads(body))
        rig.master.kill()
        rig.server.call("tasks.stopped", {
            **killed[0], "force": True, "status_message": re.sub(r"\[\w+\]", "[" + "0" * 32 + "]",
                                                                killed[0]["status_message"])})
        return "drop"
    rig.proxy.before = before
    rig.master.control(cmd="drain", deadline_ms=0, put_back=True)
    wait_until(lambda: killed and rig.master.process.poll() is not None, what="the end of the master")
    rig.master.start()
    wait_until(lambda: rig.master.row(task) is None, what="the end of its run")
    assert rig.status(task) == "stopped"
    rig.master.control(cmd="undrain")
