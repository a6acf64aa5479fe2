"""A rig whose disks and programs fail as a test wants it; what all tests of faults of the environment share."""

import errno
import os
import pathlib
import subprocess

import pytest

from faulty_api import Rig
from injector import Injector
from invariants import Finals, Job, check_nothing_left

WAITS = {f"CLEARML_AGENT__AGENT__REEVE__WAITS__{name}": value for name, value in {
    "POLL": "100ms", "AGENT": "2s", "SETTLE": "500ms", "FLUSH": "20ms", "LINGER": "200ms",
    "BACKOFF_MAX": "500ms"}.items()}


class Disk:
    """A small file system of its own at a folder: filled, and freed again."""

    def __init__(self, folder, size="2m", options=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700{options}", "reeve-test",
                        self.folder], check=True)

    def fill(self):
        """To the last byte, and again if something was freed meanwhile."""
        with open(self.folder / "filler", "ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while filler.write(b"x" * size):
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def free(self):
        (self.folder / "filler").unlink()

    def full(self):
        found = os.statvfs(self.folder)
        return found.f_bfree == 0

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class World(Rig):
    """A server, a proxy that sees which final statuses it took, and a master with short waits."""

    def __init__(self, folder, *server, disks=(), env=None, **proxy):
        """disks: (folder below ours, size) of file systems that are there before anything starts."""
        self.disks = {name: Disk(folder / name, size) for name, size in disks}
        self.jobs = []
        super().__init__(folder, *server, env={**WAITS, **(env or {})}, **proxy)
        self.finals = Finals(self.proxy)

    def job(self, **how):
        self.jobs.append(Job(self, self.folder / f"job-{len(self.jobs)}", **how))
        return self.jobs[-1]

    def check(self):
        """All jobs to their ends, nothing left."""
        for job in self.jobs:
            job.let_go()
        for job in self.jobs:
            job.check()
        self.check_nothing_left()

    def check_nothing_left(self):
        check_nothing_left(self.master)

    def fail_server(self, *options):
        return Injector(self.folder / "server.report", self.server.process.pid, "--thread", "all", "--times", "0", *options)

    def fail_master(self, *options):
        return Injector(self.folder / "master.report", self.master.process.pid, "--thread", "all", "--times", "0", *options)

    def fail_agents(self, *options):
        """One for each sub-agent."""
        return [Injector(self.folder / f"agent-{pid}.report", pid, "--times", "0", *options)
                for pid in self.master.sub_agents()]

    def log(self):
        return self.master.log.read_text()

    def close(self):
        try:
            super().close()
        finally:
            for disk in self.disks.values():
                disk.close()


@pytest.fixture
def make_world(tmp_path):
    made = []

    def make(*server, **options):
        made.append(World(tmp_path, *server, **options))
        return made[-1]
    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world):
    return make_world()
