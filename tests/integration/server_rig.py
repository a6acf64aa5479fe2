"""reeve-server alone, and its API: for tests that need no master."""

import base64
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("REEVE_OUT", TOP / "out"))


class ApiError(Exception):
    def __init__(self, meta):
        super().__init__(f"{meta['result_code']}/{meta['result_subcode']} {meta['result_msg']}")
        self.code = meta["result_code"]
        self.subcode = meta["result_subcode"]


class Server:
    def __init__(self, data, *args):
        self.data = pathlib.Path(data)
        self.args = args
        self.process = None

    def start(self, timeout=20):
        self.data.mkdir(parents=True, exist_ok=True)
        endpoint = self.data / "endpoint.json"
        endpoint.unlink(missing_ok=True)
        with open(self.data / "log", "ab") as log:
            self.process = subprocess.Popen(
                [OUT / "libexec" / "reeve" / "reeve-server", "--data", self.data, "--api-port", "0",
                 "--web-port", "0", "--files-port", "0", "--endpoint", endpoint, *self.args],
                stdout=log, stderr=log)
        end = time.monotonic() + timeout
        while not endpoint.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError("no server:\n" + (self.data / "log").read_text())
            time.sleep(0.02)
        self.endpoint = json.loads(endpoint.read_text())
        self.token = self.login()
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

    def login(self):
        keys = f"{self.endpoint['access_key']}:{self.endpoint['secret_key']}".encode()
        return self.call("auth.login", authorization="Basic " + base64.b64encode(keys).decode())["token"]

    def call(self, name, body=None, lines=None, authorization=None, headers=()):
        data = json.dumps(body or {}) if lines is None else "\n".join(map(json.dumps, lines))
        request = urllib.request.Request(
            f"{self.endpoint['api']}/{name}", data=data.encode(),
            headers={"Authorization": authorization or f"Bearer {self.token}",
                     "Content-Type": "application/json" if lines is None else "application/json-lines",
                     **dict(headers)})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise ApiError(json.load(error)["meta"]) from None

    def task(self, name="task", **fields):
        return self.call("tasks.create", {"name": name, "type": "service", **fields})["id"]

    def queue(self, name):
        for queue in self.call("queues.get_all", {"search_hidden": True})["queues"]:
            if queue["name"] == name:
                return queue["id"]
        return self.call("queues.create", {"name": name})["id"]
