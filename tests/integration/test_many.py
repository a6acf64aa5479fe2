"""Many at once: every task once, every line there, nothing left behind."""

import os
import re
import subprocess
import time

import pytest

import joined
from net_rig import COUNTING
from reeve_up import OUT, alive, wait_until

TASKS = int(os.environ.get("REEVE_TEST_MANY", "200"))


def enqueue_many(reeve, count, script, queue="services"):
    ids = []
    for i in range(count):
        task = reeve.call("tasks.create", name=f"many {i}", type="service",
                          script={"binary": "sh", "entry_point": f"-c '{script}'"})["id"]
        reeve.call("tasks.enqueue", task=task, queue_name=queue)
        ids.append(task)
    return ids


def finish(reeve, ids, timeout):
    def done():
        live = 0
        for page in range(0, len(ids), 500):
            found = reeve.call("tasks.get_all", id=ids[page:page + 500], only_fields=["status"])
            live += sum(t["status"] in ("queued", "in_progress", "created")
                        for t in found["tasks"])
        return live == 0
    wait_until(done, timeout, 0.2, what=f"the end of {len(ids)} tasks")


def test_200_at_once_100_at_a_time(make_reeve):
    reeve = make_reeve("--services-mode", "100")
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done"
    begin = time.monotonic()
    ids = enqueue_many(reeve, TASKS, script)
    finish(reeve, ids, 240)
    print(f"{TASKS} tasks in {time.monotonic() - begin:.1f} s")
    for task in ids:
        assert reeve.status(task) == "completed"
        text = "".join(e["msg"] for e in reeve.log_events(task))
        assert re.findall(r"^line (\d+)$", text, re.M) == [str(i) for i in range(1, 11)]
    wait_until(lambda: not reeve.ps(), what="the end of every run")
    wait_until(lambda: not [p for p in reeve.processes() if b"reeve-subagent" in open(
        f"/proc/{p}/cmdline", "rb").read()], what="the end of every sub-agent")


def test_two_masters_on_one_queue(make_reeve, tmp_path):
    """Each task is run once, whoever takes it."""
    reeve = make_reeve("--log-level", "info")
    env = {**reeve.env, "CLEARML_API_HOST": reeve.endpoint["api"],
           "CLEARML_WEB_HOST": reeve.endpoint["web"],
           "CLEARML_FILES_HOST": reeve.endpoint["files"],
           "CLEARML_API_ACCESS_KEY": reeve.endpoint["access_key"],
           "CLEARML_API_SECRET_KEY": reeve.endpoint["secret_key"],
           "CLEARML_CONFIG_FILE": "/dev/null"}
    ran = tmp_path / "ran"
    with open(tmp_path / "second.log", "w") as log:
        second = subprocess.Popen([OUT / "sbin" / "reeved", "--state-dir", tmp_path / "s2", "--run-dir",
                                   tmp_path / "r2", "--queue", "services", "--worker-id", "second",
                                   "--on-exit", "stop"], env=env, stderr=log, stdout=log)
    try:
        wait_until(lambda: any(w["id"] == "second" for w in
                               reeve.call("workers.get_all")["workers"]), what="the second master")
        ids = enqueue_many(reeve, 60, f"echo $CLEARML_TASK_ID $CLEARML_WORKER_ID >> {ran}")
        finish(reeve, ids, 120)
    finally:
        second.terminate()
        assert second.wait(30) == 0, (tmp_path / "second.log").read_text()
    lines = [l.split() for l in ran.read_text().splitlines()]
    assert sorted(l[0] for l in lines) == sorted(ids), "each task exactly once"
    masters = {l[1].split(":service:")[0] for l in lines}
    assert len(masters) == 2, "both took some"


def test_server_killed_while_tasks_log(make_reeve):
    """kill -9 of reeve-server, several times: nothing acknowledged is missing, nothing is twice."""
    import pathlib
    import signal
    reeve = make_reeve()
    script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done"
    ids = enqueue_many(reeve, 5, script)
    wait_until(lambda: sum(r["phase"] == "running" for r in reeve.ps()) == 5, what="five runs")
    for _ in range(3):
        time.sleep(1)
        for pid in reeve.processes():
            if b"reeve-server" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def answers():
        try:
            reeve.api.token = None
            return reeve.call("tasks.get_all", page_size=1) is not None
        except OSError:
            return False

    wait_until(answers, what="the server's return")
    finish(reeve, ids, 60)
    for task in ids:
        text = "".join(e["msg"] for e in reeve.log_events(task))
        assert [int(n) for n in re.findall(r"^line (\d+)$", text, re.M)] == list(range(400))
        assert reeve.status(task) == "completed"


def check_counted(reeve, task, folder):
    """Ends the counting, which was to outlive something; each of its lines is on the server, once."""
    (folder / "go").touch()
    assert reeve.wait(task) == 0
    text = "".join(e["msg"] for e in reeve.log_events(task))
    numbers = [int(n) for n in re.findall(r"^line (\d+)$", text, re.M)]
    assert numbers == list(range(int((folder / "count").read_text())))


@pytest.mark.vm
def test_up_killed_runs_are_adopted(make_reeve, tmp_path):
    """kill -9 of `reeve up` leaves runs alive, and the next `up` on the folder adopts them."""
    reeve = make_reeve()
    task = reeve.shell(f"cd {tmp_path}; {COUNTING}")
    row = reeve.wait_phase(task, "running")
    reeve.process.kill()
    reeve.process.wait()
    assert alive(row['pid'])
    reeve.start()
    again = wait_until(lambda: reeve.row(task), what="the adopted run")
    assert again["pid"] == row["pid"] and again["attempt"] == 1
    check_counted(reeve, task, tmp_path)


@pytest.mark.skipif(bool(joined.CONF), reason="`reeve up` starts the master again")
@pytest.mark.vm
def test_master_killed_runs_are_adopted(make_reeve, tmp_path):
    import signal
    reeve = make_reeve()
    task = reeve.shell(f"cd {tmp_path}; {COUNTING}")
    row = reeve.wait_phase(task, "running")
    for _ in range(2):
        os.kill(reeve.json("status")["pid"], signal.SIGKILL)
        wait_until(lambda: reeve.run("status", check=False).returncode == 0, what="its return")
        again = wait_until(lambda: reeve.row(task), what="the adopted run")
        assert again["pid"] == row["pid"]
    check_counted(reeve, task, tmp_path)
    assert not alive(row['pid'])


def test_one_large_log_is_not_held_back(reeve):
    """A run alone may use all of the way to the server: 60 MB, a line of a megabyte at a time."""
    task = reeve.shell("i=0; while [ $i -lt 60 ]; do head -c 999999 /dev/zero | tr '\\0' x; echo; "
                       "i=$((i+1)); done")
    behind = wait_until(lambda: (n := reeve.json("status")["spool_bytes"]) > 1 << 20 and n,
                        what="a spool that waits for the server")
    assert behind <= 70_000_000
    assert reeve.wait(task, timeout=120) == 0
    whole = [line for line in reeve.logs(task).splitlines() if line.strip("x") == ""]
    assert sum(map(len, whole)) == 60 * 999_999
