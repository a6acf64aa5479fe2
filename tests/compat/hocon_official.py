"""The official agent's own reader of clearml.conf, for a Python that has clearml-agent: a list of cases
as JSON on standard input, a list of answers on standard output.

A case is {"files": {name: text}, "env": {name: value}}; "main.conf" is read. The answer is what it says, or
{"!": why} where the reader refuses it or makes something that no JSON has (a period of time, an object's address)."""
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path


PATIENCE = 5  # seconds of its own time; some texts make it run for ever


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong()


def plain(value):
    """Without what only its printing would show: keys that are numbers, classes of its own."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if type(value).__name__ == "NoneValue":
        return None
    if isinstance(value, str) and " object at 0x" in value:
        raise TypeError("an address")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(type(value).__name__)


def read(case, folder):
    from clearml_agent.external.pyhocon import ConfigFactory
    for name, text in case["files"].items():
        # newline="": the text has its own ends of lines.
        with open(folder / name, "w", encoding="utf-8", newline="") as f:
            f.write(text)
    os.environ.update(case.get("env", {}))
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        return plain(ConfigFactory.parse_file(str(folder / "main.conf")).as_plain_ordered_dict())
    except Exception as e:
        return {"!": type(e).__name__}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        for name in case.get("env", {}):
            del os.environ[name]
        for name in case["files"]:
            (folder / name).unlink()


logging.disable(logging.CRITICAL)
signal.signal(signal.SIGVTALRM, too_long)
sys.setrecursionlimit(3000)


def main():
    with tempfile.TemporaryDirectory(prefix="reeve-hocon-") as folder:
        answers = [read(case, Path(folder)) for case in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
