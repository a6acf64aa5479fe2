"""soak.py, short here and as long as it is meant to be with --long."""

import pytest

import soak


@pytest.mark.parametrize("services, seconds, seed", [
    (16, 8, 1),
    pytest.param(1000, 600, 2, marks=pytest.mark.long)])
def test_nothing_is_lost_under_random_kills(tmp_path, services, seconds, seed):
    interval_ms = 1000 if services > 100 else 50
    wrong, counts = soak.soak(tmp_path, services, seconds, seed, server_kills=services > 100,
                              interval_ms=interval_ms)
    print(dict(counts))
    assert not wrong, f"seed {seed}, {dict(counts)}\n" + "\n".join(
        f"{task}: {'; '.join(found)}" for task, found in list(wrong.items())[:10])
    assert counts["master killed"] and counts["sub-agent killed"] and counts["lines"] > services
