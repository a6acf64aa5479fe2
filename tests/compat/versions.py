"""The SDK versions that the flows run with, each in a virtual environment from PyPI.

NEWEST and FLOOR are pinned, so that a run says the same tomorrow. The floor is the oldest 1.x that
works with Debian 12's Python: those before it carry a regular expression that Python 3.11 refuses.
"""

import fcntl
import os
import pathlib
import subprocess
import sys

from reeve_up import TOP

NEWEST = "2.1.12"
AGENT = "3.0.3"  # of clearml-agent
FLOOR = "1.3.2"
WORDS = {"newest": NEWEST, "floor": FLOOR}
VENVS = pathlib.Path(os.environ.get("REEVE_COMPAT_VENVS", TOP / "build" / "compat"))
# What flows hand to the SDK: arrays, images, tables.
PACKAGES = ("numpy<2.3", "pillow<12", "pandas<3")
# 1.x of 2022 wants pkg_resources, and libraries as they were then.
OLD = ("setuptools<81", "pyjwt<2.9", "numpy<2", "pyparsing<3.1", "urllib3<2")


def requirements(version):
    old = int(version.split(".")[0]) < 2
    return [f"clearml=={version}", *PACKAGES, *(OLD if old else ())]


def python_of(version):
    """The interpreter of that version's environment, which is made if it is not there."""
    folder = VENVS / version
    return venv(folder, requirements(version))


def agent_python():
    """The interpreter of an environment that has clearml-agent, and the SDK: a task without an
    environment of its own runs with the agent's."""
    return venv(VENVS / f"agent-{AGENT}", [f"clearml-agent=={AGENT}", f"clearml=={NEWEST}"])


def venv(folder, packages):
    """The interpreter of an environment with these packages; made once, whoever asks first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    stamp = folder / "packages"
    wanted = "\n".join([sys.version, *packages])
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            run(sys.executable, "-m", "venv", "--clear", folder)
            run(folder / "bin" / "pip", "install", "--disable-pip-version-check", "--retries", "10", "-q", *packages)
            stamp.write_text(wanted)
    return folder / "bin" / "python"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
