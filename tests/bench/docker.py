"""A dockerd of the bench's own, and an image for clearml-agent: empty but for the folders of this host that it mounts.

What official images spend on apt-get and pip at each start is spared: everything is there (PIP_NO_INDEX).
"""

import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

from rig import Note, descendants, wait_until

ETC = ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "alternatives", "ssl")


class Docker:
    IMAGE = "reeve-bench:latest"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.parent = f"reeve-bench-{os.getpid()}"
        self.socket = f"unix://{self.folder}/sock"
        self.process = None

    # -- life

    def __enter__(self):
        if not shutil.which("dockerd") or not shutil.which("docker"):
            raise Note("no dockerd here (apt-get install docker.io)")
        self.folder.mkdir()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid",
                 "--host", self.socket, "--bridge=none", "--iptables=false", "--cgroup-parent", self.parent],
                stdout=log, stderr=log, start_new_session=True)
        try:
            wait_until(self.answers, 60, 0.2, "dockerd")
            self.run("import", "-", self.IMAGE, input=self.tree())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.SubprocessError):
            self.remove_containers()
        self.process.terminate()
        self.process.wait(60)
        for path in [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]:
            if path.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", path], check=False)
        for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if f"/{self.parent}" in folder:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def answers(self):
        if self.process.poll() is not None:
            raise Note("dockerd does not start: " + (self.folder / "log").read_text()[-300:])
        return subprocess.run(["docker", "version"], env={**os.environ, **self.env()}, capture_output=True).returncode == 0

    def run(self, *args, **options):
        return subprocess.run(["docker", *args], env={**os.environ, **self.env()}, check=True, capture_output=True, timeout=120, **options).stdout

    def remove_containers(self):
        containers = self.run("ps", "-aq", text=True).split()
        if containers:
            self.run("rm", "-f", *containers)

    def pids(self):
        """dockerd, containerd, and of each container its shim and what is in it."""
        found = set(descendants(self.process.pid))
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if f"{self.folder}/exec".encode() in pathlib.Path(f"/proc/{entry}/cmdline").read_bytes():
                    found.update(descendants(int(entry)))
        return found

    # -- what is in it

    @staticmethod
    def tree():
        """A root without programs: those are mounted."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name in ("usr", "etc", "proc", "sys", "dev", "tmp", "root", "var", "var/tmp", "home"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if "tmp" in name else 0o755
                tar.addfile(entry)
            for name in ("bin", "sbin", "lib", "lib64"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
                tar.addfile(entry)
            for name in ETC:
                with contextlib.suppress(OSError):
                    tar.add(f"/etc/{name}", f"etc/{name}")
        return out.getvalue()

    @staticmethod
    def arguments(python):
        base = subprocess.run([python, "-c", "import sys; print(sys.base_prefix)"], check=True, capture_output=True, text=True).stdout.strip()
        # Read-only: the agent's start removes and installs files there.
        mounts = {"/usr", str(python.parents[1]), base}
        return [*(word for path in sorted(mounts) for word in ("-v", f"{path}:{path}:ro")), "--network=host",
                "-e", f"PATH={python.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "-e", "PIP_NO_INDEX=1", "-e", "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL=1"]

    def settings(self, python):
        return f"extra_docker_arguments: {json.dumps(self.arguments(python))}"

    def env(self):
        return {"DOCKER_HOST": self.socket}
