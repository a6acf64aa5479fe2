"""What the command line still does while the server, the master or a sound configuration is missing."""

import json
import os
import signal
import subprocess

from reeve_up import OUT, SLOW, wait_until


def test_runs_are_stopped_whatever_the_configuration_says(reeve, tmp_path):
    task = reeve.shell("echo ready; sleep 600", "--name", "stoppable")
    reeve.wait_line(task, "ready")
    broken = tmp_path / "clearml.conf"
    broken.write_text("api { api_server: http://127.0.0.1:1\n")
    env = {**reeve.env, "CLEARML_CONFIG_FILE": str(broken), "REEVE_RUN_DIR": str(reeve.data / "run")}

    def alone(*args):
        return subprocess.run([OUT / "bin/reeve", *args], env=env, capture_output=True, text=True, timeout=60 * SLOW)

    assert [row["id"] for row in json.loads(alone("ps", "--json").stdout)] == [task]
    # What only the server knows fails by the reason.
    done = alone("stop", "0" * 32, "stoppable", "--json")
    assert done.returncode == 3 and str(broken) in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(done.stdout) == [{"id": task, "by": "master"}]
    assert reeve.wait(task) == 1 and reeve.status(task) == "stopped"


def test_stop_says_what_a_server_does_not_hand_on(reeve):
    """With a master that is not there the server is asked, which knows no signal and no grace."""
    reeve.run("queue", "create", "nobody's")
    task = reeve.shell("true", "--queue", "nobody's")
    done = reeve.run("stop", "--now", task)
    assert done.stdout == f"{task}\n" and "--now" in done.stderr and done.stderr.count("\n") == 1
    other = reeve.shell("true", "--queue", "nobody's")
    assert reeve.run("stop", other).stderr == ""


def test_log_of_a_run_that_was_kept(make_reeve):
    """`up` has ended, and with it endpoint.json; -f goes on with the next one."""
    reeve = make_reeve("--on-exit", "keep")
    task = reeve.shell("echo before; while [ ! -e go ]; do sleep 0.1; done; echo after")
    reeve.wait_line(task, "before")
    pid = reeve.row(task)["pid"]
    work = os.readlink(f"/proc/{pid}/cwd")
    assert reeve.stop() == 0
    done = reeve.run("logs", task)
    assert "before" in done.stdout.splitlines() and "no server runs" in done.stderr
    out = reeve.data.parent / "followed"
    with open(out, "wb") as f:
        follower = subprocess.Popen([OUT / "bin/reeve", "logs", "-f", task, "--data", reeve.data], stdout=f,
                                    stderr=f, env=reeve.env)
    try:
        wait_until(lambda: "before" in out.read_text(), what="the line from the disk")
        reeve.start()
        with open(os.path.join(work, "go"), "w"):
            pass
        assert follower.wait(60 * SLOW) == 0
    finally:
        follower.kill()
        follower.wait()
    lines = out.read_text().splitlines()
    assert lines.count("before") == 1 and lines.count("after") == 1


def test_hung_master_is_said_to_be_one(reeve):
    """doctor, and a set that nobody answers, end by themselves."""
    master = reeve.json("status")["pid"]
    os.kill(master, signal.SIGSTOP)
    try:
        done = subprocess.run([OUT / "bin/reeve", "doctor", "--json", "--data", reeve.data], env=reeve.env,
                              capture_output=True, text=True, timeout=120 * SLOW)
    finally:
        os.kill(master, signal.SIGCONT)
    check = next(one for one in json.loads(done.stdout)["checks"] if one["check"] == "master")
    assert check["status"] == "fail" and "does not answer" in check["text"] and check["fix"]
    assert done.returncode == 1
