"""`reeve doctor`: with a master, without one, without rights."""

import base64
import http.server
import json
import os
import pathlib
import resource
import socket
import subprocess
import threading
import time

import pytest

from reeve_up import OUT, clean_environment

STATUSES = {"ok", "warn", "fail"}


def doctor(env, *args, **options):
    done = subprocess.run([OUT / "bin" / "reeve", "doctor", "--json", *args], env=env, capture_output=True,
                          text=True, timeout=120, **options)
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


def test_settings_of_the_masters_own_file(make_reeve, tmp_path):
    """What `up --config` was given is looked at, by the program that has to take it."""
    settings = tmp_path / "settings.conf"
    settings.write_text("agent.reeve.min_free_disk: 1m\n")
    reeve = make_reeve("--config", str(settings), env={"CLEARML_API_HOST": "http://elsewhere:1"})
    assert "master.conf" in doctor(reeve.env, "--data", str(reeve.data))["configuration"]["text"]
    settings.write_text("agent.reeve.min_free_disk: plenty\n")
    checks = doctor(reeve.env, "--data", str(reeve.data))
    assert checks["configuration"]["status"] == "fail" and "min_free_disk" in checks["configuration"]["text"]
    settings.write_text("agent.reeve.defaults { memory: lots }\n")
    assert doctor(reeve.env, "--data", str(reeve.data))["configuration"]["status"] == "fail"


def test_another_host_has_this_masters_id(reeve):
    """It shows by the workers of its runs."""
    worker = reeve.json("status")["worker"]
    task = reeve.shell("echo ready; sleep 600")
    reeve.wait_line(task, "ready")
    assert doctor(reeve.env, "--data", str(reeve.data))["worker id"]["status"] == "ok"
    other = f"{worker}:service:{'7' * 32}"
    reeve.call("workers.register", worker=other, timeout=600)
    reeve.call("workers.status_report", worker=other, timestamp=int(time.time()), queues=[])
    check = doctor(reeve.env, "--data", str(reeve.data))["worker id"]
    assert check["status"] == "warn" and "7" * 32 in check["text"] and check["fix"]


def test_what_is_missing(nowhere, tmp_path):
    """Programs, Python, open files, folders."""
    (tmp_path / "file").touch()
    (tmp_path / "libexec").mkdir()
    env = dict(nowhere, PATH="/nonexistent", REEVE_LIBEXEC_DIR=str(tmp_path / "libexec"),
               REEVE_STATE_DIR=str(tmp_path / "file/state"), REEVE_RUN_DIR="some/where")
    checks = doctor(env, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024)), cwd=tmp_path)
    failed = {name for name, check in checks.items() if check["status"] == "fail"}
    assert failed >= {"reeve-subagent", "reeve-prepare", "state folder"}, failed
    assert "Not a directory" in checks["state folder"]["text"]
    for name in ("git", "python", "open files"):
        assert checks[name]["status"] == "warn" and checks[name]["fix"], name
    assert "1024" in checks["open files"]["text"]
    assert checks["run folder"]["status"] == "ok" and not (tmp_path / "some").exists()


def test_kernel(nowhere):
    checks = doctor(nowhere)
    major, minor = (int(n) for n in os.uname().release.split(".")[:2])
    assert checks["kernel"]["status"] == ("ok" if (major, minor) >= (5, 9) else "fail")
    assert os.uname().release in checks["kernel"]["text"]
    assert checks["PIDFD_GET_INFO"]["status"] == ("ok" if (major, minor) >= (6, 15) else "warn")
    for name in ("kernel.pid_max", "kernel.threads-max"):
        value = pathlib.Path("/proc/sys", name.replace(".", "/")).read_text().strip()
        assert f"{name.partition('.')[2]} {value}" in checks["processes"]["text"]


@pytest.mark.parametrize("ahead, status", [(0, "ok"), (100, "warn"), (-4000, "fail")])
def test_servers_clock(nowhere, ahead, status):
    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = base64.urlsafe_b64encode(json.dumps({"iat": int(time.time()) + ahead,
                                                        "exp": int(time.time()) + 86400}).encode()).decode().rstrip("=")
            data = {"token": f"e30.{body}.c2ln"} if "login" in self.path else {"workers": []}
            answer = json.dumps({"meta": {"result_code": 200, "result_subcode": 0, "endpoint": {"name": self.path}},
                                 "data": data}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        checks = doctor(dict(nowhere, CLEARML_API_HOST=f"http://127.0.0.1:{server.server_address[1]}",
                             CLEARML_API_ACCESS_KEY="a", CLEARML_API_SECRET_KEY="b"))
        server.shutdown()
        thread.join()
    assert checks["server"]["status"] == "ok", checks["server"]
    assert checks["server's clock"]["status"] == status and (ahead < 0) == ("behind" in checks["server's clock"]["text"])


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
    # What cannot be looked at is not said to be missing.
    for name in ("cgroup.kill", "pressure", "memory peak", "swap accounting", "disk rates", "disk weights"):
        if name in checks:
            assert "not known" in checks[name]["text"] or checks[name]["status"] == "ok", checks[name]
    assert checks["state folder"]["status"] == "fail"
