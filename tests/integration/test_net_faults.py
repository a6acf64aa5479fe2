"""A server, or what stands before it, that answers nothing or nonsense: the master goes on, loses no
line, says once what is wrong, and comes back by itself; a command says so in one line and exits with 3."""

import gzip
import threading
import time

import pytest

from faulty_api import Proxy, page, refusal
from net_rig import (Counting, check_log, command, lives_through, many_lines, one_line, server_state,
                     wait_away, wait_reachable)
from reeve_up import sanitized, wait_until


def raw(status, body, **headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}",
             *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


BOMB = gzip.compress(b'{"data": "' + b"0" * (80 << 20) + b'"}', 9)
DEEP = b'{"meta":' * 100000
ANSWERS = {
    "502": (page(502, "Bad Gateway"), ["HTTP 502", "Bad Gateway"]),
    "503 maintenance": (page(503, "Down for maintenance"), ["HTTP 503", "maintenance"]),
    "504": (page(504, "Gateway Time-out"), ["HTTP 504"]),
    "509": (page(509, "Bandwidth Limit Exceeded"), ["HTTP 509"]),
    "404 page": (page(404, "Not Found"), ["HTTP 404", "Not Found"]),
    "a page": (page(200, "Sign in to the Wi-Fi"), ["HTTP 200", "Sign in to the Wi-Fi"]),
    "another JSON": (raw(200, b'{"ok": true}'), ["no ClearML answer"]),
    "wrong types": (raw(200, b'{"meta": {"result_code": "200"}, "data": []}'), ["no ClearML answer"]),
    "deep JSON": (raw(200, DEEP), ["no ClearML answer"]),
    "cut": (raw(200, b"x" * 100)[:-40], ["http://127.0.0.1"]),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", ["http://127.0.0.1"]),
    "endless head": (b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 0123456789\r\n" * 50000, ["http://127.0.0.1"]),
    "gzip bomb": (raw(200, BOMB, Content_Encoding="gzip"), ["longer than"]),
    "broken gzip": (raw(200, BOMB[:2000] + b"nonsense", Content_Encoding="gzip"), ["http://127.0.0.1"]),
    "nothing": ("drop", ["http://127.0.0.1"]),
}
faults = pytest.mark.parametrize("answer,words", ANSWERS.values(), ids=ANSWERS.keys())


@faults
def test_master_lives_through(rig, answer, words):
    rig.master.start()

    def begin():
        rig.proxy.before = lambda name, body: answer

    # The address is in the line of the log and of the command, status has it beside.
    lives_through(rig, begin, rig.proxy.resume, [w for w in words if not w.startswith("http:")])


@faults
def test_command_says_it_in_a_line(rig, answer, words):
    rig.proxy.before = lambda name, body: answer
    one_line(command(rig, "queue", "list"), rig.proxy.url, *words)


def test_master_starts_while_the_server_is_away(rig):
    rig.proxy.before = lambda name, body: page(502, "Bad Gateway")
    rig.master.start()
    wait_away(rig, ["HTTP 502"])
    rig.proxy.resume()
    Counting(rig).check()
    wait_reachable(rig)


def test_server_restarts(rig):
    """Gone while a task counts, killed and started anew on its data."""
    rig.master.start()
    lives_through(rig, lambda: rig.server.stop(kill=True), rig.server.start, [])


@pytest.mark.long
def test_silent_server(rig):
    """It takes requests and never says a word. The master's calls end by their time-outs."""
    silence = threading.Event()
    rig.master.start()
    counting = Counting(rig)
    counting.wait_lines()

    def say_nothing(name, body):
        silence.wait()
        return "drop"

    rig.proxy.before = say_nothing
    try:
        wait_away(rig, ["no answer within"])
        counting.let_go()
    finally:
        rig.proxy.resume()
        silence.set()
    counting.check()
    wait_reachable(rig)
    check_log(rig, ["no answer within"])


@pytest.mark.long
def test_half_open_connections(rig):
    """A proxy forgot its connections without a word: calls on them end by their time-outs (a batch of lines after
    a minute), new connections work, and each line is there once."""
    rig.master.start()
    counting = Counting(rig)
    counting.wait_lines()
    rig.proxy.lose_connections()
    counting.let_go()
    counting.check()
    wait_reachable(rig)


def test_slots_are_taken_and_the_server_was_away(rig):
    """Nothing but the look at running tasks asks the server for anything then."""
    rig.master.start("--queue", "services", "--services-mode", "1")
    marks = rig.folder / "stopped"
    task = rig.enqueue(f"trap \"echo >{marks}; exit 0\" TERM; while :; do sleep 0.1; done")
    rig.master.wait_phase(task, "running", 60)
    rig.proxy.pause()
    wait_away(rig, [])
    rig.proxy.resume()
    wait_reachable(rig)
    rig.server.call("tasks.stop", {"task": task, "force": True})
    wait_until(lambda: rig.master.row(task) is None, 60, what="the end of the aborted task")


@pytest.mark.parametrize("after", ["1", "date", None])
def test_limit_on_calls(rig, after):
    """429 is an answer: no outage, and Retry-After is kept to by all calls; also one that is a date of a server
    whose clock is ten years ahead."""
    left = [4]

    def limit(name, body):
        if name == "auth.login" or left[0] <= 0:
            return None
        left[0] -= 1
        ahead = time.time() + 10 * 365 * 86400
        stamps = [time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(ahead + n)) for n in (0, 2)]
        headers = {None: {}, "1": {"Retry_After": "1"},
                   "date": {"Date": stamps[0], "Retry_After": stamps[1]}}[after]
        return page(429, "Too Many Requests", **headers)

    rig.master.start()
    counting = Counting(rig)
    counting.wait_lines()
    rig.proxy.before = limit
    wait_until(lambda: left[0] <= 0, 90, what="the limit")
    counting.check()
    assert "cannot be used" not in rig.master.log.read_text()


def test_refused_keys(rig):
    """Keys that were revoked: said once, tried again, and right again when somebody has mended it."""
    def refuse(name, body):
        return refusal(401, 21, "Unauthorized (invalid credentials)")

    rig.master.start()

    def begin():
        rig.proxy.before = refuse

    lives_through(rig, begin, rig.proxy.resume, ["invalid credentials"])
    rig.proxy.before = refuse
    done = command(rig, "queue", "list")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "does not take these keys" in done.stderr


def test_body_limit_of_a_proxy(rig):
    """413 of a proxy: the batch goes in parts, since the same one would be refused for ever."""
    refused = [0]

    def limit(name, body):
        refused[0] += len(body) > 100000
        return page(413, "Request Entity Too Large") if len(body) > 100000 else None

    rig.proxy.before = limit
    rig.master.start()
    many_lines(rig)
    assert refused[0], "no batch was large enough"


def test_size_of_requests_is_bounded(make_rig):
    """api.http.max_req_size: a batch ends there, give or take the event that was being filled."""
    rig = make_rig(env={"CLEARML_AGENT__API__HTTP__MAX_REQ_SIZE": "100000"})
    largest = [0]

    def measure(name, body):
        largest[0] = max(largest[0], len(body))

    rig.proxy.before = measure
    rig.master.start()
    many_lines(rig)
    assert largest[0] < 250000


def test_idle_connections_are_cut(make_rig):
    """A proxy that closes what was idle for a moment: no call fails for it, and no pop is doubled."""
    rig = make_rig(idle=0.3)
    rig.master.start("--queue", "services", "--polling-interval", "1")
    for _ in range(3):
        counting = Counting(rig)
        counting.wait_lines()
        counting.check()
    assert "cannot be used" not in rig.master.log.read_text()


def test_two_servers_one_dead(rig):
    """A balancer that sends every other call to a dead one: work goes on, the log stays short."""
    turn = [0]

    def every_other(name, body):
        turn[0] += 1
        return page(502, "Bad Gateway") if turn[0] % 2 else None

    rig.proxy.before = every_other
    rig.master.start()
    for _ in range(2):
        counting = Counting(rig)
        counting.wait_lines()
        counting.check()
    log = rig.master.log.read_text()
    assert log.count("cannot be used") <= 1 + turn[0] // 20, log


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_on_the_same_host(make_rig, tmp_path, status):
    """Calls go where the server is now, with method and body."""
    rig = make_rig()
    there = Proxy(rig.server)
    there.prefix = "/clearml/api"
    try:
        rig.proxy.redirect = (status, there.url + there.prefix)
        rig.master.start()
        Counting(rig).check()
        assert server_state(rig)["moved_to"] == there.url + there.prefix
        assert command(rig, "queue", "list", "--json").returncode == 0
        # Where it led to is gone: the configured address is asked again.
        rig.proxy.redirect = None
        there.pause()
        Counting(rig).check()
        assert server_state(rig)["moved_to"] is None
    finally:
        there.close()


@pytest.mark.parametrize("where,words", [
    ("http://another.example", ["another host", "another.example"]),
    ("http://127.0.0.1/login?next=", ["no ClearML API"]),
    ("ftp://127.0.0.1", ["no ClearML API"]),
    ("http://user:pass@127.0.0.1:1", ["no ClearML API"]),
    (None, ["in circles"])], ids=["another host", "a sign-in page", "ftp", "keys", "circle"])
def test_redirects_that_are_not_followed(rig, where, words):
    rig.master.start()
    lives_through(rig, lambda: setattr(rig.proxy, "redirect", (302, where or rig.proxy.url)),
                  lambda: setattr(rig.proxy, "redirect", None), words)
    rig.proxy.redirect = (302, where or rig.proxy.url)
    one_line(command(rig, "queue", "list"), *words)


def test_bombs_do_not_fill_the_memory(rig):
    """Eighty megabytes from eighty kilobytes, again and again: the bound is on what is unpacked."""
    rig.master.start()
    count = [0]

    def bomb(name, body):
        count[0] += 1
        return ANSWERS["gzip bomb"][0]

    rig.proxy.before = bomb
    wait_until(lambda: count[0] >= 4, 120, what="four bombs")
    rss = rig.master.control(cmd="status")["data"]["rss_bytes"]
    rig.proxy.resume()
    Counting(rig).check()
    # Five connections with 64 MiB each at most; what AddressSanitizer keeps is its own.
    assert sanitized() or rss < 700 << 20, rss
