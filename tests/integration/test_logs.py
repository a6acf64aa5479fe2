"""A run's log: what it must not show, how much of it is kept, what is shown while the server is away."""

import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.request

import pytest

from reeve_up import OUT, SLOW, Reeve, sanitized, wait_until

GIT_PASS = "g1t-p4ss-w0rd"
AWS_KEY = "aws/secret+key"
PHRASE = "correct horse battery"
NUMBER = "314159265"
HIDDEN = {"CLEARML_AGENT_GIT_PASS": GIT_PASS, "AWS_SECRET_ACCESS_KEY": AWS_KEY,
          "CLEARML_AGENT__AGENT__REEVE__MASK__VALUES": f'["{PHRASE}"]',
          "CLEARML_AGENT__SDK__STORE__DB_PASSWORD": NUMBER,
          "CLEARML_AGENT__AGENT__REEVE__MASK__NAMES": '["VAULT_*"]'}


@pytest.fixture(scope="module")
def hiding(tmp_path_factory):
    up = Reeve(tmp_path_factory.mktemp("hiding") / "data", env=HIDDEN)
    up.start()
    yield up
    assert up.end() == []


def log_text(reeve, task):
    return "".join(event["msg"] for event in reeve.log_events(task))


def spool_text(reeve, task):
    files = sorted((reeve.data / "state/runs" / task).glob("log.*"), key=lambda p: int(p.suffix[1:]))
    return b"".join(p.read_bytes() for p in files).decode(errors="replace")


def agent_of(reeve, task):
    """The pid of the run's sub-agent."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if words[0].endswith("/reeve-subagent") and task in words and str(reeve.data) in " ".join(words):
            return int(entry.name)
    return None


def test_secrets_reach_no_disk(hiding, tmp_path):
    """Neither the spool nor the server has one, wherever a line is cut; names and addresses included."""
    script = tmp_path / "print.sh"
    script.write_text(f"""
        echo "pass {GIT_PASS} key {AWS_KEY}, {PHRASE}, {NUMBER}."
        echo "token $CLEARML_AUTH_TOKEN"
        echo "mine $MY_TOKEN"
        echo "remote https://someone:hidden-word@example.com/x"
        echo "VAULT_ADDRESS=nobody-knows"
        head -c 65530 /dev/zero | tr '\\0' x; echo {GIT_PASS}
        printf %s {GIT_PASS[:5]}; sleep 0.2; echo {GIT_PASS[5:]}
        echo finished
        while [ ! -e {tmp_path}/go ]; do sleep 0.05; done
        """)
    task = hiding.shell(f". {script}", "--env", "MY_TOKEN=an-own-token",
                        "--env", f"WORDS={PHRASE}")
    hiding.wait_line(task, "finished")
    secrets = (GIT_PASS, AWS_KEY, PHRASE, NUMBER, "an-own-token", "hidden-word", "nobody-knows", "eyJ")
    for text in (spool_text(hiding, task), log_text(hiding, task)):
        assert "pass **** key ****, ****, ****." in text
        assert "remote https://someone:****@example.com/x" in text
        assert not [s for s in secrets if s in text.replace("\n", "")], text[:2000]
    shown = hiding.run("inspect", task, "--json").stdout
    assert not [s for s in secrets if s in shown]
    (tmp_path / "go").touch()
    assert hiding.wait(task) == 0


def test_secrets_left_by_a_dead_agent(hiding, tmp_path):
    """What a replacement finds in the FIFO goes to the disk before the master can tell it anything."""
    task = hiding.shell(f"echo ready; while [ ! -e {tmp_path}/say ]; do sleep 0.05; done; "
                        f"echo pass {GIT_PASS} end; touch {tmp_path}/said; sleep 60")
    hiding.wait_line(task, "ready")
    agent = agent_of(hiding, task)
    os.kill(agent, signal.SIGSTOP)
    (tmp_path / "say").touch()
    wait_until((tmp_path / "said").exists, what="the line in the FIFO")
    os.kill(agent, signal.SIGKILL)
    hiding.wait_line(task, "pass **** end", 60)
    hiding.run("stop", task, check=False)
    hiding.wait(task)


def test_token_of_a_payload_that_outlives_master_and_agent(rig, tmp_path):
    """It has the token of its start, whatever master and sub-agent look after it by now."""
    rig.master.start()
    task = rig.enqueue(f"echo ready; while [ ! -e {tmp_path}/say ]; do sleep 0.05; done; "
                       f"echo token $CLEARML_AUTH_TOKEN end")
    wait_until(lambda: "ready" in rig.text(task), what="its first line")
    rig.master.kill()
    rig.master.start()
    agent, = rig.master.sub_agents()
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: rig.master.sub_agents() not in ([], [agent]), what="another sub-agent")
    (tmp_path / "say").touch()
    rig.wait(task)
    assert "\ntoken **** end\n" in rig.text(task)


# ---- the budget

LINES = 40000  # that do not fit into 2 MiB
PRINT = "seq 1 {} | sed s/^/line\\ /\\;s/$/\\ " + 80 * "." + "/"
FULL = {"CLEARML_AGENT__AGENT__REEVE__DEFAULTS__LOG_BUDGET": "2m", "CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "100ms"}


def held(rig, task):
    answer = rig.master.control(cmd="inspect", task=task)
    return answer["data"]["log"]["spool_bytes"] if answer["ok"] else 0


def without_batches(rig):
    """The server takes no log lines."""
    rig.proxy.before = lambda name, body: "drop" if name == "events.add_batch" else None


def shown(rig, task):
    """The numbers of its lines, in order, and how many are said to be missing after which."""
    numbers, gaps = [], []
    for line in rig.text(task).splitlines():
        if found := re.fullmatch(r"line (\d+) \.+", line):
            numbers.append(int(found[1]))
        elif found := re.match(r"reeve: (\d+) lines \(.+\) dropped here: log budget of .+ reached", line):
            gaps.append((numbers[-1], int(found[1])))
    return numbers, gaps


def test_budget_drops_the_middle(make_rig):
    """The payload ends while the server is away; what its log has not says how much is missing, and where."""
    rig = make_rig(env={**FULL, "CLEARML_AGENT__AGENT__REEVE__METRICS__LISTEN": '"127.0.0.1:0"'})
    rig.master.start()
    without_batches(rig)
    task = rig.enqueue(PRINT.format(LINES))
    rig.master.wait_phase(task, "draining", 60)
    row = rig.master.control(cmd="inspect", task=task)["data"]["log"]
    assert 1 << 20 < row["spool_bytes"] <= row["budget"] == 2 << 20
    rig.master.kill()
    rig.master.start()
    rig.master.wait_phase(task, "draining", 60)
    rig.proxy.resume()
    rig.wait(task, timeout=90)
    numbers, gaps = shown(rig, task)
    [(last, missing)] = gaps
    assert numbers == [*range(1, last + 1), *range(last + missing + 1, LINES + 1)]
    assert numbers.index(last) > 1000 and LINES - last - missing > 1000
    with urllib.request.urlopen(rig.master.control(cmd="status")["data"]["metrics"]) as page:
        assert f"\nreeve_log_lines_dropped_total {missing}\n" in page.read().decode()


def test_budget_drops_for_a_master_that_finds_no_server(make_rig, tmp_path):
    """It looks first which lines of a batch that was under way the server has: that nobody answers is an outage, too."""
    rig = make_rig(env=FULL)
    rig.master.start()
    calls = []
    rig.proxy.before = lambda name, body: name.startswith("events.") and (calls.append(name) or "drop") or None
    task = rig.enqueue(f"echo ready; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; " + PRINT.format(LINES))
    wait_until(lambda: "events.add_batch" in calls, what="a batch under way")
    rig.master.kill()
    rig.master.start()
    wait_until(lambda: "events.get_task_log" in calls, what="a look for it")
    (tmp_path / "go").touch()
    rig.master.wait_phase(task, "draining", 60)
    rig.proxy.resume()
    rig.wait(task, timeout=90)
    numbers, gaps = shown(rig, task)
    assert len(gaps) == 1 and len(numbers) + gaps[0][1] == LINES
    assert rig.text(task).count("\nready\n") == 1


def test_budget_may_make_the_task_wait(make_rig):
    rig = make_rig(env={**FULL, "CLEARML_AGENT__AGENT__REEVE__LOG__WHEN_FULL": "wait"})
    rig.master.start()
    without_batches(rig)
    task = rig.enqueue(PRINT.format(LINES))
    wait_until(lambda: held(rig, task) > 3 << 19, what="a full log")
    assert rig.master.row(task)["phase"] == "running"
    stopped = rig.enqueue(PRINT.format(LINES))
    wait_until(lambda: held(rig, stopped) > 3 << 19, what="another full log")
    rig.master.control(cmd="stop", task=stopped, grace_ms=0)
    rig.master.wait_phase(stopped, "draining", 60)
    rig.proxy.resume()
    rig.wait(task, timeout=90)
    assert shown(rig, task) == ([*range(1, LINES + 1)], [])
    rig.wait(stopped, "stopped", timeout=90)


def test_a_budget_for_all(make_rig):
    """Of three runs that together have too much, the small one keeps all of its lines."""
    rig = make_rig(env={"CLEARML_AGENT__AGENT__REEVE__LOG__BUDGET": "6m",
                        "CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "50ms"})
    rig.master.start()
    without_batches(rig)
    large = [rig.enqueue(PRINT.format(LINES)) for _ in range(2)]
    small = rig.enqueue(PRINT.format(100))
    for task in [*large, small]:
        rig.master.wait_phase(task, "draining", 60)
    wait_until(lambda: sum(held(rig, task) for task in [*large, small]) <= 6 << 20, what="less than the budget")
    rig.proxy.resume()
    for task in [*large, small]:
        rig.wait(task, timeout=90)
    assert shown(rig, small) == ([*range(1, 101)], [])
    for task in large:
        numbers, gaps = shown(rig, task)
        assert len(numbers) + sum(n for _, n in gaps) == LINES and len(gaps) >= 1
        assert numbers == sorted(set(numbers))


def test_noise_delays_nobody_else(rig, tmp_path):
    """Beside runs with much to send, a line of another one is among the next few batches."""
    rig.master.start()
    without_batches(rig)
    quiet = rig.enqueue(f"for i in 0 1 2; do while [ ! -e {tmp_path}/say.$i ]; do sleep 0.05; done; "
                        "echo quiet $i; done; sleep 60")
    noisy = [rig.enqueue(PRINT.format(LINES // 2)) for _ in range(5)]
    for task in noisy:
        rig.master.wait_phase(task, "draining", 60)
    bodies = []

    def before(name, body):
        if name == "events.add_batch":
            said = sum(b"quiet %d\\n" % i in b for i in range(3) for b in bodies)
            asked = len(list(tmp_path.glob("say.*")))
            if asked < 3 and asked == said:
                (tmp_path / f"say.{asked}").touch()
                wait_until(lambda: held(rig, quiet) > 0, what="the line in the spool")
            bodies.append(body)
    rig.proxy.before = before
    for task in noisy:
        rig.wait(task, timeout=120)
    places = [next(n for n, b in enumerate(bodies) if b"quiet %d\\n" % i in b) for i in range(3)]
    assert places[0] <= 4 and places[1] <= places[0] + 5 and places[2] <= places[1] + 5, places
    assert len(bodies) > 6
    if not sanitized():
        assert rig.master.control(cmd="status")["data"]["rss_bytes"] < 64 << 20
    rig.master.control(cmd="stop", task=quiet, grace_ms=0)
    for task in noisy:
        assert shown(rig, task) == ([*range(1, LINES // 2 + 1)], [])


# ---- reeve logs

def follow(rig, task, out):
    """`reeve logs -f`, writing into the file."""
    with open(out, "wb") as f:
        return subprocess.Popen([OUT / "bin/reeve", "logs", "-f", task], stdout=f, stderr=subprocess.DEVNULL,
                                env=here(rig))


def here(rig):
    return {**rig.master.env, "REEVE_RUN_DIR": str(rig.folder / "run"), "REEVE_STATE_DIR": str(rig.folder / "state")}


def logs(rig, *args):
    done = subprocess.run([OUT / "bin/reeve", "logs", *args], capture_output=True, text=True, env=here(rig),
                          timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(text):
    return [int(n) for n in re.findall(r"^said (\d+)$", text, re.M)]


def test_follow_through_outages(rig, tmp_path):
    """Lines of an outage come from this host's disk; none is shown twice when the server is back, nor missing."""
    rig.master.start()
    task = rig.enqueue(f"i=0; while [ $i -lt 7 ]; do if [ -e {tmp_path}/say.$i ]; then echo said $i; i=$((i+1)); "
                       "else sleep 0.02; fi; done")
    rig.master.wait_phase(task, "running")
    out = tmp_path / "out"
    follower = follow(rig, task, out)
    try:
        def say(n):
            (tmp_path / f"say.{n}").touch()
            wait_until(lambda: n in said(out.read_text()), what=f"line {n}")
        say(0)
        for first in (1, 4):
            rig.proxy.pause()
            rig.proxy.close_connections()
            say(first)
            say(first + 1)
            assert said(logs(rig, task)) == [*range(first + 2)]
            assert said(logs(rig, task, "--tail", "1")) == [first + 1]
            rig.proxy.resume()
            wait_until(lambda: first + 1 in said(rig.text(task)), what="the lines on the server")
            if first == 1:
                say(3)
        (tmp_path / "say.6").touch()
        assert follower.wait(60 * SLOW) == 0
    finally:
        follower.kill()
        follower.wait()
    assert said(out.read_text()) == [*range(7)]
    rig.wait(task)


def test_last_lines(hiding):
    task = hiding.shell("seq 1 5000; printf %s end")
    assert hiding.wait(task) == 0
    whole = hiding.logs(task).splitlines()
    assert hiding.run("logs", task, "--tail", "3").stdout.splitlines() == whole[-3:]
    assert hiding.run("logs", task, "-n", "4000").stdout.splitlines() == whole[-4000:]
    events = [json.loads(line) for line in hiding.run("logs", task, "--json").stdout.splitlines()]
    assert "".join(e["text"] for e in events).splitlines() == whole
    assert {e["worker"] for e in events} == {hiding.task(task)["last_worker"]} and events[0]["time"].endswith("Z")
    assert hiding.run("logs", task, "--tail", "0", check=False).returncode == 2
