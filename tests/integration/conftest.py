"""Drives an installed reeve through out/bin/reeve and HTTP, never through its insides.

REEVE_OUT names the install prefix (default: out/ at the top of the tree). Every instance lives in
a folder of its own; when a test is over, no process, cgroup, mount or file of it may be left.

REEVE_TEST_SLOW=10 makes every time-out ten times as long, for machines that are that slow. Tests marked
`vm` also run on pure cgroup v2, see tests/vm/product-v2.sh.

Where the programs were built with sanitizers, what AddressSanitizer, LeakSanitizer and
UndefinedBehaviorSanitizer find in any of them, daemons and payloads' agents included, goes to files,
and a test fails when it leaves one.
"""

import base64
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("REEVE_OUT", TOP / "out"))
SLOW = float(os.environ.get("REEVE_TEST_SLOW", "1"))
# Its tests change a system's units.
collect_ignore = [] if os.environ.get("REEVE_VM") == "1" and os.path.isdir("/run/systemd/system") else [
    "test_unit_file.py"]
# Waits that a test would otherwise sit through.
FAST = {
    "CLEARML_AGENT__AGENT__REEVE__WAITS__WATCH": "200ms",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__BACKOFF_MIN": "100ms",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__LINGER": "1s",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__REPORT": "1s",
    "CLEARML_AGENT__AGENT__REEVE__WAITS__SETTLE": "2s",
}
CREDENTIALS = ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY", "CLEARML_AUTH_TOKEN",
               "CLEARML_CONFIG_FILE", "CLEARML_API_HOST", "REEVE_DATA")
SANITIZER_OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS")


def pytest_configure(config):
    config.addinivalue_line("markers", "vm: runs on pure cgroup v2 too, in the VM of tests/vm")


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


class ApiError(Exception):
    def __init__(self, meta):
        super().__init__(f"{meta['result_code']}/{meta['result_subcode']} {meta['result_msg']}")
        self.code = meta["result_code"]
        self.subcode = meta["result_subcode"]


class Reeve:
    """One `reeve up` on a folder."""

    def __init__(self, data, *args, env=None):
        self.data = pathlib.Path(data)
        self.args = list(args)
        self.env = {k: v for k, v in os.environ.items() if k not in CREDENTIALS}
        self.env.update(FAST)
        self.env.update(env or {})
        self.process = None
        self.log = self.data.parent / (self.data.name + ".log")
        self.token = None
        self.group = None

    # -- life

    def start(self, timeout=30):
        out = open(self.log, "ab")
        self.process = subprocess.Popen(
            [OUT / "bin" / "reeve", "up", "--data", self.data, "--api-port", "0",
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
        self.token = None
        words = pathlib.Path(f"/proc/{self.json('status')['pid']}/cmdline").read_text().split("\0")
        self.group = words[words.index("--cgroup-root") + 1]
        return self

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

    def call(self, endpoint, **body):
        for attempt in (0, 1):
            if not self.token:
                keys = f"{self.endpoint['access_key']}:{self.endpoint['secret_key']}".encode()
                self.token = self._send("auth.login", {}, "Basic " +
                                        base64.b64encode(keys).decode())["token"]
            return self._send(endpoint, body, "Bearer " + self.token)

    def _send(self, endpoint, body, authorization):
        request = urllib.request.Request(
            f"{self.endpoint['api']}/{endpoint}", json.dumps(body).encode(),
            {"Authorization": authorization, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30 * SLOW) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            raise ApiError(json.load(e)["meta"]) from None

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
            if len(got) < 5000:
                return events
            stamp = got[-1]["timestamp"]


def add_option(name, option):
    os.environ[name] = ":".join(filter(None, [os.environ.get(name), option]))


def take_reports(folder):
    """The sanitizers' reports in there, which are no test's afterwards."""
    found = []
    for path in sorted(folder.iterdir()):
        found.append(f"{path.name}\n" + path.read_text(errors="replace"))
        path.unlink()
    return found


@pytest.fixture(scope="session")
def sanitizer_folder(tmp_path_factory):
    """Where the sanitizers write; first of all fixtures, so that it looks once more when the
    programs of all others have ended."""
    folder = tmp_path_factory.mktemp("sanitizers")
    for name in SANITIZER_OPTIONS:
        add_option(name, f"log_path={folder}/report")
    add_option("UBSAN_OPTIONS", "print_stacktrace=1")
    yield folder
    left = take_reports(folder)
    assert not left, "\n".join(left)


@pytest.fixture(autouse=True)
def no_sanitizer_reports(sanitizer_folder):
    yield
    found = take_reports(sanitizer_folder)
    assert not found, "\n".join(found)


@pytest.fixture
def make_reeve(tmp_path):
    """Makes instances; whatever a test leaves of them is an error."""
    made = []
    own_groups = pathlib.Path("/proc/self/cgroup").read_text()

    def make(*args, name="data", env=None, start=True):
        instance = Reeve(tmp_path / name, *args, env=env)
        made.append(instance)
        return instance.start() if start else instance

    yield make
    left = []
    for instance in made:
        if instance.process:
            code = instance.stop()
            if code != 0:
                left.append(f"reeve up exited with {code}\n{instance.log.read_text()[-3000:]}")
        try:
            wait_until(lambda: not instance.processes(), 10)
        except AssertionError:
            for pid in instance.processes():
                try:
                    left.append(f"process {pid}: " + pathlib.Path(f"/proc/{pid}/cmdline")
                                .read_text().replace("\0", " "))
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        left += [f"cgroup {d}" for d in instance.cgroups()]
        left += [f"mount {d}" for d in instance.mounts()]
    # In a delegated group a master moves who is in it out of the way, and back when it ends.
    if pathlib.Path("/proc/self/cgroup").read_text() != own_groups:
        left.append("our own cgroup: " + pathlib.Path("/proc/self/cgroup").read_text())
    assert not left, left


@pytest.fixture
def reeve(make_reeve):
    return make_reeve()
