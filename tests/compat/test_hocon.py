"""clearml.conf, read by reeve and by clearml-agent: the same, but for what hocon_cases.py lists."""
import json
import os
import pathlib
import subprocess

import pytest

import hocon_cases
import hocon_random
import versions
from reeve_up import OUT, SLOW

HERE = pathlib.Path(__file__).parent
RECORDED = [json.loads(line) for line in (HERE / "hocon_answers.jsonl").read_text().splitlines()]
LISTED = {text: answer for text, answer, _ in hocon_cases.DIFFERENCES}


def read(case, folder):
    """What `reeve config` makes of it: as hocon_official.py says it."""
    for name, text in case["files"].items():
        (folder / name).write_bytes(text.encode())
    env = {"PATH": os.environ["PATH"], **case["env"]}
    env.update((k, v) for k, v in os.environ.items() if k.endswith("SAN_OPTIONS"))
    done = subprocess.run([OUT / "bin" / "reeve", "config", "--check", folder / "main.conf", "--json"], env=env,
                          capture_output=True, timeout=60 * SLOW)
    for name in case["files"]:
        (folder / name).unlink()
    assert done.returncode in (0, 1), (case, done.stderr)
    assert done.stdout or b"main.conf:" in done.stderr or b".conf:" in done.stderr, (case, done.stderr)
    return json.loads(done.stdout) if done.stdout else {"!": done.stderr.decode()}


def compare(cases, answers, folder):
    """What clearml-agent reads, reeve reads the same. Returns how many were compared."""
    wrong, compared = [], 0
    for case, answer in zip(cases, answers, strict=True):
        ours, text = read(case, folder), case["files"]["main.conf"]
        if text in LISTED and len(case["files"]) == 1:
            if LISTED[text] != (None if "!" in ours else ours):
                wrong.append((case["files"], "listed", LISTED[text], ours))
        elif "!" not in answer:
            compared += 1
            if ours != answer:
                wrong.append((case["files"], answer, ours))
    assert not wrong, "\n".join(map(repr, wrong[:20]))
    return compared


def official(cases):
    done = subprocess.run([versions.agent_python(), HERE / "hocon_official.py"], input=json.dumps(cases), capture_output=True, text=True,
                          timeout=3000 * SLOW)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_record_has_all_cases():
    """Or it is to be made again."""
    recorded = [case["files"] for case in RECORDED]
    assert recorded[:len(hocon_cases.cases())] == [case["files"] for case in hocon_cases.cases()]
    assert all(text in [c["files"]["main.conf"] for c in RECORDED] for text in LISTED)


def test_recorded_answers(tmp_path):
    assert compare(RECORDED, [case["answer"] for case in RECORDED], tmp_path) > 400


def test_a_listed_difference_is_one():
    answers = {case["files"]["main.conf"]: case["answer"] for case in RECORDED}
    assert all(answers[text] != ours for text, ours in LISTED.items())


@pytest.mark.long
def test_the_record_is_true():
    assert official(RECORDED) == [case["answer"] for case in RECORDED]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_random_texts(seed, tmp_path):
    cases = hocon_random.cases(f"long-{seed}", 500)
    assert compare(cases, official(cases), tmp_path) > 200
