# SPDX-License-Identifier: Apache-2.0
"""What test_prepare.py stands on: reeve-prepare driven by a specification on descriptor 3,
and git servers on loopback (smart HTTP behind a password, ssh, a silent one)."""

import base64
import contextlib
import fcntl
import functools
import http.server
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

from reeve_up import GIT_ENV, OUT, SANITIZER_OPTIONS
from reeve_up import git as git_text

PREPARE = str(OUT / "libexec/reeve/reeve-prepare")
TASK = "0123456789abcdef0123456789abcdef"
# Diffs may be of any bytes.
git = functools.partial(git_text, text=False)


def commit(repo, message="change"):
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD").decode().strip()


def make_repo(path, files):
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    for name, text in files.items():
        write(path / name, text)
    commit(path, "first")
    return path


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


class Result:
    def __init__(self, log, status, code):
        self.log, self.status, self.code = log, status, code

    @property
    def lines(self):
        return self.log.splitlines()

    @property
    def output(self):
        """What the task itself wrote."""
        return self.log.split("Starting Task Execution:\n\n", 1)[1]

    @property
    def failure(self):
        """(step, text) of the fail line, or None."""
        for line in self.status.splitlines():
            if line.startswith("fail "):
                return tuple(line.split(" ", 2)[1:])
        return None


class Rig:
    """One run: its folders, and the attempts in it."""

    def __init__(self, folder, home):
        self.folder, self.home = folder, home
        self.state, self.run_dir, self.cache = (folder / n for n in ("state", "run", "cache"))
        for path in (self.state, self.run_dir, home):
            path.mkdir(parents=True, exist_ok=True)

    def spec(self, script, **more):
        return {"version": 1, "task": TASK, "name": "n", "project": "p", "attempt": 1,
                "state_dir": str(self.state), "run_dir": str(self.run_dir),
                "cache_dir": str(self.cache), "script": script, **more}

    def run(self, script, environ=None, **more):
        """environ: what reeve-prepare inherits; more: members of the specification."""
        return self.run_text(json.dumps(self.spec(script, **more)), environ)

    def run_text(self, text, environ=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), **(environ or {})}
        for name in SANITIZER_OPTIONS:
            if name in os.environ:
                environment[name] = os.environ[name]
        spec = high(os.memfd_create("spec"))
        os.write(spec, text.encode())
        os.lseek(spec, 0, os.SEEK_SET)
        log_read, log_write = map(high, os.pipe())
        status_read, status_write = map(high, os.pipe())
        null = high(os.open(os.devnull, os.O_RDONLY))
        pid = os.posix_spawn(PREPARE, [PREPARE], environment, file_actions=[
            (os.POSIX_SPAWN_DUP2, old, new) for old, new in
            ((null, 0), (log_write, 1), (log_write, 2), (spec, 3), (status_write, 4))])
        for fd in (spec, log_write, status_write, null):
            os.close(fd)
        out = {}

        def drain(name, fd):
            with os.fdopen(fd, "rb") as f:
                out[name] = f.read().decode(errors="replace")

        threads = [threading.Thread(target=drain, args=a)
                   for a in (("log", log_read), ("status", status_read))]
        for t in threads:
            t.start()
        code = wait(pid, 60)
        for t in threads:
            t.join()
        return Result(out["log"], out["status"], code)


def high(fd):
    """The same descriptor above those that a child gets, and closed in it."""
    new = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return new


def wait(pid, seconds):
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = poll.poll(seconds * 1000)
    os.close(pidfd)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended, "reeve-prepare did not end in %d s" % seconds
    return code


class GitHttp(http.server.BaseHTTPRequestHandler):
    """git http-backend as a CGI program, behind Basic authentication if asked for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        self.serve(self.body())

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while True:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self, body):
        server = self.server
        server.seen.append((self.path, self.headers.get("Authorization")))
        if server.redirect:
            return self.reply(302, [("Location", server.redirect + self.path)], b"")
        if server.login:
            expected = "Basic " + base64.b64encode(server.login.encode()).decode()
            if self.headers.get("Authorization") != expected:
                return self.reply(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        path, _, query = self.path.partition("?")
        env = {**GIT_ENV, "GIT_PROJECT_ROOT": str(server.root), "GIT_HTTP_EXPORT_ALL": "1",
               "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
               "CONTENT_TYPE": self.headers.get("Content-Type", ""),
               "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1"}
        if self.headers.get("Content-Encoding"):
            env["HTTP_CONTENT_ENCODING"] = self.headers["Content-Encoding"]
        out = subprocess.run(["git", "-c", "uploadpack.allowAnySHA1InWant=true",
                              "http-backend"], input=body, env=env,
                             capture_output=True, timeout=60).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = int(dict(headers).get("Status", "200").split()[0])
        self.reply(status, [h for h in headers if h[0] != "Status"], content)


@contextlib.contextmanager
def http_server(root, login=None, redirect=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHttp)
    server.root, server.login, server.redirect, server.seen = root, login, redirect, []
    server.url = "http://127.0.0.1:%d" % server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def silent_server():
    """Accepts connections, reads, and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    peers, ending = [], threading.Event()

    def accept():
        while not ending.is_set():
            with contextlib.suppress(OSError):
                peers.append(listener.accept()[0])

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ending.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for peer in peers:
            peer.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@contextlib.contextmanager
def ssh_server(folder, home):
    """sshd on loopback for the present user, with keys made for the test; home gets the
    client's key and known_hosts."""
    folder.mkdir()
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    for key in (folder / "host", ssh / "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
                       check=True, timeout=30)
    shutil.copy(ssh / "id_ed25519.pub", folder / "authorized")
    port = free_port()
    host_key = (folder / "host.pub").read_text().split()[:2]
    (ssh / "known_hosts").write_text("[127.0.0.1]:%d %s\n" % (port, " ".join(host_key)))
    config = folder / "sshd_config"
    config.write_text("\n".join([
        "Port %d" % port, "ListenAddress 127.0.0.1", "HostKey %s" % (folder / "host"),
        "AuthorizedKeysFile %s" % (folder / "authorized"), "PidFile none", "UsePAM no",
        "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password", ""]))
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f",
                                str(config)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
        yield "ssh://%s@127.0.0.1:%d" % (pwd.getpwuid(os.geteuid()).pw_name, port)
    finally:
        process.terminate()
        process.wait(10)
