"""Sub-agents that are killed are replaced without harm to what they supervise."""

import os
import pathlib
import re
import signal
import socket
import sys

import pytest

from reeve_up import LEAVE, OUT, alive, wait_until


def until(path):
    return f"until [ -e {path} ]; do sleep 0.1; done"


def sub_agent(reeve, task):
    """Its pid, or None while there is none."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/reeve-subagent") and task.encode() in words and \
                str(reeve.data).encode() in b" ".join(words) and alive(int(entry)):
            return int(entry)
    return None


def kill_sub_agent(reeve, task, sig=signal.SIGKILL):
    old = wait_until(lambda: sub_agent(reeve, task), what="the sub-agent")
    os.kill(old, sig)
    return old


def wait_replaced(reeve, task, times=1):
    """Until so many sub-agents went on with another one's task."""
    wait_until(lambda: reeve.json("inspect", task).get("subagents_replaced", 0) >= times,
               what="another sub-agent")


@pytest.mark.vm
def test_replaced_while_running(reeve, tmp_path):
    """Killed twice: one process, every line once, the real exit code; said in the log and counted."""
    go = tmp_path / "go"
    before = reeve.json("status")["subagents_replaced"]
    task = reeve.shell(f"echo line 1; {until(go)}; echo line 2; exit 7")
    reeve.wait_line(task, "line 1")
    pid = reeve.row(task)["pid"]
    for times in (1, 2):
        kill_sub_agent(reeve, task)
        wait_replaced(reeve, task, times)
        assert alive(pid) and reeve.row(task)["pid"] == pid
    assert reeve.json("status")["subagents_replaced"] == before + 2
    go.touch()
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "exit:7"
    lines = reeve.logs(task).splitlines()
    assert [l for l in lines if l.startswith("line")] == ["line 1", "line 2"]
    assert sum("a new one goes on" in l for l in lines) == 2


def test_replaced_in_set_up(reeve):
    """The replacement hears at which step the set-up failed, and why."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        task = reeve.submit("--repo", f"http://127.0.0.1:{silent.getsockname()[1]}/x.git", "--", "true")
        reeve.wait_phase(task, "preparing")
        wait_until(lambda: reeve.json("inspect", task).get("step") == "clone", what="the clone")
        kill_sub_agent(reeve, task)
        wait_replaced(reeve, task)
        assert reeve.row(task)["phase"] == "preparing"
        assert reeve.json("inspect", task)["step"] == "clone"
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "setup:clone"
    assert "127.0.0.1" in reeve.task(task)["status_message"]


def test_ended_while_its_sub_agent_was_hung(reeve, tmp_path):
    """SIGSTOP, the task ends, SIGKILL: the master has reaped it, or the kernel says how it ended."""
    go = tmp_path / "go"
    task = reeve.shell(f"echo line 1; {until(go)}; echo line 2; exit 9")
    reeve.wait_line(task, "line 1")
    pid = reeve.row(task)["pid"]
    kill_sub_agent(reeve, task, signal.SIGSTOP)
    go.touch()
    wait_until(lambda: not alive(pid), what="the task's end")
    kill_sub_agent(reeve, task)
    assert reeve.wait(task) == 1
    assert reeve.task(task)["status_reason"] == "exit:9"
    assert [l for l in reeve.logs(task).splitlines() if l.startswith("line")] == ["line 1", "line 2"]


def test_hung_sub_agent_is_replaced(reeve, tmp_path):
    """Stopped by a signal it reads nothing: the next looks find that, and its task goes on."""
    go = tmp_path / "go"
    task = reeve.shell(f"echo line 1; {until(go)}; echo line 2")
    reeve.wait_line(task, "line 1")
    old = kill_sub_agent(reeve, task, signal.SIGSTOP)
    wait_replaced(reeve, task)
    assert not alive(old)
    go.touch()
    assert reeve.wait(task) == 0
    assert [l for l in reeve.logs(task).splitlines() if l.startswith("line")] == ["line 1", "line 2"]


def test_stop_under_way_keeps_its_grace(reeve):
    """One TERM, and the task may use all of its grace, whoever dies meanwhile."""
    task = reeve.shell("trap 'echo TERM; n=1' TERM; echo line 1; n=0; while [ $n = 0 ]; do sleep 0.1; done; "
                       "i=0; while [ $i -lt 15 ]; do sleep 0.1; i=$((i+1)); done; echo line 2")
    reeve.wait_line(task, "line 1")
    reeve.run("stop", task)
    reeve.wait_line(task, "TERM")
    kill_sub_agent(reeve, task)
    wait_replaced(reeve, task)
    assert reeve.wait(task, check=False) == 1
    lines = reeve.logs(task).splitlines()
    assert lines.count("TERM") == 1 and "line 2" in lines
    assert reeve.task(task)["status_reason"].startswith("aborted")


def test_restarted_after_it_was_replaced(reeve, tmp_path):
    """The next attempt is the replacement's own."""
    go = tmp_path / "go"
    task = reeve.shell(f"echo ran >> {tmp_path}/ran; {until(go)}; [ $(wc -l < {tmp_path}/ran) = 2 ]",
                       "--restart", "on-failure:2")
    wait_until((tmp_path / "ran").exists, what="its start")
    kill_sub_agent(reeve, task)
    wait_replaced(reeve, task)
    go.touch()
    assert reeve.wait(task) == 0
    assert (tmp_path / "ran").read_text() == "ran\n" * 2


@pytest.mark.vm
def test_master_and_sub_agent_killed_at_once(reeve, tmp_path):
    """The next master's sub-agent finds the payload by what is on disk."""
    go = tmp_path / "go"
    task = reeve.shell(f"echo line 1; {until(go)}; echo line 2")
    reeve.wait_line(task, "line 1")
    pid = reeve.row(task)["pid"]
    old = sub_agent(reeve, task)
    os.kill(reeve.json("status")["pid"], signal.SIGKILL)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: reeve.run("status", check=False).returncode == 0, what="the next master")
    wait_until(lambda: sub_agent(reeve, task) not in (None, old), what="another sub-agent")
    wait_until(lambda: (r := reeve.row(task)) and r["pid"] == pid, what="the adopted task")
    assert alive(pid)
    go.touch()
    code = reeve.wait(task)
    # Who is no parent of it hears how it ended on Linux 6.15 and later.
    known = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15)
    assert reeve.task(task)["status_reason"] == ("exit:0" if known else "agent-lost")
    assert code == (0 if known else 1)
    assert [l for l in reeve.logs(task).splitlines() if l.startswith("line")] == ["line 1", "line 2"]


def test_sub_agents_that_end_at_once_are_not_started_for_ever(make_reeve, tmp_path):
    """A broken installation: the run ends with a reason, and so does its task's process."""
    programs, starts, broken = tmp_path / "programs", tmp_path / "starts", tmp_path / "broken"
    programs.mkdir()
    for program in (OUT / "libexec/reeve").iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "reeve-subagent").unlink()
    (programs / "reeve-subagent").write_text(
        f'#!/bin/sh\n[ -e {broken} ] || exec {OUT}/libexec/reeve/reeve-subagent "$@"\necho started >> {starts}\nexit 1\n')
    (programs / "reeve-subagent").chmod(0o755)
    reeve = make_reeve(env={"REEVE_LIBEXEC_DIR": str(programs), "CLEARML_AGENT__AGENT__REEVE__WAITS__RECOVER": "1ms"})
    live = reeve.shell("echo line 1; exec sleep 300")
    reeve.wait_line(live, "line 1")
    pid = reeve.row(live)["pid"]
    broken.touch()
    kill_sub_agent(reeve, live)
    assert reeve.wait(live) == 1
    assert not alive(pid)
    fresh = reeve.shell("echo line 1")
    assert reeve.wait(fresh) == 1
    for task in live, fresh:
        assert reeve.task(task)["status_reason"] == "agent-lost"
    assert 16 <= len(starts.read_text().splitlines()) <= 20


def test_who_has_left_its_cgroup_does_not_escape(reeve, tmp_path):
    """A daemon of root's, in no group of ours: the replacement is not its parent, but the master is."""
    stray, go = tmp_path / "stray", tmp_path / "go"
    task = reeve.submit("--", sys.executable, "-c", LEAVE + f"""
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    leave()
    child = os.fork()
    open('{stray}', 'a').write(str(os.getpid()) + ' ')
    time.sleep(300)
while not os.path.exists('{go}'): time.sleep(0.02)
""")
    wait_until(lambda: stray.exists() and len(stray.read_text().split()) == 2, what="the daemon and its child")
    kill_sub_agent(reeve, task)
    wait_replaced(reeve, task)
    go.touch()
    assert reeve.wait(task) == 0
    assert not any(alive(int(pid)) for pid in stray.read_text().split())
    assert re.search(r"reeve: found outside its cgroup, and brought back: python\S* \(\d+\)", reeve.logs(task))


def test_what_nobody_waits_for_is_reaped(reeve, tmp_path):
    """A process of the master's own session, left by a program that it has started."""
    master = reeve.json("status")["pid"]
    program = tmp_path / "reeved"
    program.write_text(f"#!/bin/sh\nsleep 0.2 &\necho $! > {tmp_path}/left\nexit 1\n")
    program.chmod(0o755)
    assert reeve.run("upgrade", "--binary", program, check=False).returncode == 1
    left = int((tmp_path / "left").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{left}"), what="its end")
    assert reeve.json("status")["pid"] == master
