"""The master's figures for Prometheus, by HTTP."""

import re
import socket
import urllib.error
import urllib.request

import pytest

from reeve_up import SLOW, wait_until

LISTEN = "CLEARML_AGENT__AGENT__REEVE__METRICS__LISTEN"
RUNS = "CLEARML_AGENT__AGENT__REEVE__METRICS__RUNS"
LINE = re.compile(r'([a-z_]+)(?:\{([a-z]+="(?:[^"\\]|\\.)*",?)+\})? [-+0-9.e]+')


def fetch(url, method="GET"):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, method=method), timeout=20 * SLOW) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def figures(reeve):
    """By name and labels; the page is sound."""
    text = fetch(reeve.json("status")["metrics"])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), text
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert {LINE.fullmatch(line)[1] for line in lines} <= told
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_figures_follow_the_runs(make_reeve, tmp_path):
    reeve = make_reeve(env={LISTEN: '"127.0.0.1:0"', RUNS: "true"})
    bad = reeve.shell("exit 3", "--restart", "on-failure:1")
    assert reeve.wait(bad) == 1
    live = reeve.shell(f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done", "--name", 'quo"te\\d')
    reeve.wait_phase(live, "running")
    memory = f'reeve_run_memory_bytes{{task="{live}",name="quo\\"te\\\\d"}}'
    found = wait_until(lambda: (f := figures(reeve)).get(memory) and f, what="a sample of the run")
    assert found['reeve_runs{phase="running"}'] == 1
    assert found['reeve_attempts_ended_total{reason="exit:3"}'] == 2
    assert found["reeve_restarts_total"] == 1
    assert found["reeve_log_lines_dropped_total"] == found["reeve_log_events_refused_total"] == 0
    assert found["reeve_server_reachable"] == 1
    assert found["reeve_resident_memory_bytes"] > 1 << 20
    (tmp_path / "go").touch()
    assert reeve.wait(live) == 0
    wait_until(lambda: figures(reeve)['reeve_attempts_ended_total{reason="exit:0"}'] == 1, what="its end")
    assert memory not in figures(reeve)


def test_other_paths_methods_and_a_client_that_stalls(make_reeve):
    reeve = make_reeve(env={LISTEN: '"[::1]:0"'})
    url = reeve.json("status")["metrics"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(url + "/more")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        fetch(url, "DELETE")
    assert fetch(url, "HEAD") == ""
    port = int(re.search(r":(\d+)/", url)[1])
    with socket.create_connection(("::1", port), timeout=20) as stalled:
        stalled.sendall(b"GET /met")
        assert "reeve_info" in fetch(url)
        assert reeve.wait(reeve.shell("true")) == 0


def test_nothing_listens_by_default(reeve):
    assert reeve.json("status")["metrics"] is None


def test_an_address_that_cannot_be(make_rig):
    rig = make_rig(env={LISTEN: '"nowhere:1"'})
    with pytest.raises(AssertionError, match="nowhere is no IPv4 or IPv6 address"):
        rig.master.start()
    rig.master.process.wait(20 * SLOW)
    rig.master.process = None
    rig.master.env[LISTEN] = '"127.0.0.1:http"'
    with pytest.raises(AssertionError, match="agent.reeve.metrics.listen is PORT, ADDRESS:PORT"):
        rig.master.start()
    rig.master.process.wait(20 * SLOW)
    rig.master.process = None
