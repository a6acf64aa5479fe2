"""An agent of one's choice, as a daemon on queues or for one task: the same flows run with each.

`reeve` is this prefix's `reeve daemon`, `official` is `clearml-agent` from PyPI; any other word is a command that
takes clearml-agent's command line, and is expected to do as clearml-agent does.
"""

import json
import os
import pathlib
import shlex
import signal
import subprocess
import textwrap
import uuid

from reeve_up import FAST, OUT, SLOW, wait_until

import differences
import servers
import versions

SETTINGS = """
agent {{
    worker_name: "{name}"
    worker_id: "{name}"
    venvs_dir: "{home}/venvs"
    venvs_cache {{ path: "{home}/venvs-cache", max_entries: 0 }}
    vcs_cache {{ enabled: true, path: "{home}/vcs" }}
    pip_download_cache {{ enabled: true, path: "{pip}" }}
    disable_agent_update_check: true
    reeve.cgroup_root: "reeve-{name}"
}}
"""


class Agent:
    """kind: reeve or official, which of the two expectations hold where they differ."""

    def __init__(self, word, server, folder, environments=False):
        """environments: it makes a virtual environment for each task, with the task's requirements."""
        self.kind = "reeve" if word == "reeve" else "official"
        self.server = server
        self.home = pathlib.Path(folder)
        self.home.mkdir(parents=True, exist_ok=True)
        self.name = f"compat-{uuid.uuid4().hex[:12]}"
        self.queues = []
        self.process = None
        self.log = self.home / "agent.log"
        self.conf = self.home / "agent.conf"
        self.conf.write_text(server.conf.read_text() + SETTINGS.format(
            name=self.name, home=self.home, pip=versions.VENVS / "pip-cache"))
        self.command = self.command_of(word)
        # Payloads find the SDK there, as on the host of somebody who uses it.
        self.python = versions.python_of(versions.NEWEST)
        self.env = servers.clean_environment(
            self.conf, self.home, PATH=f"{self.python.parent}:{os.environ['PATH']}", PYTHONUNBUFFERED="1",
            COMPAT_OWN="of the agent's host")
        if self.kind == "reeve":
            self.env.update(FAST, REEVE_STATE_DIR=str(self.home / "state"),
                            REEVE_RUN_DIR=str(self.home / "run"))
        else:
            # How often it looks at queues, at the task's status and at its output.
            self.env["CLEARML_AGENT_QUEUE_POLL_FREQ_SEC"] = "0.5"
            if not environments:
                self.env["CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL"] = "1"

    @staticmethod
    def command_of(word):
        if word == "reeve":
            return [str(OUT / "bin" / "reeve")]
        if word == "official":
            return [str(versions.agent_python().parent / "clearml-agent")]
        return shlex.split(word)

    def run(self, *args, timeout=300, **options):
        """Its command line to the end."""
        return subprocess.run([*self.command, *args], env=self.env, cwd=self.home, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout * SLOW,
                              **options)

    # -- the daemon

    def add_queues(self, *names):
        """Its own, the first has priority."""
        self.queues = names
        for name in names:
            self.server.api("queues.create", name=name)
        return self

    def start(self):
        """Serves its queues; returns when the server knows it."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "daemon", "--queue", *self.queues, "--foreground"], env=self.env,
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.worker, 120, what=f"the worker {self.name}")
        return self

    def worker(self):
        """Of the daemon itself, as the server has it."""
        if self.process.poll() is not None:
            raise AssertionError(f"the agent ended early:\n{self.log.read_text()[-5000:]}")
        return next((w for w in self.workers() if w["id"] == self.name), None)

    def workers(self):
        """Those of the daemon and of what it runs."""
        found = self.server.api("workers.get_all", last_seen=0)["workers"]
        return [w for w in found if w["id"].startswith(self.name)]

    def stop(self):
        """Ends it, with what it runs; a list of what is wrong with that."""
        if not self.process or self.process.poll() is not None:
            return []
        if self.kind == "reeve":
            self.run("daemon", "--stop", "--on-exit", "stop")
        else:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(120 * SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return [f"{self.name} does not end:\n{self.log.read_text()[-5000:]}"]
        return []

    # -- tasks

    def create(self, text, script=None, **fields):
        """A draft whose whole code is this text, unless script says otherwise."""
        whole = {"binary": "python3", "entry_point": "main.py", "working_dir": ".", "diff": text}
        return self.server.api("tasks.create", name="agent flow", type="training",
                               script={**whole, **(script or {})}, **fields)["id"]

    def enqueue(self, task, queue=None):
        self.server.api("tasks.enqueue", task=task, queue_name=queue or self.queues[0])

    def submit(self, text, **fields):
        task = self.create(text, **fields)
        self.enqueue(task)
        return task

    def document(self, task):
        return self.server.api("tasks.get_by_id", task=task)["task"]

    def wait_status(self, task, *statuses, timeout=180):
        """The document once it has one of these; its log otherwise."""
        final = ("completed", "failed", "stopped")

        def there():
            document = self.document(task)
            return document if document["status"] in (*statuses, *final) else None

        document = wait_until(there, timeout, what=f"status {statuses} of {task}")
        assert document["status"] in statuses, \
            f"{document['status']}: {document['status_message']}\n{self.console(task)[-5000:]}"
        return document

    def finish(self, task, *statuses, timeout=180):
        """The same, once the last line of its log is there, too."""
        document = self.wait_status(task, *statuses or ("completed",), timeout=timeout)
        ends = ("Process completed successfully", "Process failed, exit code", "Process aborted by user")
        wait_until(lambda: any(end in self.console(task) for end in ends), 60, what="the end of its log")
        return document

    def console(self, task, glue="\n"):
        """What the server has of its output, in the server's order, each event from a new line on."""
        events = self.server.api("events.get_task_log", task=task, order="asc", batch_size=5000)["events"]
        return "".join(event["msg"] if event["msg"].endswith("\n") else event["msg"] + glue
                       for event in events)

    def text(self, task):
        """The same as it came: a line may stand in two events."""
        return self.console(task, glue="")

    def lines(self, task):
        return self.console(task).splitlines()

    def differs(self, name, seen):
        """Where the two agents differ, each does what the list says, and nothing else."""
        expected = differences.OF_AGENTS[name][self.kind]
        assert seen == expected, f"{name}: {seen!r}, listed is {expected!r}"

    def differs_at_times(self, name, seen):
        """Where a difference does not show each time."""
        assert seen in differences.AT_TIMES[name][self.kind], (name, seen)


def code(text):
    return textwrap.dedent(text).lstrip()


def last_json(text):
    """The JSON object that a payload printed as a line of its own."""
    found = [line for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    assert found, text
    return json.loads(found[-1])
