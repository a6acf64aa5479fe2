"""The server that the flows talk to: an embedded one of this session, or whichever a clearml.conf names."""

import json
import os
import pathlib
import subprocess

from reeve_up import Api, Reeve

import calls
import versions

# Flushes of 2.x take 5 to 10 s each while a process of its own does the reporting.
# Task.init's thread that looks at the checkout and Task.init itself may each make a lock of the task's file
# (Task._edit_lock, 2.1.12), and then wait for each other for ever: seen on a busy host.
SETTINGS = """
sdk.development.report_use_subprocess: false
sdk.development.vcs_repo_detect_async: false
sdk.development.worker.report_period_sec: 1
sdk.storage.cache.default_base_dir: "{home}/cache"
"""
# What the SDK itself makes of a clearml.conf.
READ_CONF = """
import json
from clearml.backend_api import Session
session = Session()
print(json.dumps([session.get_api_server_host(), session.access_key, session.secret_key]))
"""


def clean_environment(conf, home, **more):
    """Of ClearML's own variables there is none but the one that names the configuration, and no git hook's. A
    proxy, by which packages may come, is not asked for what is on this host."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("CLEARML_", "TRAINS_", "REEVE_DATA", "PYTHONPATH", "GIT_"))}
    direct = ",".join(filter(None, (env.get("no_proxy") or env.get("NO_PROXY"), "127.0.0.1")))
    env.update(CLEARML_CONFIG_FILE=str(conf), HOME=str(home), no_proxy=direct, NO_PROXY=direct, **more)
    return env


class Server:
    """conf: a clearml.conf for the SDK; api: calls with the same keys; is_embedded: ours, and what
    clients call of it is in the log `calls`."""

    is_embedded = False
    reeve = None
    calls = None

    def __init__(self, folder, text):
        self.home = pathlib.Path(folder)
        self.home.mkdir(parents=True, exist_ok=True)
        self.conf = self.home / "clearml.conf"
        self.conf.write_text(text + SETTINGS.format(home=self.home))

    def stop(self):
        """What a test of it should not have left behind, a list of words."""
        return []


class GivenServer(Server):
    def __init__(self, folder, conf):
        super().__init__(folder, pathlib.Path(conf).read_text())
        found = subprocess.run([versions.python_of(versions.NEWEST), "-c", READ_CONF],
                               env=clean_environment(self.conf, self.home), capture_output=True,
                               text=True, timeout=120, check=True)
        self.api = Api(*json.loads(found.stdout.splitlines()[-1]))


class EmbeddedServer(Server):
    """A `reeve up` whose tasks find that version of the SDK, as on the host of somebody who has it."""

    is_embedded = True

    def __init__(self, folder, version):
        python = versions.python_of(version)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = f"{python.parent}:{os.environ['PATH']}"
        env = clean_environment("", folder, PATH=path)
        del env["CLEARML_CONFIG_FILE"]
        # The tasks' SDK reports as that of the flows does.
        settings = folder / "tasks.conf"
        settings.write_text(SETTINGS.format(home=folder))
        self.calls = calls.CallLog(folder / "calls")
        self.reeve = Reeve(folder / "data", "--queue", "services", "--queue", "default",
                           "--queue", "steps", "--config", settings,
                           "--call-log", self.calls.path, env=env)
        self.reeve.start(60)
        self.api = self.reeve.api
        super().__init__(folder, (self.reeve.data / "clearml.conf").read_text())

    def stop(self):
        return self.reeve.end()
