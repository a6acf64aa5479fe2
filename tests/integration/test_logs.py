"""A run's log: what it must not show, how much of it is kept, what is shown while the server is away."""

import os
import pathlib
import signal

import pytest

from reeve_up import Reeve, wait_until

GIT_PASS = "g1t-p4ss-w0rd"
AWS_KEY = "aws/secret+key"
PHRASE = "correct horse battery"
HIDDEN = {"CLEARML_AGENT_GIT_PASS": GIT_PASS, "AWS_SECRET_ACCESS_KEY": AWS_KEY,
          "CLEARML_AGENT__AGENT__REEVE__MASK__VALUES": f'["{PHRASE}"]',
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
        echo "pass {GIT_PASS} key {AWS_KEY}, {PHRASE}."
        echo "token $CLEARML_AUTH_TOKEN"
        echo "mine $MY_TOKEN"
        echo "remote https://someone:hidden-word@example.com/x"
        echo "VAULT_ADDRESS=nobody-knows"
        head -c 65530 /dev/zero | tr '\\0' x; echo {GIT_PASS}
        printf %s {GIT_PASS[:5]}; sleep 0.2; echo {GIT_PASS[5:]}
        echo finished
        while [ ! -e {tmp_path}/go ]; do sleep 0.05; done
        """)
    task = hiding.shell(f". {script}", "--env", "MY_TOKEN=an-own-token")
    hiding.wait_line(task, "finished")
    secrets = (GIT_PASS, AWS_KEY, PHRASE, "an-own-token", "hidden-word", "nobody-knows", "eyJ")
    for text in (spool_text(hiding, task), log_text(hiding, task)):
        assert "pass **** key ****, ****." in text
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
