"""REEVE_TEST_SERVER=clearml.conf: the tests of the master run on that server, ClearML's own for one.

It has to be a server for tests: nobody else may serve its queue `services`, and what the tests make
stays there. Tests of the embedded server, or of `reeve up` itself, make no sense there.

    REEVE_TEST_SERVER=clearml.conf pytest tests/integration/test_{main_job,many,master_faults,quota_restart_stop}.py
"""

import json
import os
import pathlib
import re
import subprocess
import uuid

import reeve_up

CONF = os.environ.get("REEVE_TEST_SERVER")
NAMES = {"api": "api_server", "web": "web_server", "files": "files_server",
         "access_key": "access_key", "secret_key": "secret_key"}


def endpoint():
    """As the server's --endpoint file would have it."""
    text = pathlib.Path(CONF).read_text()
    return {name: re.search(rf'\b{word}"?\s*[:=]\s*"([^"]+)"', text)[1] for name, word in NAMES.items()}


class Reeve(reeve_up.Reeve):
    """A master, as `reeve up` would have started it, on a server that is there."""

    def start(self, timeout=30):
        self.endpoint = endpoint()
        self.api = reeve_up.Api(self.endpoint["api"], self.endpoint["access_key"],
                                self.endpoint["secret_key"])
        self.data.mkdir(exist_ok=True)
        (self.data / "endpoint.json").write_text(json.dumps(self.endpoint))
        self.group = self.group or f"reeve-{uuid.uuid4().hex[:8]}"
        ready, tell = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self._command(), "--ready-fd", str(tell)], stdout=log, stderr=log,
                                            env=self._master_env(), pass_fds=(tell,), start_new_session=True)
        os.close(tell)
        with os.fdopen(ready, "rb") as told:
            assert told.read(1), f"reeved ended early:\n{self.log.read_text()}"
        reeve_up.wait_until(self.queues_are_there, timeout, what="the master's queues")
        return self

    def _command(self):
        queues = [] if "--queue" in self.args else ["--queue", "services"]
        return [reeve_up.OUT / "sbin" / "reeved", "--state-dir", self.data / "state",
                "--run-dir", self.data / "run", "--worker-id", self.group, "--cgroup-root", self.group,
                "--on-exit", "stop", "--polling-interval", "0.2", *queues, "--create-queue",
                *self.args]

    def _master_env(self):
        keys = {f"CLEARML_API_{name.upper()}": self.endpoint[name] for name in ("access_key", "secret_key")}
        hosts = {f"CLEARML_{name.upper()}_HOST": self.endpoint[name] for name in ("api", "web", "files")}
        return {**self.env, **keys, **hosts}
