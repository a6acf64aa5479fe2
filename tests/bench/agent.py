"""clearml-agent in services mode beside reeve: the same Python service, on the same server, one agent after the other.

As operators run it: `daemon --services-mode --queue Q --foreground`, its intervals left alone, in whole seconds. Of what it
could do, it is spared the environment: a task runs with the interpreter that is there (CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL).
With --docker each service has its container, of an image that is made here from this host's own programs (docker.py).
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from rig import Host, Note, cpu_seconds, descendants, end, first_line, memory, percentile, row, wait_until
from docker import Docker
import versions  # of tests/compat

SETTINGS = """
agent {{
    worker_name: "{name}"
    worker_id: "{name}"
    venvs_dir: "{home}/venvs"
    venvs_cache {{ path: "{home}/venvs-cache", max_entries: 0 }}
    vcs_cache {{ enabled: true, path: "{home}/vcs" }}
    disable_agent_update_check: true
    {more}
}}
"""
SERVICE = """import time
print()
print(f"at={time.time()}", flush=True)
while True:
    time.sleep(1000)
"""
SCRIPT = {"binary": "python3", "entry_point": "main.py", "working_dir": ".", "diff": SERVICE}
# What it prints is over with it.
LINES = 50_000
PRINTER = {**SCRIPT, "diff": f"""import time
print()
print(f"at={{time.time()}}", flush=True)
for i in range(1, {LINES} + 1):
    print(i)
print("over")
"""}


class Official:
    """kind: "process" or a docker.Docker."""

    def __init__(self, reeve, home, docker=None):
        self.reeve = reeve
        self.home = pathlib.Path(home)
        self.home.mkdir()
        self.docker = docker
        self.queue = "docker" if docker else "process"
        reeve.call("queues.create", name=self.queue)
        self.log = self.home / "log"
        self.process = None
        python = versions.agent_python()
        conf = self.home / "agent.conf"
        conf.write_text((reeve.data / "clearml.conf").read_text() + SETTINGS.format(
            name=f"bench-{self.queue}", home=self.home, more=docker.settings(python) if docker else ""))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CLEARML_", "TRAINS_", "PYTHON"))}
        self.env = {**kept, "CLEARML_CONFIG_FILE": str(conf), "HOME": str(self.home), "PYTHONUNBUFFERED": "1",
                    "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
                    "PATH": f"{python.parent}:{os.environ['PATH']}", **(docker.env() if docker else {})}
        self.command = [python.parent / "clearml-agent", "daemon", "--services-mode", "--queue", self.queue, "--foreground",
                        *(["--docker", docker.IMAGE] if docker else [])]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        wait_until(self.is_known, 120, 0.5, "clearml-agent as a worker")
        return self

    def is_known(self):
        if self.process.poll() is not None:
            raise Note("clearml-agent ended early: " + self.log.read_text()[-500:])
        return any(w["id"].startswith(f"bench-{self.queue}") for w in self.reeve.call("workers.get_all", last_seen=0)["workers"])

    def pids(self):
        """Of it and of what it has started. What runs a service is in a session of the agent's, or in a container."""
        mine = set(descendants(self.process.pid))
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if b"HOME=" + str(self.home).encode() + b"\0" in pathlib.Path(f"/proc/{entry}/environ").read_bytes():
                    mine.add(int(entry))
        return mine | (self.docker.pids() if self.docker else set())

    def payloads(self):
        """The services' own processes: those that run a file."""
        found = set()
        for pid in self.pids():
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if any(word.endswith(b"main.py") for word in words[1:3]):
                    found.add(pid)
        return found

    def own(self):
        return self.pids() - self.payloads()

    def stop(self):
        everything = self.pids()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        if self.docker:
            self.docker.remove_containers()
        everything |= self.pids()
        end_at = time.monotonic() + 10
        while time.monotonic() < end_at and self.process.poll() is None:
            time.sleep(0.2)
        for pid in everything - (self.docker.pids() if self.docker else set()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)


class Figures:
    """Of one agent with a few services."""

    def __init__(self, reeve, agent, options, count, tries=1):
        self.reeve = reeve
        self.tries = tries
        self.agent = agent
        self.count = count
        self.seconds = 5 if options.quick else 20

    def measure(self):
        """A dict: daemon (MB), first (ms), line (ms), starts (1/s, if there are two), memory (kB), cpu (% of a core, each), lines (1/s)."""
        daemon = sum(map(memory, self.agent.own())) / 1e6
        tries = [self.launch_one() for _ in range(self.tries)]
        first, line = (percentile(values, 50) for values in zip(*tries))
        before = sum(map(memory, self.agent.own()))
        starts = self.launch_all()
        grown = sum(map(memory, self.agent.own())) - before
        return {"daemon": daemon, "first": 1000 * first, "line": 1000 * line, "starts": starts, "memory": grown / self.count / 1e3,
                "cpu": self.cpu() / (self.count + self.tries), "lines": self.lines()}

    def enqueue(self, count, script=SCRIPT):
        tasks = self.reeve.make(script, count)
        begin = time.time()
        self.reeve.enqueue(tasks, self.agent.queue)
        return tasks, begin

    def told(self, task):
        return first_line(self.reeve, task, "\nat=", 180, 0.02)

    def launch_one(self):
        (task,), begin = self.enqueue(1)
        seen, text = self.told(task)
        return float(text.rpartition("\nat=")[2].split()[0]) - begin, seen - begin

    def lines(self):
        """A second, of one service, from its first instruction until the last can be read; none of them may be missing."""
        (task,), _ = self.enqueue(1, PRINTER)
        _, text = self.told(task)
        begin = float(text.rpartition("\nat=")[2].split()[0])
        wait_until(lambda: "over" in self.reeve.client.data("events.get_task_log", task=task, batch_size=1, order="desc",
                                                             navigate_earlier=True)["events"][0]["msg"].splitlines()
                   or self.reeve.count([task], "completed", "failed"), 180, 0.02, "the last line")
        seen = time.time()
        wait_until(lambda: self.reeve.count([task], "completed", "failed"), 60, 0.2, "the end of the task")
        got = [int(line) for line in self.reeve.text(task).splitlines() if line.isdigit()]
        if got != list(range(1, LINES + 1)):
            raise Note(f"{len(got)} of {LINES} lines are there, or not in order")
        return LINES / (seen - begin)

    def launch_all(self):
        """Starts a second, of a queue that never runs dry; None of a single one."""
        tasks, _ = self.enqueue(self.count)
        times = sorted(float(self.told(task)[1].rpartition("\nat=")[2].split()[0]) for task in tasks)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None

    def cpu(self):
        pids = self.agent.own()
        before = sum(map(cpu_seconds, pids))
        time.sleep(self.seconds)
        return 100 * (sum(map(cpu_seconds, pids)) - before) / self.seconds


class Ours:
    """The same questions of reeve's master."""

    def __init__(self, reeve):
        self.reeve = reeve
        self.queue = "services"

    def own(self):
        return set(self.reeve.pids("reeved", "reeve-subagent"))


def beside(reeve, home, options, docker):
    agent = Official(reeve, home, docker)
    try:
        # A start in a container takes half a minute.
        return Figures(reeve, agent.start(), options, 1 if options.quick else 2 if docker else 4).measure()
    finally:
        agent.stop()


def in_containers(reeve, folder, options):
    """The same with containers, and why there is none of it."""
    if not options.docker:
        return {}, "docker mode was not asked for"
    try:
        with Docker(folder / "docker") as docker:
            return beside(reeve, folder / "agent", options, docker), ""
    except (Note, AssertionError, OSError, subprocess.SubprocessError) as error:
        return {}, f"no figures in docker mode: {str(error)[:300]}"


def rows(ours, process, containers, why):
    def line(what, key, unit, reach=None, **more):
        return row(what, reach, ours[key], unit, process[key], containers.get(key), **more)
    yield line("idle daemon, PSS", "daemon", "MB", note=why)
    yield line("one Python service: enqueue to its first instruction", "first", "ms")
    yield line("one Python service: enqueue to its first line on the server", "line", "ms")
    if process["starts"]:
        yield line("starts of Python services, one after the other", "starts", "1/s", less_is_better=False)
    yield line("supervisor PSS per Python service", "memory", "kB")
    yield line("CPU per idle Python service", "cpu", "% of a core")
    yield line("log lines of one Python service", "lines", "1/s", less_is_better=False)
    for what, key in (("less memory than clearml-agent", "memory"), ("sooner at the first instruction than clearml-agent", "first")):
        yield row(f"times {what}", 500, process[key] / ours[key], "", less_is_better=False)


def measure(options):
    with tempfile.TemporaryDirectory(prefix="reeve-bench-", ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        reeve = Host(folder)
        # The same interpreter for all.
        reeve.env["PATH"] = f"{versions.agent_python().parent}:{os.environ['PATH']}"
        try:
            reeve.start()
            ours = Figures(reeve, Ours(reeve), options, 10 if options.quick else 50, 5).measure()
            process = beside(reeve, folder / "process", options, None)
            containers, why = in_containers(reeve, folder, options)
        finally:
            left = end(reeve)
    if left:
        raise Note("left behind: " + "; ".join(left)[:500])
    options.peers = {"agent": process, "docker": containers}
    yield from rows(ours, process, containers, why)
