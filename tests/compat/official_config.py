"""What clearml-agent makes of home folders and environments, for a Python that has it: cases as JSON on standard input,
{name: {"files", "env"}}, and {name: configuration} on standard output. HOME names an empty folder."""
import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from clearml_agent.session import Session

import hocon_official

HOME = Path(os.environ["HOME"])


def load(env, out):
    """In a child, since what it reads of the environment it keeps."""
    os.environ.update(env)
    with contextlib.redirect_stdout(sys.stderr):
        config = Session(only_load_config=True).config.to_dict()
    out.write_text(json.dumps(hocon_official.plain(config)))


def answer(case):
    out = HOME.parent / "answer.json"
    out.unlink(missing_ok=True)  # of the case before, or what fails would seem to have its answer
    for path, text in case["files"].items():
        (HOME / path).parent.mkdir(parents=True, exist_ok=True)
        (HOME / path).write_text(text)
    child = os.fork()
    if child == 0:
        try:
            load(case["env"], out)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    shutil.rmtree(HOME)
    HOME.mkdir()
    return json.loads(out.read_text())


if __name__ == "__main__":
    json.dump({name: answer(case) for name, case in json.load(sys.stdin).items()}, sys.stdout)
