"""A proxy between reeved and reeve-server that fails calls as a test wants it, and reeved alone."""

import collections
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

from reeve_up import FAST, OUT, SLOW, alive, clean_environment, wait_until
from server_rig import Server


def refusal(code, subcode=0, message="made up by the test"):
    return code, {"meta": {"id": "0" * 32, "trx": "0" * 32, "result_code": code,
                           "result_subcode": subcode, "result_msg": message, "error_stack": None,
                           "error_data": {}, "endpoint": {"name": "x", "requested_version": "2.0",
                                                          "actual_version": "2.0"}}, "data": {}}


def page(status, title, **headers):
    """An answer of something that is not ClearML, whole and as bytes."""
    text = f"<html><head><title>{title}</title></head><body>{title}</body></html>"
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase if status != 509 else 'Limit'}",
             "Content-Type: text/html", f"Content-Length: {len(text)}", "Connection: close",
             *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()), "", text]
    return "\r\n".join(lines).encode()


class Proxy:
    """before(name, body) and after(name, body, answer) may return (code, envelope) to answer so,
    bytes that are all of the answer, head included, "drop" to close the connection, ("reset", bytes) to
    send these and then reset it, or ("dribble", bytes) for a few of them at a time; after runs when the
    server has carried the call out. Connections are closed after they were idle for so many
    seconds. tls: an ssl.SSLContext. redirect: (status, base address) for every request."""

    def __init__(self, server, tls=None, idle=None):
        self.server = server
        self.resume()
        self.after = lambda name, body, answer: None
        self.redirect = None
        # Connections that were made before are half-open: what is sent there is never answered.
        self.lost_before, self.found = 0.0, threading.Event()
        self.closed_before = 0.0  # connections that were made before are closed at their next request
        self.prefix = ""  # a path below which the API is
        # The extension "claim" is not asked for, so that each step of a claim is a call that can fail.
        self.stepwise = True
        self.authorization = None  # takes the place of a client's token
        self.seen = collections.Counter()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = idle

            def setup(self):
                super().setup()
                self.born = time.monotonic()

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.born < proxy.lost_before:
                    proxy.found.wait()
                    self.close_connection = True
                    return
                if self.born < proxy.closed_before:
                    self.close_connection = True
                    return
                name = urllib.parse.urlsplit(self.path).path.rpartition("/")[2]
                proxy.seen[name] += 1
                answer = proxy.before(name, body)
                if proxy.redirect:
                    answer = page(proxy.redirect[0], "moved", Location=proxy.redirect[1] + self.path)
                if not answer:
                    path = self.path.removeprefix(proxy.prefix)
                    answer = proxy.forward(path, self.headers, body)
                    answer = proxy.after(name, body, answer) or answer
                if answer == "drop" or isinstance(answer, bytes):
                    self.close_connection = True
                    self.tell(b"" if answer == "drop" else answer)
                    return
                if answer[0] in ("reset", "dribble"):
                    self.close_connection = True
                    self.tell_badly(*answer)
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

            def tell(self, data):
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def tell_badly(self, how, data):
                step = max(1, len(data) // 20) if how == "dribble" else len(data) + 1
                for i in range(0, len(data), step):
                    self.tell(data[i:i + step])
                    time.sleep(0.01)
                if how == "reset":  # what is not sent yet is thrown away, too
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()

            def log_message(self, *args):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args):
                pass

        self.listener = Listener(("127.0.0.1", 0), Handler)
        if tls:
            # The handshake is the connection's own thread's: not to be waited for by the next client.
            self.listener.socket = tls.wrap_socket(self.listener.socket, server_side=True,
                                                   do_handshake_on_connect=False)
        self.port = self.listener.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def forward(self, path, headers, body):
        url = urllib.parse.urlsplit(self.server.endpoint["api"])
        if self.stepwise and b'"claim"' in body and path.endswith("/queues.get_next_task"):
            body = json.dumps({k: v for k, v in json.loads(body).items() if k != "claim"}).encode()
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        # Answers are looked into here, so not compressed, as ClearML's own server would.
        dropped = ("host", "content-length", "accept-encoding")
        sent = {k: v for k, v in headers.items() if k.lower() not in dropped}
        if self.authorization and sent.get("Authorization", "").startswith("Bearer"):
            sent["Authorization"] = self.authorization
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def pause(self):
        """Every connection is closed without a word."""
        self.before = lambda name, body: "drop"

    def resume(self):
        self.before = lambda name, body: None

    def close_connections(self):
        self.closed_before = time.monotonic()

    def lose_connections(self):
        self.lost_before = time.monotonic()

    def close(self):
        self.found.set()
        self.listener.shutdown()
        self.listener.server_close()


# What failed is tried again at once, nearly: these tests have calls fail.
AGAIN = {"CLEARML_AGENT__API__HTTP__RETRIES__BACKOFF_FACTOR": "0.05",
         "CLEARML_AGENT__API__HTTP__RETRIES__BACKOFF_MAX": "0.5",
         "CLEARML_AGENT__AGENT__REEVE__WAITS__AGAIN": "100ms"}


class Master:
    """reeved alone on folders of its own."""

    def __init__(self, folder, url, server, env=None):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.url = url
        self.endpoint = server.endpoint
        self.worker = "host"
        self.group = f"reeve-faults-{os.getpid()}-{self.folder.name[-8:]}"
        self.env = clean_environment(**{
            **FAST, **AGAIN, "CLEARML_API_HOST": url, "HOME": str(self.folder),
            "CLEARML_API_ACCESS_KEY": server.endpoint["access_key"],
            "CLEARML_API_SECRET_KEY": server.endpoint["secret_key"], **(env or {})})
        self.log = self.folder / "reeved.log"
        self.process = None
        self.lock = threading.Lock()

    def start(self, *args, under=()):
        """under: the words of a command that runs it, and may end it before it is ready."""
        ready, tell = os.pipe()
        with open(self.log, "ab") as log, self.lock:
            self.process = subprocess.Popen(
                [*under, OUT / "sbin" / "reeved", "--state-dir", self.state, "--run-dir",
                 self.folder / "run", "--worker-id", self.worker, "--cgroup-root", self.group,
                 "--polling-interval", "0.2", "--on-exit", "stop", "--ready-fd", str(tell),
                 *(args or ("--queue", "services"))],
                stdout=log, stderr=log, env=self.env, pass_fds=(tell,), cwd=self.folder)
        os.close(tell)
        assert os.read(ready, 1) == b"1" or under, self.log.read_text()
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
        return self.process.wait(60 * SLOW)

    def control(self, **request):
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


class Rig:
    """A server, the proxy before it, and a master that knows only the proxy."""

    def __init__(self, folder, *server, env=None, **proxy):
        self.server = Server(folder / "server", *server).start()
        self.proxy = Proxy(self.server, **proxy)
        self.queue = self.server.queue("services")
        self.master = Master(folder, self.proxy.url, self.server, env)
        self.folder = folder

    def enqueue(self, script, arguments="", queue=None, **fields):
        task = self.server.task(script={"binary": "sh", "entry_point": f"-c '{script}'"},
                                container={"arguments": arguments}, **fields)
        self.server.call("tasks.enqueue", {"task": task, "queue": queue or self.queue})
        return task

    def document(self, task):
        return self.server.call("tasks.get_by_id", {"task": task})["task"]

    def status(self, task):
        return self.document(task)["status"]

    def wait(self, task, status="completed", timeout=40):
        wait_until(lambda: self.status(task) not in ("queued", "in_progress"), timeout,
                   what=f"the end of {task}\n{self.master.log.read_text()[-4000:]}")
        assert self.status(task) == status, self.text(task)
        wait_until(lambda: self.master.row(task) is None, what="the end of its run")

    def events(self, task):
        return self.server.call("events.get_task_log", {
            "task": task, "batch_size": 10000, "order": "asc", "navigate_earlier": False})["events"]

    def text(self, task):
        return "".join(e["msg"] for e in self.events(task))

    def numbers(self, task):
        return [int(n) for n in re.findall(r"^line (\d+)$", self.text(task), re.M)]

    def keep_alive(self):
        """Starts the master again whenever something has killed it."""
        if self.master.process.poll() is not None:
            self.master.start()
        return False

    def close(self):
        left = []
        try:
            if self.master.process and self.master.stop() != 0:
                left.append(self.master.log.read_text()[-3000:])
            for pid in self.master.sub_agents():
                left.append(f"sub-agent {pid}")
                os.kill(pid, signal.SIGKILL)
            left += self.master.groups()
            log = self.master.log.read_text() if self.master.log.exists() else ""
            if "Sanitizer" in log or "runtime error" in log:
                left.append(log[-6000:])
        finally:
            self.proxy.close()
            self.server.stop()
        assert not left, left
