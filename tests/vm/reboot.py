"""One boot of tests/vm/reboot.sh: `first` ends in `systemctl reboot`, `second` looks at what became of its tasks and ends
in a crash, `third` looks again."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from reeve_up import OUT, Api, alive, clean_environment, wait_until

DATA = pathlib.Path("/var/tmp/reeve-reboot")
UNITS = pathlib.Path("/etc/systemd/system")
# On the VM's disk, as all below DATA.
STATE = DATA / "state"

# Goes last, so that what ends with the host is told.
SERVER = f"""[Unit]
Before=reeved.service
RequiresMountsFor={DATA}
[Service]
ExecStart={OUT}/libexec/reeve/reeve-server --data {DATA}/server --endpoint {DATA}/endpoint.json \
 --api-port 18008 --web-port 18080 --files-port 18081
"""


def say(text):
    print(f"[{time.monotonic():.0f}] {text}", flush=True)


def systemctl(*args):
    return subprocess.run(["systemctl", *args], check=True, capture_output=True, text=True).stdout.strip()


def main_pid():
    return int(systemctl("show", "--property=MainPID", "--value", "reeved"))


def install():
    """The units; the server started and its endpoint."""
    DATA.mkdir(exist_ok=True)
    (UNITS / "reeve-test-server.service").write_text(SERVER)
    shutil.copy(OUT / "lib/systemd/system/reeved.service", UNITS)
    systemctl("daemon-reload")
    systemctl("start", "reeve-test-server")
    wait_until((DATA / "endpoint.json").exists, what="the server")
    endpoint = json.loads((DATA / "endpoint.json").read_text())
    settings = {"CLEARML_API_HOST": endpoint["api"], "CLEARML_WEB_HOST": endpoint["web"],
                "CLEARML_FILES_HOST": endpoint["files"],
                "CLEARML_API_ACCESS_KEY": endpoint["access_key"],
                "CLEARML_API_SECRET_KEY": endpoint["secret_key"], "CLEARML_CONFIG_FILE": "/dev/null"}
    drop_in = UNITS / "reeved.service.d" / "test.conf"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text("[Service]\n" + "".join(
        f'Environment="{k}={v}"\n' for k, v in
        {**settings, "REEVED_OPTIONS": f"--queue services --state-dir {STATE}"}.items()))
    systemctl("daemon-reload")
    return Host(Api(endpoint["api"], endpoint["access_key"], endpoint["secret_key"]), settings)


class Host:
    def __init__(self, api, settings):
        self.api = api
        self.env = clean_environment(**settings)

    def reeve(self, *args):
        done = subprocess.run([OUT / "bin/reeve", *args], env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout.strip()

    def submit(self, script, *options):
        return self.reeve("submit", *options, "--", "sh", "-c", script)

    def task(self, task):
        return self.api("tasks.get_by_id", task=task)["task"]

    def text(self, task):
        return "".join(e["msg"] for e in self.api("events.get_task_log", task=task, batch_size=5000,
                                                  order="asc", navigate_earlier=False)["events"])

    def numbers(self, task):
        return [int(n) for n in re.findall(r"^line (\d+)$", self.text(task), re.M)]

    def row(self, task):
        return next(r for r in json.loads(self.reeve("ps", "--json")) if r["id"] == task)


def first():
    host = install()
    systemctl("enable", "--now", "reeved")
    say("reeved is enabled and started")
    counted = f"echo x >> {STATE}/count; sync; echo line $(wc -l < {STATE}/count)"
    loop = "while :; do sleep 0.5; done"
    stays = host.submit(f"{counted}; trap 'echo line 9; exit 0' TERM; {loop}", "--restart", "unless-stopped",
                        "--memory", "64m")
    ends = host.submit(f"echo line 5; {loop}")
    done = host.submit("echo line 7")
    for task, line in ((stays, 1), (ends, 5), (done, 7)):
        wait_until(lambda: host.numbers(task) == [line], what=f"line {line}")
    pids = [host.row(task)["pid"] for task in (stays, ends)]
    say("tasks run")
    systemctl("restart", "reeved")
    killed = main_pid()
    os.kill(killed, signal.SIGKILL)
    # Active once it says that it serves.
    wait_until(lambda: main_pid() not in (0, killed) and
               systemctl("show", "--property=ActiveState", "--value", "reeved") == "active",
               what="systemd's restart of it")
    wait_until(lambda: [host.row(t)["pid"] for t in (stays, ends)] == pids, what="the adopted tasks")
    say("restarted and killed")
    before, begun = main_pid(), time.monotonic()
    systemctl("reload", "reeved")
    assert main_pid() == before and all(map(alive, pids))
    uptime = json.loads(host.reeve("status", "--json"))["uptime_s"]
    assert uptime < time.monotonic() - begun, "no other program serves"
    assert [host.row(t)["pid"] for t in (stays, ends)] == pids
    say("upgraded in place")
    assert host.numbers(stays) == [1] and host.numbers(ends) == [5]
    (DATA / "tasks.json").write_text(json.dumps([stays, ends, done]))
    end("systemctl", "reboot")


def end(*command):
    """Ends the boot. What the rig asks for when the machine is off comes first."""
    pathlib.Path("/run/reeve-vm/status").write_text("0\n")
    subprocess.run(command, check=True)
    signal.pause()


def second():
    stays, ends, done = json.loads((DATA / "tasks.json").read_text())
    host = install()
    text = host.text(stays)
    assert host.task(stays)["status"] == "in_progress", host.task(stays)["status_reason"]
    assert host.numbers(stays) in ([1, 9], [1]), text
    begun = time.monotonic()
    systemctl("enable", "--now", "reeved")
    wait_until(lambda: host.task(ends)["status"] == "failed", what="the end of what is not restarted")
    wait_until(lambda: 2 in host.numbers(stays), what="the next attempt")
    assert host.numbers(stays) == [1, 9, 2], host.text(stays)
    say(f"both were told {time.monotonic() - begun:.1f} s after the start")
    assert host.task(ends)["status_reason"] == "host-reboot"
    assert "host-reboot" in host.text(stays)
    assert host.numbers(ends) == [5] and host.numbers(done) == [7]
    assert host.task(done)["status"] == "completed"
    assert host.row(stays)["attempt"] == 2
    assert json.loads(host.reeve("ps", "--json"))[0]["memory_limit"] == 64 << 20
    ends = host.submit("echo line 6; while :; do sleep 0.5; done")
    wait_until(lambda: host.numbers(ends) == [6], what="line 6")
    (DATA / "tasks.json").write_text(json.dumps([stays, ends, done]))
    # Of the disk's writes those are done that were waited for.
    os.sync()
    say("crashing")
    end("sh", "-c", "echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger")


def third():
    stays, ends, done = json.loads((DATA / "tasks.json").read_text())
    host = install()
    assert {host.task(task)["status"] for task in (stays, ends)} == {"in_progress"}
    systemctl("enable", "--now", "reeved")
    wait_until(lambda: host.task(ends)["status"] == "failed", what="the end of what is not restarted")
    wait_until(lambda: 3 in host.numbers(stays), what="the next attempt")
    # Nobody was told to end.
    assert host.numbers(stays) == [1, 9, 2, 3], host.text(stays)
    assert host.task(ends)["status_reason"] == "host-reboot"
    assert host.numbers(ends) == [6] and host.numbers(done) == [7]
    assert host.task(done)["status"] == "completed"
    assert host.row(stays)["attempt"] == 3
    host.reeve("stop", stays)
    wait_until(lambda: host.task(stays)["status"] == "stopped", what="its end")
    assert host.numbers(stays) == [1, 9, 2, 3, 9]
    say("all is as it should be")


if __name__ == "__main__":
    {"first": first, "second": second, "third": third}[sys.argv[1]]()
