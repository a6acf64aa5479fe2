"""Quotas, restarts, aborts: what ends a run, and what is said of it."""

import os
import pathlib
import re
import sys
import time
import uuid

import pytest

from reeve_up import SLOW, alive, wait_until


@pytest.mark.vm
def test_out_of_memory_is_told(reeve):
    task = reeve.submit("--memory", "64m", "--", sys.executable, "-c",
                        "x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert (document["status"], document["status_reason"]) == ("failed", "oom")
    assert re.search(r"limit 64\.0 MiB, peak 6[34]\.\d MiB", document["status_message"])
    assert "out of memory" in reeve.logs(task)


@pytest.mark.vm
def test_out_of_memory_of_a_child(reeve):
    """The child is killed for it; that the run failed by its own limit is what is told."""
    eat = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    task = reeve.submit("--memory", "64m", "--", sys.executable, "-c",
                        "import subprocess, sys\n"
                        f"sys.exit(subprocess.run([sys.executable, '-c', {eat!r}]).returncode != 0)")
    assert reeve.wait(task) == 1
    document = reeve.task(task)
    assert (document["status"], document["status_reason"]) == ("failed", "oom")
    assert "limit 64.0 MiB" in document["status_message"]


def test_out_of_memory_of_a_child_that_it_survives(reeve):
    """A warning in the log; the run completed."""
    eat = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    task = reeve.submit("--memory", "64m", "--", sys.executable, "-c",
                        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {eat!r}])")
    assert reeve.wait(task) == 0
    assert reeve.task(task)["status_reason"] == "exit:0"
    assert "reeve: warning: 1 of its processes were killed for want of memory (the run's own limit)" in reeve.logs(task)


@pytest.mark.vm
def test_pids_quota(reeve):
    task = reeve.submit("--pids", "5", "--", sys.executable, "-c",
                        "import os, time\n"
                        "n = 0\n"
                        "try:\n"
                        "    for i in range(20):\n"
                        "        if os.fork() == 0: time.sleep(30)\n"
                        "        n += 1\n"
                        "except OSError as e: print('refused after', n, e.errno)\n")
    assert reeve.wait(task) == 0
    assert "refused after 4 11" in reeve.logs(task)


@pytest.mark.vm
def test_cpu_quota(reeve):
    task = reeve.submit("--cpus", "0.2", "--", sys.executable, "-c",
                        "import time\n"
                        "begin = time.process_time()\n"
                        "end = time.monotonic() + 3\n"
                        "while time.monotonic() < end: pass\n"
                        "print('cpu seconds', time.process_time() - begin)\n")
    assert reeve.wait(task) == 0
    seconds = float(reeve.logs(task).split("cpu seconds")[-1].split()[0])
    assert 0 < seconds < 1, "a fifth of 3 s"


def test_quota_from_container_arguments(reeve):
    task = reeve.shell("sleep 60", "--memory", "96m", "--cpus", "0.5", "--pids", "50")
    arguments = reeve.task(task)["container"]["arguments"]
    assert "--memory" in arguments and "--cpus" in arguments and "--pids-limit" in arguments
    row = reeve.wait_phase(task, "running")
    assert row["memory_limit"] == 96 << 20
    limits = reeve.json("inspect", task)["limits"]
    assert limits["cpu_milli"] == 500 and limits["pids"] == 50
    reeve.run("stop", task)
    reeve.wait(task)


def test_default_quota_from_configuration(make_reeve):
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__DEFAULTS__MEMORY": "48m"})
    task = reeve.shell("sleep 60")
    assert reeve.wait_phase(task, "running")["memory_limit"] == 48 << 20
    reeve.run("stop", task)
    reeve.wait(task)


@pytest.fixture
def nap():
    """A command that sleeps, and that no other test on this host has."""
    return f"sleep 300.{uuid.uuid4().int}"


@pytest.mark.vm
def test_whole_tree_is_gone(reeve, nap):
    task = reeve.shell(f"setsid sh -c 'trap \"\" TERM; {nap}' & "
                       f"(setsid {nap} &) ; echo started; exit 0")
    assert reeve.wait(task) == 0
    row = next(r for r in reeve.ps("--all") if r["id"] == task)
    wait_until(lambda: not any(os.path.isdir(d) for d in row["cgroup"]), what="the group's end")
    assert nap not in os.popen("ps -ewwo args").read()
    assert "left behind" in reeve.logs(task)


@pytest.mark.vm
def test_groups_of_the_payload_are_gone(reeve, nap):
    """A payload may nest groups below its own; they end with it."""
    task = reeve.shell(f"setsid {nap} & echo started; wait")
    reeve.wait_line(task, "started")
    row = reeve.row(task)
    for folder in row["cgroup"]:
        below = pathlib.Path(folder, "own", "below")
        below.mkdir(parents=True)
        for pid in pathlib.Path(folder, "cgroup.procs").read_text().split():
            if pid != str(row["pid"]):
                (below / "cgroup.procs").write_text(pid)
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    wait_until(lambda: not any(os.path.isdir(d) for d in row["cgroup"]), what="the groups' end")
    assert nap not in os.popen("ps -ewwo args").read()


@pytest.mark.vm
def test_restart_on_failure(reeve, tmp_path):
    count = tmp_path / "count"
    script = (f"n=$(cat '{count}' 2>/dev/null || echo 0); n=$((n+1)); echo $n > '{count}'; "
              "echo attempt $n; [ $n -ge 3 ]")
    task = reeve.shell(script, "--restart", "on-failure")
    assert reeve.wait(task) == 0
    log = reeve.logs(task)
    assert [f"attempt {n}" in log for n in (1, 2, 3)] == [True] * 3
    assert reeve.status(task) == "completed"
    assert reeve.task(task)["runtime"]["reeve.attempt"] == 3
    assert next(r for r in reeve.ps("--all") if r["id"] == task)["restarts"] == 2


def test_restart_is_bounded(reeve):
    task = reeve.shell("echo again; exit 7", "--restart", "on-failure:2")
    assert reeve.wait(task) == 1
    assert reeve.logs(task).splitlines().count("again") == 3
    document = reeve.task(task)
    assert document["status_reason"] == "exit:7"
    runtime = {k[6:]: v for k, v in document["runtime"].items() if k.startswith("reeve.")}
    assert runtime == {"attempt": 3, "restarts": 2, "restart": "on-failure:2", "last_reason": "exit:7",
                       "last_text": "exit code 7", "next_start": None}


def test_what_a_wait_for_the_next_attempt_shows(make_reeve):
    """Attempt, reason and next start, wherever one looks."""
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN": "300s"})
    task = reeve.shell("exit 7", "--restart", "on-failure:5")
    row = reeve.wait_phase(task, "backoff")
    assert (row["attempt"], row["reason"], row["last_reason"], row["reason_text"]) == (1, "exit:7", "exit:7", "exit code 7")
    assert row["next_start"] > row["started"]
    runtime = reeve.task(task)["runtime"]
    assert (runtime["reeve.attempt"], runtime["reeve.last_reason"]) == (2, "exit:7")
    assert runtime["reeve.next_start"] == row["next_start"] == reeve.json("inspect", task)["next_start"]
    status = reeve.json("status")
    assert status["next_start"] == row["next_start"] and status["restarting"] == 1
    assert status["ended"] == {"exit:7": 1}
    wait_until(lambda: re.search(f"reeve: attempt 2 starts in .* at {row['next_start']}", reeve.logs(task)),
               what="the line that says so")
    line = next(l for l in reeve.run("ps").stdout.splitlines() if "backoff" in l).split()
    assert "exit:7" in line and any(re.fullmatch(r"[345]m", word) for word in line), line
    assert row["next_start"] in reeve.run("status").stdout
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    assert (reeve.status(task), reeve.task(task)["runtime"]["reeve.last_reason"]) == ("stopped", "aborted")
    # One attempt, which ended once.
    assert reeve.json("status")["ended"] == {"exit:7": 1}
    assert re.findall(r"^reeve: (attempt \d (?:ended|does not start) \(.*?\)):", reeve.logs(task), re.M) == [
        "attempt 1 ended (exit:7)", "attempt 2 does not start (aborted)"]


def test_no_restart_by_default(reeve):
    task = reeve.shell("echo again; exit 7")
    assert reeve.wait(task) == 1
    assert reeve.logs(task).splitlines().count("again") == 1


def test_back_off_grows(reeve):
    task = reeve.shell("date +at=%s.%N; exit 1", "--restart", "on-failure:4")
    assert reeve.wait(task) == 1
    at = [float(l[3:]) for l in reeve.logs(task).splitlines() if l.startswith("at=")]
    gaps = [b - a for a, b in zip(at, at[1:])]
    # Twice as long each time; a busy machine only adds to it.
    assert len(gaps) == 4 and all(gap >= 0.1 * 2**i for i, gap in enumerate(gaps)), gaps


def test_stop_signals_then_kills(reeve):
    task = reeve.shell("trap 'echo got TERM; exit 9' TERM; echo ready; "
                       "while :; do sleep 0.1; done")
    reeve.wait_line(task, "ready")
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    assert "got TERM" in reeve.logs(task).splitlines()
    assert (reeve.status(task), reeve.task(task)["status_reason"]) == ("stopped", "aborted")


@pytest.mark.vm
def test_stop_of_a_deaf_payload(reeve):
    task = reeve.submit("--", sys.executable, "-c",
                        "import signal, time\n"
                        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                        "print('ready', flush=True)\n"
                        "time.sleep(300)")
    reeve.wait_line(task, "ready")
    begin = time.monotonic()
    reeve.run("stop", "--grace", "1s", task)
    assert reeve.wait(task) == 1
    assert 0.9 < time.monotonic() - begin < 8 * SLOW
    assert reeve.status(task) == "stopped"


def test_abort_on_the_server(reeve):
    task = reeve.shell("echo ready; exec sleep 300")
    reeve.wait_line(task, "ready")
    reeve.call("tasks.stop", task=task)
    assert reeve.wait(task) == 1
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    assert reeve.status(task) == "stopped"


def test_reset_on_the_server(reeve):
    task = reeve.shell("echo ready; exec sleep 300")
    row = reeve.wait_phase(task, "running")
    reeve.call("tasks.reset", task=task, force=True)
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    assert not alive(row['pid'])
    assert reeve.status(task) == "created"


def test_delete_on_the_server(reeve):
    task = reeve.shell("exec sleep 300")
    row = reeve.wait_phase(task, "running")
    reeve.call("tasks.delete", task=task, force=True)
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    assert not alive(row['pid'])


def test_dequeue_before_the_pull(make_reeve):
    reeve = make_reeve("--services-mode", "1")
    blocker = reeve.shell("sleep 60")
    reeve.wait_phase(blocker, "running")
    task = reeve.shell("echo never")
    assert reeve.status(task) == "queued"
    reeve.run("dequeue", task)
    reeve.run("stop", blocker)
    reeve.wait(blocker)
    assert reeve.status(task) == "created"
    assert "never" not in reeve.logs(task)


def test_time_out(reeve):
    task = reeve.shell("sleep 300", "--timeout", "1s")
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "timeout"


def test_own_final_status_stands(reeve):
    """A payload that fails its own task by the API: no restart, and the status is left alone."""
    script = ("import json, os, urllib.request as u\n"
              "body = json.dumps({'task': os.environ['CLEARML_TASK_ID'], 'force': True,\n"
              "                   'status_reason': 'my own'}).encode()\n"
              "u.urlopen(u.Request(os.environ['CLEARML_API_HOST'] + '/tasks.completed', body,\n"
              "    {'Authorization': 'Bearer ' + os.environ['CLEARML_AUTH_TOKEN'],\n"
              "     'Content-Type': 'application/json'}))\n"
              "raise SystemExit(1)\n")
    task = reeve.submit("--restart", "on-failure", "--", sys.executable, "-c", script)
    wait_until(lambda: reeve.status(task) == "completed", what="its own status")
    wait_until(lambda: reeve.row(task) is None, what="the run's end")
    assert reeve.task(task)["status_reason"] == "my own"


@pytest.mark.parametrize("signal_name", ["TERM", "HUP", "INT"])
def test_sub_agent_is_deaf_to_signals(reeve, signal_name):
    task = reeve.shell("echo ready; sleep 2; echo survived")
    row = reeve.wait_phase(task, "running")
    agents = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
              and (p / "cmdline").exists() and task.encode() in _cmdline(p)]
    assert agents, row
    for pid in agents:
        os.kill(pid, getattr(__import__("signal"), "SIG" + signal_name))
    assert reeve.wait(task) == 0
    assert "survived" in reeve.logs(task).splitlines()


def _cmdline(folder):
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""


# ---- reeve stop and reeve restart


TRAPS = "for s in USR1 TERM; do trap \"echo got $s; exit 0\" $s; done; echo ready; while :; do sleep 0.1; done"


def test_stop_with_a_signal_of_ones_own(reeve):
    task = reeve.shell(TRAPS)
    reeve.wait_line(task, "ready")
    assert reeve.run("stop", "--signal", "NOSUCH", task, check=False).returncode == 2
    assert reeve.run("stop", "--now", "--grace", "1s", task, check=False).returncode == 2
    assert reeve.row(task)["phase"] == "running"
    reeve.run("stop", "--signal", "usr1", task)
    assert reeve.wait(task) == 1
    assert "got USR1" in reeve.logs(task).splitlines()


def test_stop_now(reeve):
    """No signal, no grace; and whose word it was stands everywhere."""
    task = reeve.shell(TRAPS, "--stop-timeout", "600")
    reeve.wait_line(task, "ready")
    reeve.run("stop", "--now", task)
    assert reeve.wait(task) == 1
    assert "got TERM" not in reeve.logs(task).splitlines()
    document = reeve.task(task)
    assert (document["status"], document["status_reason"]) == ("stopped", "aborted")
    assert re.search(r"aborted: reeve stop by \S+$", document["status_message"])
    done = wait_until(lambda: [r for r in reeve.ps("--all") if r["id"] == task and r["phase"] == "gone"], what="its end")[0]
    assert (done["aborted_by"], done["reason"]) == ("operator", "aborted")
    assert done["reason_text"] in document["status_message"]
    assert done["reason_text"] in reeve.logs(task)


def test_abort_by_a_user_is_named(reeve):
    task = reeve.shell("echo ready; exec sleep 300")
    reeve.wait_line(task, "ready")
    reeve.call("tasks.stop", task=task, status_reason="it eats too much")
    assert reeve.wait(task) == 1
    user = reeve.call("users.get_current_user")["user"]["id"]
    assert f"by {user}: it eats too much" in wait_until(lambda: reeve.task(task)["status_message"], what="its message")


def test_restart_of_one_at_work(reeve):
    """Whatever its policy; it stays in progress, and is its next attempt at once."""
    task = reeve.shell("trap 'echo got TERM; exit 0' TERM; echo ready $(date +%N); while :; do sleep 0.1; done")
    first = reeve.wait_phase(task, "running")
    wait_until(lambda: "\nready" in reeve.logs(task), what="the first attempt")
    answer = reeve.json("restart", task)
    assert answer == [{"id": task, "attempt": 2}]
    second = wait_until(lambda: (r := reeve.row(task)) and r["attempt"] == 2 and r["phase"] == "running" and r,
                        what="the second attempt")
    assert second["pid"] != first["pid"] and not alive(first["pid"])
    assert (second["reason"], second["last_reason"], second["aborted_by"]) == (None, "aborted", "restart")
    wait_until(lambda: reeve.logs(task).count("\nready") == 2, what="its line")
    log = reeve.logs(task)
    assert "got TERM" in log.splitlines()
    assert re.search(r"^reeve: attempt 2 starts now \(reeve restart by \S+\)$", log, re.M)
    assert reeve.status(task) == "in_progress"
    reeve.run("stop", task)
    assert reeve.wait(task) == 1
    assert (reeve.status(task), reeve.task(task)["status_reason"]) == ("stopped", "aborted")


def test_restart_of_one_that_waits(make_reeve, tmp_path):
    """At once, and what the policy has counted is forgotten."""
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN": "300s"})
    count = tmp_path / "count"
    task = reeve.shell(f"echo x >> {count}; exit 7", "--restart", "on-failure:1")
    reeve.wait_phase(task, "backoff")
    for attempt in 2, 3:
        before = reeve.row(task)
        assert reeve.json("restart", task) == [{"id": task, "attempt": attempt}]
        wait_until(lambda: (r := reeve.row(task)) and r["phase"] == "backoff" and r["attempt"] == attempt,
                   what="the wait after it")
        assert len(count.read_text().split()) == attempt
        assert reeve.row(task)["restarts"] == before["restarts"] + 1
    reeve.run("stop", task)
    assert reeve.wait(task) == 1


def test_restart_of_what_is_not_there(reeve):
    task = reeve.shell("exit 7")
    assert reeve.wait(task) == 1
    wait_until(lambda: reeve.row(task) is None, what="its end")
    done = reeve.run("restart", task, check=False)
    assert done.returncode == 4 and "reeve enqueue" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ---- the end of the master


def test_controllers_are_ended_before_their_steps(make_reeve, tmp_path):
    """The step, begun first here, is told only when the controller is gone."""
    reeve = make_reeve()
    marks = tmp_path / "marks"
    script = "trap 'echo {0} told >> {1}; sleep 1; echo {0} gone >> {1}; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    step = reeve.shell(script.format("step", marks), "--type", "training")
    controller = reeve.shell(script.format("controller", marks), "--type", "controller")
    for task in step, controller:
        reeve.wait_line(task, "ready")
    reeve.stop()
    assert marks.read_text().splitlines() == ["controller told", "controller gone", "step told", "step gone"]
    reeve.start()
    for task in step, controller:
        document = reeve.task(task)
        assert (document["status"], document["status_reason"]) == ("stopped", "aborted")
        assert "reeved is shutting down" in document["status_message"]


def test_a_step_that_ends_by_itself_meanwhile(make_reeve, tmp_path):
    """While controllers have their time: no attempt follows, and the end does not wait for one."""
    reeve = make_reeve()
    told, ended = tmp_path / "told", tmp_path / "ended"
    step = reeve.shell(f"echo ready; until [ -e {told} ]; do sleep 0.1; done; touch {ended}; exit 1",
                       "--type", "training", "--restart", "always")
    # It goes a second after the step, whose end is judged by then.
    controller = reeve.shell(f"trap 'touch {told}; until [ -e {ended} ]; do sleep 0.1; done; sleep 1; exit 0' TERM; "
                             "echo ready; while :; do sleep 0.1; done", "--type", "controller")
    for task in step, controller:
        reeve.wait_line(task, "ready")
    begun = time.monotonic()
    reeve.stop()
    assert time.monotonic() - begun < 30 * SLOW
    reeve.start()
    assert [reeve.status(task) for task in (step, controller)] == ["failed", "stopped"]


def test_the_end_of_the_master_is_bounded(make_reeve):
    """Deaf ones with ten hours of grace, a controller among them: killed within the time that is set."""
    reeve = make_reeve(env={"CLEARML_AGENT__AGENT__REEVE__WAITS__STOP": "1s"})
    deaf = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    tasks = [reeve.shell(deaf, "--stop-timeout", "36000", "--type", kind) for kind in ("service", "controller")]
    for task in tasks:
        reeve.wait_line(task, "ready")
    reeve.stop()
    reeve.start()
    assert [reeve.status(task) for task in tasks] == ["stopped"] * 2
