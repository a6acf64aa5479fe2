"""`reeve execute`: one task in the foreground, under the supervision that a queue's tasks have."""

import os
import pathlib
import signal
import subprocess
import threading
import uuid

import pytest

from reeve_up import OUT, SLOW, alive, clean_environment, free_port, wait_until

WAIT = 120 * SLOW


@pytest.fixture
def execute(reeve):
    """Starts `reeve execute` for tasks that no queue has; its processes end with the test."""
    started = []

    def start(task, *args, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen([OUT / "bin" / "reeve", "execute", "--data", reeve.data, "--id", task,
                                    *args], env=reeve.env, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT)


def make_task(reeve, script, **fields):
    """A draft whose script is a shell's."""
    return reeve.call("tasks.create", name="execute", type="training",
                      script={"binary": "sh", "entry_point": "main.sh", "working_dir": ".", "diff": script},
                      **fields)["id"]


def end(process):
    out, err = process.communicate(timeout=WAIT)
    return process.returncode, out, err


def log_lines(reeve, task):
    return "".join(event["msg"] for event in reeve.log_events(task)).splitlines()


def wait_file(path):
    return int(wait_until(lambda: path.exists() and path.read_text().strip(), 60, what=str(path)))


def test_fails_as_the_task_does(reeve, execute, tmp_path):
    task = make_task(reeve, 'echo "worker $CLEARML_WORKER_ID"\necho error >&2\nexit 3\n')
    log = tmp_path / "log.txt"
    code, out, err = end(execute(task, "--log-file", log, "--full-monitoring"))
    assert (code, err) == (3, "")
    lines = out.splitlines()
    marks = [f"Executing task id [{task}]:", "Environment setup completed successfully",
             "Starting Task Execution:", "error", "Process failed, exit code 3"]
    assert sorted(marks, key=lines.index) == marks
    assert log.read_text() == out
    assert log_lines(reeve, task) == lines
    document = reeve.task(task)
    worker = next(line for line in lines if line.startswith("worker ")).split()[1]
    assert (document["status"], document["status_reason"]) == ("failed", "exit:3")
    assert document["last_worker"] == worker
    assert document["status_message"].startswith(f"Changed by clearml-agent {worker}: ")
    assert worker not in [w["id"] for w in reeve.call("workers.get_all")["workers"]]
    assert not list(reeve.data.glob("state/execute/*")) and not list(reeve.data.glob("run/execute/*"))


def test_takes_a_task_out_of_its_queue(reeve, execute):
    reeve.call("queues.create", name="nobody serves it")
    task = make_task(reeve, "echo done\n")
    reeve.call("tasks.enqueue", task=task, queue_name="nobody serves it")
    assert end(execute(task, "--require-queue"))[0] == 0
    document = reeve.task(task)
    assert document["status"] == "completed"
    assert document["status_message"] == f"Changed by clearml-agent {document['last_worker']}"
    queue = reeve.call("queues.get_all", name="nobody serves it")["queues"][0]
    assert queue["entries"] == []
    # It is in no queue any more; without the flag it runs again, also after its end.
    code, out, err = end(execute(task, "--require-queue"))
    assert (code, out) == (1, "") and "--require-queue" in err
    assert reeve.status(task) == "completed"
    assert end(execute(task))[0] == 0
    assert reeve.status(task) == "completed"


def test_runs_a_clone(reeve, execute):
    task = make_task(reeve, "echo cloned\n")
    code, out, _ = end(execute(task, "--clone"))
    assert code == 0 and "cloned" in out.splitlines()
    clone = out.splitlines()[0].removeprefix("Task cloned, new task id=")
    assert reeve.status(task) == "created"
    document = reeve.task(clone)
    assert (document["status"], document["name"]) == ("completed", "Clone of execute")


def test_there_is_no_such_task(reeve, execute):
    code, out, err = end(execute("0" * 32))
    assert (code, out) == (1, "") and "Invalid task id" in err and len(err.splitlines()) == 1


def test_quotas(reeve, execute):
    task = make_task(reeve, "python3 -c 'x = bytearray(200 << 20)'\n",
                     container={"arguments": "--memory 48m --pids-limit 20"})
    assert end(execute(task))[0] != 0
    assert reeve.task(task)["status_reason"] == "oom"


def test_an_interrupt_aborts(reeve, execute, tmp_path):
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\nexec sleep 600\n")
    process = execute(task)
    pid = wait_file(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    code, out, _ = end(process)
    assert code == 128 + signal.SIGINT
    assert "Process aborted by user" in out.splitlines()
    assert not alive(pid)
    assert (reeve.status(task), reeve.task(task)["status_reason"]) == ("stopped", "aborted")


def test_a_second_interrupt_leaves_no_grace(reeve, execute, tmp_path):
    task = make_task(reeve, f"trap 'echo >{tmp_path}/asked' TERM INT\necho $$ >{tmp_path}/pid\n"
                            "while :; do sleep 0.1; done\n",
                     container={"arguments": "--stop-timeout 3000"})
    process = execute(task)
    pid = wait_file(tmp_path / "pid")
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: (tmp_path / "asked").exists(), 60, what="the stop signal")
    assert alive(pid)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 128 + signal.SIGTERM
    assert not alive(pid)
    assert reeve.status(task) == "stopped"


def test_aborted_on_the_server(reeve, execute, tmp_path):
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\nexec sleep 600\n")
    process = execute(task)
    pid = wait_file(tmp_path / "pid")
    reeve.call("tasks.stop", task=task)
    assert end(process)[0] == 128 + signal.SIGTERM
    assert not alive(pid)
    assert reeve.status(task) == "stopped"


def test_interrupted_while_nobody_answers(tmp_path):
    """Nothing was claimed: a second signal ends it at once, and nothing is left."""
    env = clean_environment(
        CLEARML_API_HOST=f"http://127.0.0.1:{free_port()}", CLEARML_API_ACCESS_KEY="a", CLEARML_API_SECRET_KEY="b",
        HOME=str(tmp_path), REEVE_STATE_DIR=str(tmp_path / "state"), REEVE_RUN_DIR=str(tmp_path / "run"))
    log = tmp_path / "log"
    with open(log, "w") as err:
        process = subprocess.Popen([OUT / "bin" / "reeve", "execute", "--id", "0" * 32, "--cgroup-root",
                                    f"reeve-{uuid.uuid4().hex[:12]}"], env=env, stderr=err)
    try:
        wait_until(lambda: "cannot be used" in log.read_text(), 60, what="a try to reach the server")
        # Two signals of one kind may be one, so they are of two kinds.
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    finally:
        process.kill()
    assert not list(tmp_path.glob("state/execute/*")) and not list(tmp_path.glob("run/execute/*"))


def test_unmonitored(reeve, execute):
    task = make_task(reeve, "echo seen here\nexit 4\n")
    code, out, _ = end(execute(task, "--disable-monitoring"))
    assert code == 4 and "seen here" in out.splitlines()
    assert reeve.status(task) == "in_progress"
    assert reeve.log_events(task) == []


def test_unmonitored_when_taken_up_again(reeve, execute, tmp_path):
    """Its worker is none of the server's, whoever has begun it."""
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\nuntil [ -e {tmp_path}/go ]; do sleep 0.1; done\n")
    before = {w["id"] for w in reeve.call("workers.get_all")["workers"]}
    first = execute(task, "--disable-monitoring", stderr=subprocess.DEVNULL)
    wait_file(tmp_path / "pid")
    first.kill()
    first.communicate(timeout=WAIT)
    second = execute(task, "--disable-monitoring")
    # Two of its reports would have come by then: FAST has one each second.
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(2.5)
    assert {w["id"] for w in reeve.call("workers.get_all")["workers"]} == before
    (tmp_path / "go").touch()
    assert end(second)[0] == 0


def spool_bytes(reeve):
    return sum(p.stat().st_size for p in reeve.data.glob("state/execute/*/runs/*/log.*"))


def test_unmonitored_keeps_no_log(reeve, execute, tmp_path):
    """What only the terminal gets is given up when that has it."""
    task = make_task(reeve, f"seq 1 300000 | sed 's/$/ {20 * '.'}/'\ntouch {tmp_path}/printed\n"
                            f"until [ -e {tmp_path}/go ]; do sleep 0.1; done\n")
    with open(tmp_path / "out", "wb") as out:
        process = execute(task, "--disable-monitoring", stdout=out)
    wait_until((tmp_path / "printed").exists, 60, what="all lines")
    wait_until(lambda: 0 < spool_bytes(reeve) < 3 << 20, 60, what="a short spool")
    (tmp_path / "go").touch()
    assert process.wait(WAIT) == 0
    lines = (tmp_path / "out").read_text().splitlines()
    assert [line for line in lines if line.endswith(20 * ".")] == [f"{i} {20 * '.'}" for i in range(1, 300001)]


def test_a_terminal_that_stands_still(reeve, execute):
    """The server gets the lines that nobody reads here; whoever reads on later gets them too."""
    task = make_task(reeve, "seq 1 60000\n")
    process = execute(task)
    wait_until(lambda: "60000" in log_lines(reeve, task)[-3:], 60, what="the last line on the server")
    assert process.poll() is None
    numbers = [line for line in end(process)[1].splitlines() if line.isdigit()]
    assert numbers == [str(i) for i in range(1, 60001)]


def test_killed_and_taken_up_again(reeve, execute, tmp_path):
    """The task outlives a kill -9; the next `reeve execute` of it goes on with it."""
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\necho before\n"
                            f"until [ -e {tmp_path}/go ]; do sleep 0.1; done\necho after\n")
    # What outlives it has its standard error.
    first = execute(task, stderr=subprocess.DEVNULL)
    pid = wait_file(tmp_path / "pid")
    wait_until(lambda: "before" in log_lines(reeve, task), 60, what="the first line")
    first.kill()
    first.communicate(timeout=WAIT)
    assert alive(pid)
    second = execute(task)
    (tmp_path / "go").write_text("")
    code, out, _ = end(second)
    assert code == 0 and "after" in out.splitlines()
    lines = log_lines(reeve, task)
    assert (lines.count("before"), lines.count("after")) == (1, 1)
    assert reeve.status(task) == "completed"


def test_only_one_executes_it(reeve, execute, tmp_path):
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\nexec sleep 600\n")
    first = execute(task)
    pid = wait_file(tmp_path / "pid")
    code, _, err = end(execute(task))
    assert code == 1 and "another process executes task" in err
    assert alive(pid)
    first.send_signal(signal.SIGINT)
    end(first)


def test_a_reader_that_stops_reading(reeve, execute, tmp_path):
    """Its pipe is full: lines wait, the task is still aborted, and none is lost once it reads."""
    lines = 20000
    task = make_task(reeve, f"seq 1 {lines}\necho $$ >{tmp_path}/pid\nexec sleep 600\n")
    process = execute(task)
    pid = wait_file(tmp_path / "pid")
    reeve.call("tasks.stop", task=task)
    wait_until(lambda: not alive(pid), 60, what="the end of the payload")
    assert process.poll() is None
    code, out, _ = end(process)
    assert code == 128 + signal.SIGTERM
    numbers = [line for line in out.splitlines() if line.isdigit()]
    assert numbers == [str(n) for n in range(1, lines + 1)]
    assert [line for line in log_lines(reeve, task) if line.isdigit()] == numbers
    assert reeve.status(task) == "stopped"


def test_nobody_reads_it_any_more(reeve, execute):
    reader, writer = os.pipe()
    os.close(reader)
    task = make_task(reeve, "seq 1 500\n")
    process = execute(task, stdout=writer)
    os.close(writer)
    process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert [n for n in log_lines(reeve, task) if n.isdigit()] == [str(n) for n in range(1, 501)]
    assert reeve.status(task) == "completed"


def test_a_terminal(reeve, execute):
    """A terminal is shared with the shell: it must not be made non-blocking."""
    master, slave = os.openpty()
    task = make_task(reeve, "echo to the terminal\n")
    process = execute(task, stdout=slave)
    seen = bytearray()

    def read():
        while b"Process completed successfully" not in seen:
            seen.extend(os.read(master, 4096))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    process.communicate(timeout=WAIT)
    reading.join(60 * SLOW)
    assert process.returncode == 0 and b"to the terminal\r\n" in seen
    assert os.get_blocking(slave)
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("args, words", [
    (["--docker", "image"], "--docker: tasks run as processes"),
    (["--gpus", "0"], "--gpus: no GPU is given to a task"),
    (["--require-queu"], "is --require-queue meant?"),
    (["a word"], "no word is expected here"),
    (["--log-level", "loud"], "--log-level"),
])
def test_what_is_refused(reeve, execute, args, words):
    task = make_task(reeve, "echo never\n")
    code, out, err = end(execute(task, *args))
    assert (code, out) == (2, "") and words in err and len(err.splitlines()) == 1
    assert reeve.status(task) == "created"


def test_keys_for_git_leave_the_command_line(reeve, execute, tmp_path):
    task = make_task(reeve, f"echo $$ >{tmp_path}/pid\nexec sleep 600\n")
    process = execute(task, "--git-user", "somebody", "--git-pass", "git-secret-word")
    pid = wait_file(tmp_path / "pid")
    for seen in (process.pid, pid):
        assert b"git-secret-word" not in pathlib.Path(f"/proc/{seen}/cmdline").read_bytes()
    assert b"git-secret-word" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    process.send_signal(signal.SIGINT)
    end(process)
