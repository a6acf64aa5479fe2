"""What is no HTTP, or too much, or too slow: ClearML's error envelope, and nobody else notices."""

import contextlib
import json
import os
import pathlib
import random
import socket
import struct
import time
import urllib.parse

import pytest

from reeve_up import SLOW, wait_until
from reeve_server import Server

IDLE = 2 * SLOW
LINE = b"GET /debug.ping HTTP/1.1\r\n"
POST = b"POST /debug.ping HTTP/1.1\r\n"
LONG = b"a" * 40_000
BAD = {
    "no request line": (b"GARBAGE\r\n\r\n", 400),
    "method alone": (b"GET\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "unknown version": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", 400),
    "negative length": (LINE + b"Content-Length: -5\r\n\r\n", 400),
    "length is no number": (LINE + b"Content-Length: abc\r\n\r\n", 400),
    "length of 30 digits": (LINE + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 413),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "length and encoding": (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   b"0\r\n\r\n", 400),
    "unknown encoding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "bad chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400),
    "long request line": (b"GET /" + LONG + b" HTTP/1.1\r\n\r\n", 414),
    "endless request line": (b"GET /" + LONG * 10, 414),
    "long header": (LINE + b"A: " + LONG + b"\r\n\r\n", 431),
    "endless headers": (LINE + b"A: b\r\n" * 100_000, 431),
    "many headers": (LINE + b"A: b\r\n" * 101 + b"\r\n", 431),
    "many cookies": (LINE + b"Cookie: a" + b"; a=b" * 1000 + b"\r\n\r\n", 431),
    "many arguments": (b"GET /debug.ping?" + b"a&" * 1000 + b" HTTP/1.1\r\n\r\n", 431),
    "NUL in a header": (LINE + b"A: a\0b\r\n\r\n", 400),
    "lone CR": (LINE + b"A: a\rContent-Length: 5\r\n\r\n", 400),
    "no colon": (LINE + b"nocolon\r\n\r\n", 400),
    "space before the colon": (LINE + b"Content-Length : 5\r\n\r\n", 400),
    "folded header": (LINE + b"A: a\r\n b\r\n\r\n", 400),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("front") / "data", "--idle-timeout", str(int(IDLE)))
    yield server.start()
    assert server.stop() == 0


def connect(server, port="api"):
    url = urllib.parse.urlsplit(server.endpoint[port])
    connection = socket.create_connection((url.hostname, url.port))
    connection.settimeout(20 * SLOW)
    return connection


def answer(connection):
    """Everything up to the end of the connection, which must be no reset."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def check_refusal(data, status):
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].split()[1] == str(status), lines[0]
    assert "connection: close" in lines and "content-type: application/json" in lines
    assert f"content-length: {len(body)}" in lines
    envelope = json.loads(body)
    meta = envelope["meta"]
    assert (meta["result_code"], meta["result_subcode"], envelope["data"]) == (status, 0, {})
    assert isinstance(meta["id"], str) and isinstance(meta["trx"], str)
    assert isinstance(meta["endpoint"], dict) and meta["result_msg"].startswith("Invalid request (")


def sends(connection, data):
    """As much of it as is taken: the answer may come before the end."""
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("port", ["api", "web", "files"])
def test_refused(server, name, port):
    data, status = BAD[name]
    with connect(server, port) as connection:
        sends(connection, data)
        check_refusal(answer(connection), status)


@pytest.mark.parametrize("name", ["no colon", "NUL in a header", "unknown version", "bad chunk size"])
def test_refused_byte_by_byte(server, name):
    data, status = BAD[name]
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            sends(connection, data[i:i + 1])
        check_refusal(answer(connection), status)


def test_answered_byte_by_byte(server):
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(LINE)):
            connection.sendall(LINE[i:i + 1])
            time.sleep(0.001)
        connection.sendall(b"Connection: close\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_half_a_head_and_the_end(server):
    with connect(server) as connection:
        connection.sendall(LINE + b"A: b")
        connection.shutdown(socket.SHUT_WR)
        check_refusal(answer(connection), 400)


def test_the_answer_to_head_has_no_body(server):
    with connect(server) as connection:
        connection.sendall(b"HEAD / HTTP/9.9\r\n\r\n")
        assert answer(connection).endswith(b"\r\n\r\n")


def test_requests_behind_a_refused_one_are_not_run(server):
    with connect(server) as connection:
        connection.sendall(b"GARBAGE\r\n\r\n" + LINE + b"\r\n")
        data = answer(connection)
        assert data.count(b"HTTP/1.1 ") == 1
        check_refusal(data, 400)


def note(fields, arguments, cookies, body, over):
    """A head at the border of what libmicrohttpd can hold, by `over` bytes across it."""
    head = b"POST /debug.ping?" + b"&".join([b"a"] * arguments) + b" HTTP/1.1\r\n"
    head += b"Content-Length: %d\r\nConnection: close\r\n" % body + b"A: b\r\n" * fields
    cookie = b"; ".join([b"a=b"] * cookies)
    if cookies:
        head += b"Cookie: " + cookie + b"\r\n"
    items = fields + 3 + max(arguments, 1) + (cookies + 1 if cookies else 0)
    noted = 64 * items + (len(cookie) + 1 if cookies else 0)
    pad = 32768 - 4096 - noted - len(head) - len(b"P: \r\n\r\n") + over
    return head + b"P: " + b"p" * pad + b"\r\n\r\n" if pad > 0 else None


def test_no_page_of_the_library_at_the_border(server):
    dice = random.Random(7)
    seen = set()
    for _ in range(300):
        body = dice.choice([0, 10, 20_000])
        head = note(dice.choice([0, 5, 60, 95]), dice.choice([0, 1, 50, 100]), dice.choice([0, 5, 90]),
                    body, dice.choice([-400, -50, -2, -1, 0, 1, 100]))
        if head is None:
            continue
        with connect(server) as connection:
            sends(connection, head + (b"{}" + b" " * (body - 2) if body else b""))
            data = answer(connection)
            assert b"application/json" in data, (len(head), body, data[:200])
            seen.add(data[9:12])
    assert seen == {b"200", b"431"}


def descriptors(server):
    """Sockets alone: each thread opens the data base with its first request, whenever that is."""
    folder = f"/proc/{server.process.pid}/fd"
    links = []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"{folder}/{name}"))
    return sum(link.startswith("socket:") for link in links)


def memory_kb(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_stalled_connections(server):
    client = server.client()
    client.data("debug.ping")
    before, memory, cpu = descriptors(server), memory_kb(server), cpu_s(server)
    begin = time.monotonic()
    starts = [b"", b"G", b"GARBAGE", LINE, LINE + b"A: " + b"a" * 20_000, LINE + b"A: b\r\n" * 50,
              POST + b"Transfer-Encoding: chunked\r\n\r\n"]
    stalled = [(starts[i % len(starts)], connect(server)) for i in range(210)]
    for start, connection in stalled:
        connection.sendall(start)
    asked = time.monotonic()
    client.data("debug.ping")
    other = server.client()
    assert time.monotonic() - asked < IDLE / 2, "held up until they are cut"
    other.close()
    assert memory_kb(server) - memory < 16 * 1024
    for start, connection in stalled:
        data = answer(connection)
        if start:
            check_refusal(data, 408)
        else:
            assert data == b""
        connection.close()
    took = time.monotonic() - begin
    assert IDLE <= took < IDLE + 5 * SLOW
    assert cpu_s(server) - cpu < 0.5 * SLOW
    wait_until(lambda: descriptors(server) <= before, what="the end of the stalled connections")
    client.close()


def test_trickled_head(server):
    """Never silent for long, and yet not longer than a quarter above the time-out."""
    begin = time.monotonic()
    with connect(server) as connection:
        connection.sendall(LINE)
        connection.settimeout(IDLE / 10)
        data = None
        while data is None:
            assert time.monotonic() - begin < IDLE * 1.25 + 5 * SLOW
            sends(connection, b"A")
            try:
                data = connection.recv(65536)
            except TimeoutError:
                pass
        check_refusal(data, 408)


def test_resets_and_early_ends(server):
    before = descriptors(server)
    for i in range(200):
        with connect(server) as connection:
            connection.sendall([b"", LINE, b"GARBAGE\r\n\r\n", LINE + b"\r\n"][i % 4])
            if i % 3 == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: descriptors(server) <= before, what="the end of the connections")


def test_who_never_stops_sending_is_cut(server):
    with connect(server) as connection:
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b"A" * 65536)


def test_limit_of_connections(tmp_path):
    """What is above the limit waits, and is served once there is room."""
    server = Server(tmp_path / "data", "--connections", "8").start()
    try:
        ping = LINE + b"\r\n"
        stalled = [connect(server) for _ in range(4)]
        alive = [connect(server) for _ in range(4)]
        for connection in alive:
            connection.sendall(ping)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        late = [connect(server) for _ in range(8)]
        for connection in late:
            connection.sendall(ping)
            connection.settimeout(0.05)
            with pytest.raises(TimeoutError):
                connection.recv(65536)
        for connection, gone in zip(late, stalled + alive):
            gone.close()
            connection.settimeout(10 * SLOW)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            connection.close()
        assert server.stop() == 0
    finally:
        server.kill()


def test_stops_with_stalled_connections(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        stalled = [connect(server) for _ in range(20)]
        for connection in stalled:
            connection.sendall(LINE)
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 3 * SLOW
        for connection in stalled:
            connection.close()
    finally:
        server.kill()
