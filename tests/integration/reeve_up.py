"""One `reeve up` on a folder of its own, its command line and its API, and what any test needs.

REEVE_OUT names the install prefix (default: out/ at the top of the tree). REEVE_TEST_SLOW=10 makes
every time-out ten times as long, for machines that are that slow.
"""

import base64
import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("REEVE_OUT", TOP / "out"))
SLOW = float(os.environ.get("REEVE_TEST_SLOW", "1"))
# Waits that a test would otherwise sit through.
FAST = {
    "CLEARML_AGENT__AGENT__REEVE__WAITS__WATCH": "200ms",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN": "100ms",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__LINGER": "1s",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__REPORT": "1s",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__ALIVE": "1s",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__SETTLE": "2s",
}
CREDENTIALS = ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY", "CLEARML_AUTH_TOKEN",
               "CLEARML_CONFIG_FILE", "CLEARML_API_HOST", "REEVE_DATA")
# What else decides the way to a server, in whatever case.
NETWORK = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle",
           "ssl_cert_file", "ssl_cert_dir")
# REEVE_TEST_PLAIN=1: servers without the extensions that ClearML's own has not.
PLAIN = os.environ.get("REEVE_TEST_PLAIN") == "1"
SANITIZER_OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS")
# A hook of git's has variables that name its own repository.
GIT_ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
           "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
           "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com",
           "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"}


# Python of a task: leave() moves its process out of all groups of its run.
LEAVE = """
import os, sys, time
def leave():
    for line in open('/proc/self/cgroup'):
        number, names, path = line.strip().split(':', 2)
        for top in ('/sys/fs/cgroup/' + (names.removeprefix('name=') or 'unified'), '/sys/fs/cgroup'):
            if os.path.exists(top + '/cgroup.procs') and '/payload' in path:
                open(top + path.split('/payload')[0].rsplit('/run/', 1)[0] + '/cgroup.procs', 'w').write(str(os.getpid()))
                break
"""


def clean_environment(**more):
    """This one without what names a server, keys, proxies or certificates."""
    kept = {k: v for k, v in os.environ.items() if k not in CREDENTIALS and k.lower() not in NETWORK}
    return {**kept, **more}


def wait_until(check, timeout=30, step=0.05, what="the condition"):
    """Polls until check() is truthy and returns that; fails loudly instead of sleeping on."""
    timeout *= SLOW
    # A look often takes a start of a program, which keeps a slow machine from what is waited for.
    step *= min(SLOW, 5)
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {timeout} s")
        time.sleep(step)


def alive(pid):
    """A process that still runs; one that only waits to be reaped by init does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@functools.cache
def sanitized():
    """Whether the programs under test were built with AddressSanitizer."""
    return b"__asan_init" in (OUT / "libexec/reeve/reeve-server").read_bytes()


def free_port():
    """A port that nobody listened on just now: for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def git(repo, *args, text=True, **options):
    """What `git -C repo args...` prints; nobody's configuration has a say in it."""
    return subprocess.run(["git", "-C", str(repo), "-c", "protocol.file.allow=always", *args],
                          env=GIT_ENV, check=True, capture_output=True, text=text,
                          timeout=60 * SLOW, **options).stdout


class ApiError(Exception):
    def __init__(self, meta):
        super().__init__(f"{meta['result_code']}/{meta['result_subcode']} {meta['result_msg']}")
        self.code = meta["result_code"]
        self.subcode = meta["result_subcode"]


class Api:
    """Calls of one user: api("tasks.get_by_id", task=...) gives the answer's data."""

    # Servers of tests are reached directly, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __init__(self, url, access_key, secret_key):
        self.url = url.rstrip("/")
        pair = f"{access_key}:{secret_key}".encode()
        self.basic = "Basic " + base64.b64encode(pair).decode()
        self.token = None

    def __call__(self, endpoint, /, **body):
        return self.send(endpoint, body)

    def login(self):
        self.token = self.send("auth.login", authorization=self.basic)["token"]
        return self.token

    def send(self, endpoint, body=None, lines=None, authorization=None, headers=()):
        """lines: documents of an application/json-lines body; authorization: instead of the token."""
        if not authorization:
            try:
                return self.send(endpoint, body, lines, "Bearer " + (self.token or self.login()), headers)
            except ApiError as error:
                if error.code != 401:
                    raise
            authorization = "Bearer " + self.login()
        text = json.dumps(body or {}) if lines is None else "\n".join(map(json.dumps, lines))
        kind = "json" if lines is None else "json-lines"
        request = urllib.request.Request(
            f"{self.url}/{endpoint}", text.encode(),
            {"Authorization": authorization, "Content-Type": f"application/{kind}", **dict(headers)})
        try:
            with self.opener.open(request, timeout=60 * SLOW) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ApiError(json.load(error)["meta"]) from None


class Reeve:
    """One `reeve up` on a folder."""

    def __init__(self, data, *args, env=None):
        self.data = pathlib.Path(data)
        self.args = list(args)
        self.env = clean_environment(**{**FAST, **(env or {})})
        self.process = None
        self.log = self.data.parent / (self.data.name + ".log")
        self.api = None
        self.group = None
        self.out = OUT
        self.before = []  # words before the program: who starts it, and where

    # -- life

    def start(self, timeout=30):
        out = open(self.log, "ab")
        self.process = subprocess.Popen(
            [*self.before, self.out / "bin" / "reeve", "up", "--data", self.data, "--api-port", "0",
             "--web-port", "0", "--files-port", "0", *self.args],
            stdout=out, stderr=out, env=self.env, start_new_session=True)
        out.close()
        endpoint = self.data / "endpoint.json"

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"reeve up ended early:\n{self.log.read_text()}")
            if not endpoint.exists():
                return None
            found = json.loads(endpoint.read_text())
            return found if found["pid"] == self.process.pid else None

        self.endpoint = wait_until(ready, timeout, what="endpoint.json")
        self.api = Api(self.endpoint["api"], self.endpoint["access_key"], self.endpoint["secret_key"])
        words = pathlib.Path(f"/proc/{self.json('status')['pid']}/cmdline").read_text().split("\0")
        self.group = words[words.index("--cgroup-root") + 1]
        wait_until(self.queues_are_there, timeout, what="the master's queues")
        return self

    def queues_are_there(self):
        """Those that the master serves, which it makes once it is up."""
        named = [word for before, word in zip(self.args, self.args[1:]) if before == "--queue"]
        found = self.api("queues.get_all", search_hidden=True, only_fields=["id", "name"])["queues"]
        return {queue["name"] for queue in found} >= set(named or ["services"])

    def stop(self, timeout=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout * SLOW)
        self.process = None
        return code

    def processes(self):
        """Pids whose command line or environment names our folder."""
        found = []
        needle = str(self.data).encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    if needle in f.read():
                        found.append(int(entry))
            except OSError:
                pass
        return found

    def cgroups(self):
        """Every directory of our root group: in each hierarchy, on v2 below our own unit's."""
        return [folder for folder, _, _ in os.walk("/sys/fs/cgroup")
                if os.path.basename(folder) == self.group]

    def mounts(self):
        with open("/proc/self/mounts") as f:
            return [line.split()[1] for line in f if str(self.data) in line]

    # -- the command line

    def run(self, *args, check=True, timeout=120, **kw):
        done = subprocess.run([OUT / "bin" / "reeve", args[0], "--data", self.data, *args[1:]],
                              capture_output=True, text=True, timeout=timeout * SLOW, env=self.env,
                              **kw)
        if check and done.returncode != 0:
            raise AssertionError(f"reeve {args}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def submit(self, *args, **kw):
        return self.run("submit", *args, **kw).stdout.strip()

    def shell(self, script, *options, **kw):
        """Submits a shell line."""
        return self.submit(*options, "--", "sh", "-c", script, **kw)

    def wait(self, task, timeout=60, check=False):
        return self.run("wait", task, "--timeout", f"{timeout * SLOW:.0f}s", check=check,
                        timeout=timeout + 30).returncode

    def ps(self, *args):
        return self.json("ps", *args)

    def row(self, task):
        return next((r for r in self.ps() if r["id"] == task), None)

    def logs(self, task):
        return self.run("logs", task).stdout

    def wait_line(self, task, line, timeout=30):
        """Until the task's output has exactly this line (its command is in the log, too)."""
        wait_until(lambda: line in self.logs(task).splitlines(), timeout, what=f"the line {line!r}")

    # -- the API

    def call(self, endpoint, /, **body):
        return self.api(endpoint, **body)

    def task(self, task):
        return self.call("tasks.get_by_id", task=task)["task"]

    def status(self, task):
        return self.task(task)["status"]

    def wait_phase(self, task, phase, timeout=30):
        return wait_until(lambda: (r := self.row(task)) and r["phase"] == phase and r, timeout,
                          what=f"phase {phase} of {task}")

    def log_events(self, task):
        events = []
        stamp = None
        while True:
            body = {"task": task, "batch_size": 5000, "order": "asc", "navigate_earlier": False}
            if stamp is not None:
                body["from_timestamp"] = stamp
            got = self.call("events.get_task_log", **body)["events"]
            events += got
            if not got:  # a page may be shorter than asked for: the server bounds its bytes too
                return events
            stamp = got[-1]["timestamp"]


    # -- the end

    def end(self):
        """Stops it; a list of what it left behind, which should be empty."""
        left = []
        if self.process:
            code = self.stop()
            if code != 0:
                left.append(f"reeve up exited with {code}\n{self.log.read_text()[-3000:]}")
        try:
            wait_until(lambda: not self.processes(), 10)
        except AssertionError:
            for pid in self.processes():
                try:
                    left.append(f"process {pid}: " + pathlib.Path(f"/proc/{pid}/cmdline")
                                .read_text().replace("\0", " "))
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        left += [f"cgroup {d}" for d in self.cgroups()]
        left += [f"mount {d}" for d in self.mounts()]
        return left
