"""The master, a sub-agent and the server are killed at their system calls: killing.py says which, and what must be true
afterwards. REEVE_FAULT_POINT=SCENARIO:N,N,... runs one point; --long runs one for every call."""

import os

import pytest

from killing import SCENARIOS, Suite


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_system_calls(name, tmp_path, shared_server, request, tally):
    chosen = os.environ.get("REEVE_FAULT_POINT")
    if chosen and chosen.partition(":")[0] != name:
        pytest.skip("another point is asked for")
    scenario = SCENARIOS[name]()
    suite = Suite(tmp_path, shared_server(scenario.plain), scenario, request.config.getoption("--long"))
    suite.run()
    tally(suite.hits, len(suite.failures))
    print(f"{name}: {suite.hits} points; {dict(suite.calls.most_common())}; not reached: {suite.missed}")
    assert not suite.failures, "\n".join(suite.failures)
