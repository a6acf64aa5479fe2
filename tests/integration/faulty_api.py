"""A proxy between reeved and reeve-server that fails calls as a test wants it, and reeved alone."""

import base64
import collections
import http.client
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import urllib.parse

from reeve_up import CREDENTIALS, FAST, OUT, alive, wait_until


def refusal(code, subcode=0, message="made up by the test"):
    return code, {"meta": {"id": "0" * 32, "trx": "0" * 32, "result_code": code,
                           "result_subcode": subcode, "result_msg": message, "error_stack": None,
                           "error_data": {}, "endpoint": {"name": "x", "requested_version": "2.0",
                                                          "actual_version": "2.0"}}, "data": {}}


def without_extensions(token):
    """The same token as a server without reeve's extensions would have made it."""
    head, claims, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    claims.pop("reeve", None)
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{text}.c2lnbmF0dXJl"


class Proxy:
    """before(name, body) and after(name, body, answer) may return (code, envelope) to answer so,
    or "drop" to close the connection; after runs when the server has carried the call out."""

    def __init__(self, server, plain=False):
        self.server = server
        self.plain = plain
        self.before = lambda name, body: None
        self.after = lambda name, body, answer: None
        self.seen = collections.Counter()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = urllib.parse.urlsplit(self.path).path.rpartition("/")[2]
                proxy.seen[name] += 1
                answer = proxy.before(name, body)
                if not answer:
                    answer = proxy.forward(self.path, self.headers, body)
                    answer = proxy.after(name, body, answer) or answer
                if answer == "drop":
                    self.close_connection = True
                    return
                code, envelope = answer
                text = json.dumps(envelope).encode()
                try:
                    self.send_response(code)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def forward(self, path, headers, body):
        url = urllib.parse.urlsplit(self.server.endpoint["api"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        sent = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length")}
        if self.plain and sent.get("Authorization", "").startswith("Bearer"):
            sent["Authorization"] = "Bearer " + self.server.token
        if self.plain:
            sent.pop("x-reeve-batch", None)
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        if self.plain and "auth.login" in path:
            data = answer[1]["data"]
            data["token"] = without_extensions(data["token"])
        return answer

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()


class Master:
    """reeved alone on folders of its own."""

    def __init__(self, folder, url, server, env=None):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.url = url
        self.endpoint = server.endpoint
        self.group = f"reeve-faults-{os.getpid()}-{self.folder.name[-8:]}"
        self.env = {k: v for k, v in os.environ.items() if k not in CREDENTIALS}
        self.env.update(FAST)
        self.env.update({"CLEARML_API_HOST": url, "HOME": str(self.folder),
                         "CLEARML_API_ACCESS_KEY": server.endpoint["access_key"],
                         "CLEARML_API_SECRET_KEY": server.endpoint["secret_key"]})
        self.env.update(env or {})
        self.log = self.folder / "reeved.log"
        self.process = None
        self.lock = threading.Lock()

    def start(self, *args):
        ready, tell = os.pipe()
        with open(self.log, "ab") as log, self.lock:
            self.process = subprocess.Popen(
                [OUT / "sbin" / "reeved", "--state-dir", self.state, "--run-dir",
                 self.folder / "run", "--worker-id", "host", "--cgroup-root", self.group,
                 "--polling-interval", "0.2", "--on-exit", "stop", "--ready-fd", str(tell),
                 *(args or ("--queue", "services"))],
                stdout=log, stderr=log, env=self.env, pass_fds=(tell,), cwd=self.folder)
        os.close(tell)
        assert os.read(ready, 1) == b"1", self.log.read_text()
        os.close(ready)
        return self

    def kill(self):
        """kill -9; its sub-agents live on. From any thread."""
        with self.lock:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def control(self, **request):
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            fd = os.open(self.folder / "run", os.O_RDONLY)
            s.settimeout(20)
            s.connect(f"/proc/self/fd/{fd}/control.sock")
            os.close(fd)
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def row(self, task):
        return next((r for r in self.control(cmd="ps")["data"] if r["id"] == task), None)

    def wait_phase(self, task, phase, timeout=20):
        return wait_until(lambda: (r := self.row(task)) and r["phase"] == phase and r, timeout,
                          what=f"phase {phase}")

    def sub_agents(self):
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
                except OSError:
                    continue
                if b"reeve-subagent" in words and str(self.folder).encode() in words and \
                        alive(int(entry)):
                    found.append(int(entry))
        return found

    def groups(self):
        root = pathlib.Path("/sys/fs/cgroup")
        return [str(p) for base in [root, *root.iterdir()] if base.is_dir()
                for p in [base / self.group] if p.is_dir()]
