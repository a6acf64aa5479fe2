"""One reeve-server on a folder of its own, and a client that keeps its connection."""

import base64
import http.client
import json
import pathlib
import signal
import subprocess
import time
import urllib.parse

from reeve_up import OUT

PROGRAM = OUT / "libexec/reeve/reeve-server"


class Client:
    """Calls the API; (code, subcode, data), or OSError when the server is gone."""

    def __init__(self, endpoint):
        url = urllib.parse.urlsplit(endpoint["api"])
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        pair = f"{endpoint['access_key']}:{endpoint['secret_key']}".encode()
        self.headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        token = self.call("auth.login")[2]["token"]
        self.headers = {"Authorization": "Bearer " + token}

    def send(self, name, body, headers):
        try:
            self.connection.request("POST", "/" + name, body, {**self.headers, **headers})
            answer = json.loads(self.connection.getresponse().read())
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        meta = answer["meta"]
        return meta["result_code"], meta["result_subcode"], answer["data"]

    def call(self, _endpoint, **fields):
        return self.send(_endpoint, json.dumps(fields), {})

    def data(self, _endpoint, **fields):
        code, subcode, data = self.call(_endpoint, **fields)
        assert code == 200, f"{_endpoint}: {code}/{subcode}"
        return data

    def close(self):
        self.connection.close()


class Server:
    def __init__(self, data, *args):
        self.data = pathlib.Path(data)
        self.endpoint_file = self.data.parent / (self.data.name + ".endpoint")
        self.args = list(args)
        self.process = None
        self.endpoint = None

    def start(self, timeout=20):
        self.endpoint_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [PROGRAM, "--data", self.data, "--api-port", "0", "--web-port", "0",
             "--files-port", "0", "--endpoint", self.endpoint_file, "--log-level", "warn",
             *self.args])
        end = time.monotonic() + timeout
        while not self.endpoint_file.exists():
            assert self.process.poll() is None, "reeve-server ended early"
            assert time.monotonic() < end, "reeve-server does not answer"
            time.sleep(0.01)
        self.endpoint = json.loads(self.endpoint_file.read_text())
        return self

    def client(self):
        return Client(self.endpoint)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)
