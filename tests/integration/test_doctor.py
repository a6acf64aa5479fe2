"""`reeve doctor`: with a master, without one, without rights."""

import json
import os
import socket
import subprocess

import pytest

from reeve_up import OUT, clean_environment

STATUSES = {"ok", "warn", "fail"}


def doctor(env, *args, user=None):
    done = subprocess.run([OUT / "bin" / "reeve", "doctor", "--json", *args], env=env, capture_output=True,
                          text=True, timeout=120, user=user)
    data = json.loads(done.stdout)
    checks = {}
    for one in data["checks"]:
        assert set(one) == {"check", "status", "text", "fix"} and one["status"] in STATUSES, one
        assert "\n" not in one["text"] and (one["fix"] or one["status"] == "ok" or one["text"]), one
        checks[one["check"]] = one
    failed = [one for one in data["checks"] if one["status"] == "fail"]
    assert data["failed"] == len(failed) and data["ok"] == (not failed)
    assert done.returncode == (1 if failed else 0)
    return checks


@pytest.fixture
def nowhere(tmp_path):
    """An environment in which no server and no master is known."""
    return clean_environment(HOME=str(tmp_path), REEVE_STATE_DIR=str(tmp_path / "state"),
                             REEVE_RUN_DIR=str(tmp_path / "run"), XDG_DATA_HOME=str(tmp_path / "share"))


@pytest.mark.vm
def test_with_a_master(reeve):
    groups = set(os.listdir("/sys/fs/cgroup"))
    checks = doctor(reeve.env, "--data", str(reeve.data))
    assert [c for c in checks.values() if c["status"] == "fail"] == []
    for name in ("cgroups", "controller cpu", "controller memory", "controller pids", "server", "worker id",
                 "server's clock", "state folder", "master"):
        assert checks[name]["status"] == "ok", checks[name]
    assert reeve.json("status")["cgroup_version"] in checks["cgroups"]["text"]
    assert "this host's master" in checks["worker id"]["text"]
    assert set(os.listdir("/sys/fs/cgroup")) == groups, "it changes nothing"


def test_another_master_has_the_worker_id(reeve):
    """The same server and the same name, from a folder in which no master runs."""
    env = dict(reeve.env, CLEARML_CONFIG_FILE=str(reeve.data / "clearml.conf"),
               CLEARML_WORKER_ID=reeve.json("status")["worker"],
               REEVE_RUN_DIR=str(reeve.data / "elsewhere"), REEVE_STATE_DIR=str(reeve.data / "state"))
    checks = doctor(env)
    assert checks["worker id"]["status"] == "warn" and "reported" in checks["worker id"]["text"]
    assert "no master runs" in checks["master"]["text"]


def test_without_anything(nowhere):
    checks = doctor(nowhere)
    assert checks["server"]["status"] == "warn" and "reeve up" in checks["server"]["fix"]
    assert "no master runs" in checks["master"]["text"]


def test_server_that_is_not_there(nowhere):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        env = dict(nowhere, CLEARML_API_HOST=f"http://127.0.0.1:{taken.getsockname()[1]}",
                   CLEARML_API_ACCESS_KEY="a", CLEARML_API_SECRET_KEY="b")
        checks = doctor(env)
    assert checks["server"]["status"] == "fail" and checks["server"]["fix"]


def test_setting_that_is_an_error(nowhere):
    checks = doctor(dict(nowhere, CLEARML_AGENT__AGENT__REEVE__NOTHING="1"))
    assert checks["configuration"]["status"] == "fail"
    assert "agent.reeve.nothing" in checks["configuration"]["text"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_without_rights(nowhere, tmp_path):
    checks = doctor(dict(nowhere, HOME="/", REEVE_STATE_DIR="/proc/none", REEVE_RUN_DIR="/proc/none"),
                    user=65534)
    assert checks["rights"]["status"] == "fail" and checks["cgroups"]["status"] == "fail"
    assert checks["cgroups"]["fix"]
    assert checks["state folder"]["status"] == "fail"
