"""The file server as the SDK and other clients use it."""

import hashlib
import http.client
import json
import os
import pathlib
import threading
import urllib.parse

import pytest

from server_rig import Server

MiB = 1 << 20


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.stop()


def request(server, method, path, body=None, headers=None, auth=True, port="files"):
    url = urllib.parse.urlsplit(server.endpoint[port])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    headers = dict(headers or {})
    if auth:
        headers["Authorization"] = f"Bearer {server.token}"
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, dict((k.lower(), v) for k, v in response.getheaders()), data


def part(name, content, boundary="XX"):
    """A part as requests_toolbelt writes it; a name given with its own "=" is taken as it is."""
    given = name if name.startswith("name") else f'name="{name}"'
    head = f'--{boundary}\r\nContent-Disposition: form-data; {given}; filename="f"\r\n'
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"


def upload(server, *parts, end=b"--XX--\r\n", **kw):
    status, _, data = request(server, "POST", kw.pop("path", "/"), b"".join(parts) + end,
                              {"Content-Type": "multipart/form-data; boundary=XX"}, **kw)
    return status, data


def files_below(server, folder="files"):
    root = server.data / folder
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_upload_download_delete(server):
    status, data = upload(server, part("/proj/task name.1/artifacts/x.pkl", b"one\r\n--X"), part("b", b""))
    assert (status, json.loads(data)) == (200, ["proj/task name.1/artifacts/x.pkl", "b"])
    path = "/proj/task%20name.1/artifacts/x.pkl"
    assert request(server, "GET", path)[2] == b"one\r\n--X"
    status, headers, data = request(server, "HEAD", path)
    assert (status, headers["content-length"], data) == (200, "8", b"")
    assert request(server, "GET", "/b")[2] == b""
    # Again: replaced as a whole.
    upload(server, part("/proj/task name.1/artifacts/x.pkl", b"two"))
    assert request(server, "GET", path)[2] == b"two"
    status, _, data = request(server, "DELETE", path)
    assert (status, json.loads(data)) == (200, "proj/task name.1/artifacts/x.pkl")
    assert request(server, "DELETE", path)[0] == 404
    assert request(server, "GET", path)[0] == 404
    assert request(server, "DELETE", "/proj")[0] == 404


def test_names_outside_ascii(server):
    status, data = upload(server, part("name*=utf-8''%C3%A9t%C3%A9%20%E2%82%AC", b"x"), part("q%22.txt", b"y"))
    assert (status, json.loads(data)) == (200, ["été €", 'q".txt'])
    assert request(server, "GET", "/%C3%A9t%C3%A9%20%E2%82%AC")[2] == b"x"
    assert request(server, "GET", "/q%22.txt")[2] == b"y"


@pytest.mark.parametrize("name", ["../escape", "/../../escape", "a/../../escape", "..", "a/../.."])
def test_no_path_leads_out(server, name):
    assert upload(server, part(name, b"x"))[0] == 404
    assert not list(server.data.parent.rglob("escape"))
    assert request(server, "GET", "/" + urllib.parse.quote(name, safe=""))[0] == 404
    assert files_below(server) == [] and files_below(server, "uploads") == []


def test_reading_never_leads_out(server):
    secret = server.data / "credentials.json"
    assert secret.exists()
    for path in ("/../credentials.json", "/%2e%2e/credentials.json", "/..%2fcredentials.json", "//etc/passwd"):
        assert request(server, "GET", path)[0] == 404
        assert request(server, "DELETE", path)[0] == 404
    os.symlink(secret, server.data / "files" / "link")
    assert request(server, "GET", "/link")[0] == 404
    assert request(server, "POST", "/delete_many", json.dumps({"files": ["../credentials.json"]}))[0] == 200
    assert secret.exists()


def test_ranges(server):
    upload(server, part("r", bytes(range(100))))
    cases = {"bytes=0-9": (0, 10), "bytes=90-": (90, 100), "bytes=-5": (95, 100), "bytes=50-500": (50, 100)}
    for text, (first, end) in cases.items():
        status, headers, data = request(server, "GET", "/r", headers={"Range": text})
        assert status == 206 and data == bytes(range(first, end))
        assert headers["content-range"] == f"bytes {first}-{end - 1}/100"
    for text in ("bytes=100-", "bytes=-0"):
        status, headers, _ = request(server, "GET", "/r", headers={"Range": text})
        assert (status, headers["content-range"]) == (416, "bytes */100")
    for text in ("bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=99999999999999999999999-"):
        assert request(server, "GET", "/r", headers={"Range": text})[0] == 200
    etag = request(server, "HEAD", "/r")[1]["etag"]
    assert request(server, "GET", "/r", headers={"If-None-Match": etag})[0] == 304
    assert request(server, "GET", "/r", headers={"If-None-Match": f'"old", {etag}'})[0] == 304
    modified = request(server, "HEAD", "/r")[1]["last-modified"]
    assert request(server, "GET", "/r", headers={"If-Modified-Since": modified})[0] == 304
    assert request(server, "GET", "/r", headers={"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"})[0] == 200
    assert request(server, "GET", "/r", headers={"Range": "bytes=0-1", "If-Range": modified})[0] == 206
    assert request(server, "GET", "/r", headers={"Range": "bytes=0-1", "If-Range": '"old"'})[0] == 200


def test_delete_many(server):
    upload(server, *[part(f"d/{i} x", b"1") for i in range(3)], part("keep", b"1"))
    body = json.dumps({"files": ["d/0%20x", "d", "gone", "", "/"]})
    status, _, data = request(server, "POST", "/delete_many", body)
    assert status == 200
    answer = json.loads(data)
    assert answer["deleted"] == {"d/0%20x": "d/0 x", "d": "d"}
    assert answer["errors"] == {"Not found": ["gone"], "Empty path not allowed": ["", "/"]}
    assert files_below(server) == ["keep"]
    assert request(server, "POST", "/delete_many", "{}")[0] == 400
    assert request(server, "POST", "/delete_many", "not json")[0] == 400


def test_who_may(server):
    assert request(server, "GET", "/", auth=False)[::2] == (200, b"OK")
    assert request(server, "GET", "/", auth=False, headers={"Authorization": "Bearer x"})[0] == 401
    assert upload(server, part("a", b"1"), auth=False)[0] == 401
    assert upload(server, part("a", b"1"))[0] == 200
    for method, path in (("GET", "/a"), ("HEAD", "/a"), ("DELETE", "/a"), ("POST", "/delete_many")):
        assert request(server, method, path, auth=False)[0] == 401
    cookie = {"Cookie": f"clearml_token_basic={server.token}"}
    assert request(server, "GET", "/a", auth=False, headers=cookie)[::2] == (200, b"1")
    assert request(server, "GET", "/a", headers={"Content-Encoding": "gzip"})[0] == 415


def test_through_the_web_port(server):
    assert upload(server, part("a/b.html", b"<script>1</script>"), path="/files/", port="web")[0] == 200
    status, headers, _ = request(server, "GET", "/files/a/b.html?download", port="web")
    assert status == 200
    # It shares the page's origin, and must not act in it.
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''b.html"


def test_broken_uploads_leave_nothing(server):
    assert upload(server, part("a", b"1"), end=b"")[0] == 400
    assert upload(server, b"--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n")[0] == 400
    assert upload(server, part("good", b"1"), part("../bad", b"2" * 100000))[0] == 404
    status, _, _ = request(server, "POST", "/", b"x", {"Content-Type": "text/plain"})
    assert status == 400
    # A client that goes away in the middle.
    url = urllib.parse.urlsplit(server.endpoint["files"])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("Authorization", f"Bearer {server.token}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=XX")
    connection.putheader("Content-Length", str(10 * MiB))
    connection.endheaders(part("half", b"x" * MiB))
    connection.close()
    upload(server, part("after", b"1"))
    assert files_below(server) == ["after"]
    server.stop()
    assert files_below(server, "uploads") == []


def test_an_interrupted_server_forgets_uploads(server):
    upload(server, part("a", b"1"))
    stale = server.data / "uploads" / "stale"
    stale.write_text("x")
    server.stop(kill=True)
    server.start()
    assert request(server, "GET", "/a")[2] == b"1"
    upload(server, part("b", b"1"))
    assert not stale.exists()


def test_large_files_stay_out_of_memory(server, tmp_path):
    size = 200 * MiB
    source = tmp_path / "big"
    digest = hashlib.sha256()
    with open(source, "wb") as f:
        f.write(part("big", b"")[:-2])
        for i in range(size // MiB):
            block = hashlib.shake_128(str(i).encode()).digest(MiB)
            digest.update(block)
            f.write(block)
        f.write(b"\r\n--XX--\r\n")
    before = peak_rss(server)
    with open(source, "rb") as f:
        status, _, _ = request(server, "POST", "/", f, {
            "Content-Type": "multipart/form-data; boundary=XX",
            "Content-Length": str(os.path.getsize(source))})
    assert status == 200
    assert hashlib.sha256(request(server, "GET", "/big")[2]).digest() == digest.digest()
    assert peak_rss(server) - before < 30 * MiB


def peak_rss(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_many_at_once(server):
    def work(i):
        for n in range(10):
            assert upload(server, part(f"w/{i}/{n}", str(i).encode() * 1000), part("shared", b"s" * (i + 1)))[0] == 200
            assert request(server, "GET", f"/w/{i}/{n}")[2] == str(i).encode() * 1000

    failures = []

    def run(i):
        try:
            work(i)
        except BaseException as error:  # told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(files_below(server)) == 81 and files_below(server, "uploads") == []
    assert set(request(server, "GET", "/shared")[2]) == {ord("s")}


def test_uploads_are_bounded(tmp_path):
    server = Server(tmp_path / "data", "--max-upload", "1000").start()
    try:
        assert upload(server, part("small", b"x" * 500))[0] == 200
        assert upload(server, part("large", b"x" * 1000))[0] == 413
        # Of unknown length: counted as it comes.
        pieces = iter([part("chunked", b"x" * 1000), b"--XX--\r\n"])
        status, _, data = request(server, "POST", "/", pieces,
                                  {"Content-Type": "multipart/form-data; boundary=XX"})
        assert (status, data) == (413, b"Request Entity Too Large")
        assert files_below(server) == ["small"] and files_below(server, "uploads") == []
    finally:
        server.stop()
