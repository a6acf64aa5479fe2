"""Tokens that end, a server that is older or stricter, a clock that is wrong."""

import base64
import json

import pytest

from faulty_api import refusal
from net_rig import Counting, check_log, command, server_state, wait_away, wait_reachable
from reeve_up import wait_until


def remake(token, **claims):
    """The token with other claims; a server would not take it, a client reads only these."""
    head, body, signature = token.split(".")
    found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    found.update(claims)
    text = json.dumps({k: v for k, v in found.items() if v is not None}).encode()
    return f"{head}.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.{signature}"


class Claims:
    """Makes the proxy hand out tokens with other claims, and takes them for the server's own."""

    def __init__(self, rig, **claims):
        self.rig = rig
        self.claims = claims
        self.real = rig.server.token
        rig.proxy.after = self.after
        rig.proxy.authorization = "Bearer " + self.real

    def pop_any(self, body):
        """As before API 2.21: the head of the queue, whichever was asked for."""
        data = self.rig.server.call("queues.get_next_task", {"queue": body["queue"]})
        code, envelope = refusal(200)
        return code, {**envelope, "data": data}

    def after(self, name, body, answer):
        if name == "auth.login" and answer[0] == 200:
            answer[1]["data"]["token"] = remake(answer[1]["data"]["token"], **self.claims)


def test_short_tokens(make_rig):
    """Each token is over after three seconds; neither a line nor a task knows of it."""
    rig = make_rig("--token-max", "3")
    rig.master.start()
    counting = Counting(rig)
    wait_until(lambda: rig.proxy.seen["auth.login"] >= 4, 120, what="some logins")
    counting.wait_lines()
    counting.check()
    assert server_state(rig)["reachable"]
    assert "cannot be used" not in rig.master.log.read_text()


def test_server_that_forgot_its_tokens(rig):
    """401 to a token that should be good: one login, and the call again."""
    rig.master.start()
    counting = Counting(rig)
    counting.wait_lines()
    refused = set()

    def refuse_once(name, body):
        if name != "auth.login" and name not in refused:
            refused.add(name)
            return refusal(401, 30, "Unauthorized (invalid token)")
        return None

    begin = rig.proxy.seen["auth.login"]
    rig.proxy.before = refuse_once
    counting.wait_lines()
    counting.check()
    assert rig.proxy.seen["auth.login"] > begin
    assert "events.add_batch" in refused
    assert "cannot be used" not in rig.master.log.read_text()


@pytest.mark.parametrize("offset", [-10 * 365 * 86400, 10 * 365 * 86400], ids=["behind", "ahead"])
def test_clocks_that_differ_by_years(rig, offset):
    """By this host's clock each token has ended long ago, or begins in ten years."""
    claims = json.loads(base64.urlsafe_b64decode(rig.server.token.split(".")[1] + "=="))
    Claims(rig, iat=claims["iat"] + offset, exp=claims["iat"] + offset + 3600)
    rig.master.start()
    Counting(rig).check()
    assert rig.proxy.seen["auth.login"] <= 2
    assert server_state(rig)["reachable"]


def test_server_with_a_lower_bound_on_tokens(make_rig):
    """A year is asked for, as payloads may need; a server that gives less gives what it has."""
    rig = make_rig("--token-max", "3600")
    rig.master.start()
    Counting(rig).check()
    assert "cannot be used" not in rig.master.log.read_text()


def test_start_with_refused_keys(rig):
    rig.proxy.before = lambda name, body: refusal(401, 21, "Unauthorized (invalid credentials)")
    rig.master.start()
    wait_away(rig, ["login", "invalid credentials"])
    rig.proxy.resume()
    Counting(rig).check()
    wait_reachable(rig)
    check_log(rig, ["invalid credentials"])


def test_command_with_a_token_that_ended(rig):
    """CLEARML_AUTH_TOKEN takes the place of keys; what has ended cannot be renewed."""
    ended = {"CLEARML_AUTH_TOKEN": remake(rig.server.token, exp=1000, iat=900)}
    done = command(rig, "queue", "list", env=ended)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "does not take these keys" in done.stderr


@pytest.mark.parametrize("version", ["2.4", "2.14", "2.20", None])
def test_older_server(make_rig, version):
    """What its API has not is done without: no peek before 2.15, no pop of a certain task before 2.21,
    no status with the dequeue before 2.26."""
    rig = make_rig("--no-extensions")
    older = Claims(rig, api_version=version)
    number = int((version or "2.1").split(".")[1])

    def before(name, body):
        if name == "queues.peek_task" and number < 15:
            return refusal(404, 0, "Unable to find endpoint")
        if name == "tasks.dequeue":
            return refusal(400, 703, "Invalid queue or task not queued")
        if name == "queues.get_next_task":
            return older.pop_any(json.loads(body))
        return None

    rig.proxy.before = before
    rig.master.start()
    for _ in range(2):
        Counting(rig).check()
    assert rig.proxy.seen["tasks.dequeue"] == 0
    assert number >= 15 or rig.proxy.seen["queues.peek_task"] == 0
    assert ("made for 2.4 and later" in rig.master.log.read_text()) == (number < 4)
