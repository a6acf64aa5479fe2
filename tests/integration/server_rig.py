"""reeve-server alone, and its API: for tests that need no master."""

import json
import pathlib
import subprocess

import joined
from reeve_up import OUT, PLAIN, Api, wait_until


class Server:
    def __init__(self, data, *args):
        self.data = pathlib.Path(data)
        self.args = args if not PLAIN else ("--no-extensions", *args)
        self.process = None

    def start(self, timeout=20):
        self.data.mkdir(parents=True, exist_ok=True)
        if joined.CONF and not self.args:
            return self._log_in(joined.endpoint())
        endpoint = self.data / "endpoint.json"
        endpoint.unlink(missing_ok=True)
        with open(self.data / "log", "ab") as log:
            self.process = subprocess.Popen(
                [OUT / "libexec" / "reeve" / "reeve-server", "--data", self.data, "--api-port", "0",
                 "--web-port", "0", "--files-port", "0", "--endpoint", endpoint, *self.args],
                stdout=log, stderr=log)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError("no server:\n" + (self.data / "log").read_text())
            return endpoint.exists()

        wait_until(ready, timeout, 0.02, "the server's endpoint")
        return self._log_in(json.loads(endpoint.read_text()))

    def _log_in(self, endpoint):
        self.endpoint = endpoint
        # Other threads go on with the old token, which is still good, until there is a new one.
        api = Api(endpoint["api"], endpoint["access_key"], endpoint["secret_key"])
        api.login()
        self.api = api
        return self

    def stop(self, kill=False):
        if self.process is None:
            return None
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(20)
        self.process = None
        return code

    @property
    def token(self):
        return self.api.token

    def call(self, name, body=None, **how):
        return self.api.send(name, body, **how)

    def task(self, name="task", **fields):
        return self.api("tasks.create", **{"name": name, "type": "service", **fields})["id"]

    def queue(self, name):
        for queue in self.api("queues.get_all", search_hidden=True)["queues"]:
            if queue["name"] == name:
                return queue["id"]
        return self.api("queues.create", name=name)["id"]
