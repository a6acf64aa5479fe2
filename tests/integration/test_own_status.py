"""What a task's own code does to its status is respected: it stands, and the next run comes after this one."""

import sys

import pytest

from reeve_up import alive, wait_until

CLIENT = """
import json, os, signal, sys, time, urllib.request as u
def call(endpoint, **body):
    request = u.Request(os.environ['CLEARML_API_HOST'] + '/' + endpoint,
                        json.dumps({'task': os.environ['CLEARML_TASK_ID'], **body}).encode(),
                        {'Authorization': 'Bearer ' + os.environ['CLEARML_AUTH_TOKEN'],
                         'Content-Type': 'application/json'})
    u.build_opener(u.ProxyHandler({})).open(request).read()
"""
OWN = "status_reason='my own'"
# What it calls, the status that stands, whether its program is left alone.
CASES = {
    "completes": (f"call('tasks.completed', {OWN})", "completed", True),
    "fails": (f"call('tasks.failed', {OWN})", "failed", False),
    "stops": (f"call('tasks.stopped', {OWN})", "stopped", False),
    "publishes": (f"call('tasks.completed'); call('tasks.publish', {OWN})", "published", False),
    "closes": (f"call('tasks.close', force=True, {OWN})", "closed", False),
}


def submit(reeve, code, *options):
    return reeve.submit(*options, "--", sys.executable, "-c", CLIENT + code)


def gone(reeve, task):
    wait_until(lambda: reeve.row(task) is None, what="the run's end")


@pytest.mark.parametrize("exit_code,restart", [(0, "no"), pytest.param(1, "no", marks=pytest.mark.long), (1, "on-failure")])
def test_a_status_of_its_own_stands(reeve, tmp_path, exit_code, restart):
    """A program that ends right after it, whatever its exit code: no word of reeve's over its own, no restart."""
    ran = f"open('{tmp_path}/' + os.environ['CLEARML_TASK_ID'], 'a').write('x')"
    tasks = {name: submit(reeve, f"{ran}\n{calls}\nsys.exit({exit_code})", "--restart", restart)
             for name, (calls, _, _) in CASES.items()}
    for name, task in tasks.items():
        wait_until(lambda: reeve.status(task) == CASES[name][1], what=f"the status of one that {name}")
        gone(reeve, task)
        document = reeve.task(task)
        assert (document["status"], document["status_reason"]) == (CASES[name][1], "my own"), name
        assert (tmp_path / task).read_text() == "x", name
        done = next(r for r in reeve.ps("--all") if r["id"] == task)
        assert done["status"] == document["status"], name
        assert document["runtime"]["reeve.last_reason"] == done["reason"], name
        assert done["reason"] in (f"exit:{exit_code}", "aborted"), name


def watched(folder):
    """How often the live tasks were looked at: ours are the only calls of this kind."""
    return (folder / "calls").read_text().count("tasks.get_all")


@pytest.mark.parametrize("name", [
    name if name in ("completes", "fails") else pytest.param(name, marks=pytest.mark.long) for name in CASES])
def test_one_that_goes_on(make_reeve, tmp_path, name):
    """As with clearml-agent: completed leaves a program running, any other status of its own ends it."""
    reeve = make_reeve("--call-log", str(tmp_path / "calls"))
    calls, status, goes_on = CASES[name]
    task = submit(reeve, f"{calls}\n"
                         f"while not os.path.exists('{tmp_path}/go'): time.sleep(0.05)\n"
                         f"open('{tmp_path}/went on', 'w')")
    wait_until(lambda: reeve.status(task) == status, what="its own status")
    if goes_on:
        looks = watched(tmp_path)
        wait_until(lambda: watched(tmp_path) >= looks + 3, what="three looks at it")
        assert reeve.row(task)["phase"] == "running"
        (tmp_path / "go").touch()
    gone(reeve, task)
    assert (tmp_path / "went on").exists() == goes_on
    assert (reeve.status(task), reeve.task(task)["status_reason"]) == (status, "my own")


@pytest.mark.parametrize("exits", [True, False], ids=["and exits", "and goes on"])
def test_one_that_enqueues_itself(reeve, tmp_path, exits):
    """This run ends without a status; the next one starts when it is gone."""
    marks = tmp_path / "marks"
    end = "sys.exit(0)" if exits else "time.sleep(300)"
    task = submit(reeve, "def mark(word):\n"
                         f"    with open('{marks}', 'a') as f: f.write(word + '\\n')\n"
                         f"again = os.path.exists('{marks}')\n"
                         "mark('begin')\n"
                         "def stop(*_):\n"
                         "    time.sleep(0.5); mark('end'); os._exit(3)\n"
                         "signal.signal(signal.SIGTERM, stop)\n"
                         "if not again:\n"
                         "    call('tasks.enqueue', queue_name='services', force=True)\n"
                         f"    {'mark(chr(101) + chr(110) + chr(100)); ' if exits else ''}{end}\n"
                         "mark('end')")
    wait_until(lambda: marks.exists() and marks.read_text().split() == ["begin", "end"] * 2, what="two runs, one by one")
    wait_until(lambda: reeve.status(task) == "completed", what="the second run's status")
    assert reeve.task(task)["status_reason"] == "exit:0"
    gone(reeve, task)
    runs = [r for r in reeve.ps("--all") if r["id"] == task]
    assert len(runs) == 2 and runs[0]["status"] in ("queued", "in_progress", "unknown"), runs


@pytest.mark.parametrize("call,status", [("tasks.reset", "created"), ("tasks.delete", None)])
def test_one_that_resets_or_deletes_itself(reeve, call, status):
    task = submit(reeve, "print('ready', flush=True)\n"
                         "while os.stat('/proc/self').st_nlink and not os.path.exists(os.environ['GO']): time.sleep(0.05)\n"
                         f"call('{call}', force=True)\n"
                         "time.sleep(300)", "--env", f"GO={reeve.data}.go", "--restart", "always")
    row = reeve.wait_phase(task, "running")
    reeve.data.with_name(reeve.data.name + ".go").touch()
    gone(reeve, task)
    assert not alive(row["pid"])
    if status:
        assert reeve.status(task) == status
    else:
        found = reeve.call("tasks.get_all", id=[task], only_fields=["id"])["tasks"]
        assert found == []
