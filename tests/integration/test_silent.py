"""The server's watchdog, which stops tasks in progress of which it heard nothing for too long."""

import signal

import pytest

from reeve_up import wait_until

FORCED = "Forced stop (non-responsive)"
SILENT = "echo up; while [ ! -e {} ]; do sleep 0.05; done; echo end"


def watched_rig(make_rig, **env):
    rig = make_rig("--watchdog-silence", "2", "--watchdog-interval", "1", env=env)
    rig.master.start()
    return rig


def stop_master_until_forced(rig, task, then=lambda: None):
    rig.master.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: rig.document(task)["status_message"] == FORCED, what="the watchdog")
        document = rig.document(task)
        assert (document["status"], document["status_reason"]) == ("stopped", FORCED)
        then()
    finally:
        rig.master.process.send_signal(signal.SIGCONT)


def test_reports_keep_a_silent_task_alive(make_rig):
    rig = make_rig()
    rig.master.start()
    task = rig.enqueue(SILENT.format(rig.folder / "go"))
    rig.master.wait_phase(task, "running")
    wait_until(lambda: "up" in rig.text(task).splitlines(), what="its only line")
    for _ in range(2):  # the first may be a line of its log
        before = rig.document(task)["last_update"]
        wait_until(lambda: rig.document(task)["last_update"] > before, what="a report")
    (rig.folder / "go").touch()
    rig.wait(task)


def test_a_task_that_was_only_silent_goes_on(make_rig):
    rig = watched_rig(make_rig)
    task = rig.enqueue(SILENT.format(rig.folder / "go"))
    rig.master.wait_phase(task, "running")
    stop_master_until_forced(rig, task)
    wait_until(lambda: "it goes on" in rig.text(task), what="the note")
    (rig.folder / "go").touch()
    wait_until(lambda: rig.status(task) == "completed", what="its own end")
    assert rig.text(task).splitlines().count("end") == 1


@pytest.mark.long
def test_one_that_ended_meanwhile_has_its_own_status(make_rig):
    rig = watched_rig(make_rig)
    task = rig.enqueue(SILENT.format(rig.folder / "go") + f"; touch {rig.folder / 'over'}")
    rig.master.wait_phase(task, "running")

    def end():
        (rig.folder / "go").touch()
        wait_until((rig.folder / "over").exists, what="the end of its program")
    stop_master_until_forced(rig, task, end)
    wait_until(lambda: rig.status(task) == "completed", what="its own end")


@pytest.mark.long
def test_policy_may_stop_it(make_rig):
    rig = watched_rig(make_rig, CLEARML_AGENT__AGENT__REEVE__FORCED_STOP="stop")
    task = rig.enqueue(SILENT.format(rig.folder / "never"))
    rig.master.wait_phase(task, "running")
    stop_master_until_forced(rig, task)
    wait_until(lambda: rig.master.row(task) is None, what="the end of the run")
    assert rig.document(task)["status"] == "stopped"
    wait_until(lambda: FORCED in rig.text(task), what="the reason in its log")


def test_up_hands_the_times_on(make_reeve):
    reeve = make_reeve("--watchdog-silence", "1", "--watchdog-interval", "1")
    task = reeve.call("tasks.create", name="nobody's", type="testing")["id"]
    reeve.call("tasks.started", task=task)
    wait_until(lambda: reeve.task(task)["status_message"] == FORCED, what="the watchdog")
