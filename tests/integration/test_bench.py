"""The bench measures what it says: small numbers; what is lost or left behind fails it."""

import json
import os
import subprocess
import sys

import pytest

from reeve_up import PLAIN, SLOW, TOP

FIGURES = ("latency", "launches", "lines", "idle")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(PLAIN, reason="starts its own server")
def test_bench(tmp_path):
    history = tmp_path / "history"
    done = subprocess.run([sys.executable, TOP / "tests/bench/bench.py", "--smoke", "--json", "-",
                           *(word for figure in FIGURES for word in ("--only", figure))],
                          env={**os.environ, "REEVE_BENCH_HISTORY": str(history)}, capture_output=True, text=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert json.loads(history.read_text()) == result
    figures = {figure["what"]: figure["reeve"] for figure in result["figures"]}
    assert {figure["figure"] for figure in result["figures"]} == set(FIGURES)
    assert figures["idle services on one host"] == 10 and figures["launches, sustained"] > 0
