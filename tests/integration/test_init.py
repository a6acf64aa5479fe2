"""`reeve init`: a clearml.conf from what the web page hands out."""

import json
import os
import pathlib
import select
import signal
import stat
import subprocess
import termios

import pytest

from reeve_up import OUT, SLOW, clean_environment, free_port

KEYS = ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY", "CLEARML_API_HOST", "CLEARML_WEB_HOST",
        "CLEARML_FILES_HOST")


@pytest.fixture
def conf(tmp_path):
    return tmp_path / "home" / "clearml.conf"


@pytest.fixture
def init(reeve, conf):
    """Runs it in a home of its own; text is its standard input."""
    conf.parent.mkdir()
    env = {k: v for k, v in reeve.env.items() if not k.startswith(("CLEARML_", "TRAINS_"))}
    env["HOME"] = str(conf.parent)

    def run(*args, text="", **more):
        return subprocess.run([OUT / "bin" / "reeve", "init", *args], input=text, text=True,
                              capture_output=True, env={**env, **more}, timeout=120 * SLOW)

    run.env = env
    return run


def pasted(reeve, **changed):
    """As the web page has it."""
    e = {**reeve.endpoint, **changed}
    return f"""api {{
  web_server: {e['web']}
  api_server: {e['api']}
  files_server: {e['files']}
  credentials {{
    "access_key" = "{e['access_key']}"
    "secret_key" = "{e['secret_key']}"
  }}
}}
"""


def settings(conf):
    """The lines that name one."""
    pairs = (line.strip().split(": ", 1) for line in conf.read_text().splitlines() if '": ' not in line)
    return {pair[0]: json.loads(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].startswith('"')}


def works(conf):
    env = clean_environment(HOME=str(conf.parent))
    done = subprocess.run([OUT / "bin" / "reeve", "list", "--json", "--config", conf], capture_output=True,
                          text=True, env=env, timeout=120 * SLOW)
    return done.returncode == 0 and json.loads(done.stdout)


def test_pasted(reeve, init, conf):
    done = init(text=pasted(reeve))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{conf}\n", "")
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600
    e = reeve.endpoint
    assert settings(conf) == {"api_server": e["api"], "web_server": e["web"], "files_server": e["files"],
                              "access_key": e["access_key"], "secret_key": e["secret_key"]}
    assert works(conf)
    assert [path.name for path in conf.parent.iterdir()] == ["clearml.conf"]


def test_by_variables_and_options(reeve, init, tmp_path):
    other = tmp_path / "other.conf"
    e = reeve.endpoint
    done = init("--config", other, "--git-user", "somebody", "--git-pass", 'a "quoted" ${word}',
                "--output-uri", e["files"], CLEARML_API_HOST=e["api"],
                CLEARML_API_ACCESS_KEY=e["access_key"], CLEARML_API_SECRET_KEY=e["secret_key"])
    assert done.returncode == 0, done.stderr
    assert works(other)
    found = settings(other)
    assert found["agent.git_user"] == "somebody" and found["agent.git_pass"] == 'a "quoted" ${word}'
    assert found["sdk.development.default_output_uri"] == e["files"]


def test_leaves_a_file_alone(reeve, init, conf):
    conf.write_text("# somebody's own\n")
    done = init(text=pasted(reeve))
    assert done.returncode == 1 and "--force" in done.stderr and len(done.stderr.splitlines()) == 1
    assert conf.read_text() == "# somebody's own\n"
    assert init("--force", text=pasted(reeve)).returncode == 0
    assert works(conf)


@pytest.mark.parametrize("changed, code, words", [
    ({"secret_key": "x" * 50}, 1, "does not take these keys"),
    ({"access_key": ""}, 2, "no keys"),
    ({"api": "ftp://host"}, 2, "is no http or https URL"),
])
def test_wrong(reeve, init, conf, changed, code, words):
    done = init(text=pasted(reeve, **changed))
    assert (done.returncode, done.stdout) == (code, "") and words in done.stderr, done
    assert "nothing was written" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not conf.exists()


def test_nobody_answers(reeve, init, conf):
    text = pasted(reeve, api=f"http://127.0.0.1:{free_port()}")
    done = init(text=text)
    assert done.returncode == 3 and not conf.exists()
    assert init("--no-check", text=text).returncode == 0
    assert settings(conf)["access_key"] == reeve.endpoint["access_key"]


@pytest.mark.parametrize("text", ["", "}", "api {", "api: 5\n", "{" * 5000, "\0\0", "api { credentials: [1] }"])
def test_nonsense_is_pasted(init, conf, text):
    done = init(text=text)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done
    assert not conf.exists()


def test_a_host_without_a_scheme(init, conf):
    done = init("--api-server", "host", "--access-key", "a", "--secret-key", "b", "--no-check")
    assert done.returncode == 0, done.stderr
    assert settings(conf)["api_server"] == "https://host"


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, env):
        self.fd, slave = os.openpty()
        # A shell has its background jobs ignore it, and theirs inherit that.
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env,
                                        start_new_session=True,
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(slave)
        self.seen = ""
        self.looked = 0

    def read_until(self, words):
        """Looks on from where the last look ended."""
        while words not in self.seen[self.looked:]:
            try:
                ready = select.select([self.fd], [], [], 60 * SLOW)[0]
                more = os.read(self.fd, 4096) if ready else b""
            except OSError:
                more = b""
            assert more, f"{words!r} was not said: {self.seen}"
            self.seen += more.decode()
        self.looked = self.seen.index(words, self.looked) + len(words)

    def answer(self, question, text):
        self.read_until(question)
        os.write(self.fd, text.encode() + b"\n")

    def end(self):
        """Its exit code; a test that fails before leaves the closing of the terminal to end it."""
        code = self.process.wait(120 * SLOW)
        os.close(self.fd)
        return code


def test_asks_on_a_terminal(reeve, init, conf):
    e = reeve.endpoint
    terminal = Terminal([OUT / "bin" / "reeve", "init"], init.env)
    terminal.answer("press Enter to type the keys:", "")
    terminal.answer("Access key: ", e["access_key"])
    terminal.answer("Secret key: ", "a wrong secret")
    terminal.answer("Address of the web page: ", "ftp://nothing")
    terminal.answer("is no http or https URL\r\nAddress of the web page: ", e["web"])
    terminal.answer("API server: ", e["api"])
    terminal.answer(f"Web server [{e['web']}]: ", "")
    terminal.answer("File server: ", e["files"])
    # Once more, for the keys were refused.
    terminal.read_until("does not take these keys")
    terminal.answer("Access key: ", e["access_key"])
    terminal.answer("Secret key: ", e["secret_key"])
    terminal.answer("User for git", "")
    terminal.answer("Where tasks put models", e["files"])
    terminal.read_until(str(conf))
    assert terminal.end() == 0
    assert "a wrong secret" not in terminal.seen and e["secret_key"] not in terminal.seen
    assert works(conf)
    assert settings(conf)["sdk.development.default_output_uri"] == e["files"]


def test_pasted_on_a_terminal(reeve, init, conf):
    terminal = Terminal([OUT / "bin" / "reeve", "init"], init.env)
    terminal.answer("press Enter to type the keys:", pasted(reeve).rstrip("\n"))
    for question in ("API server [", "Web server [", "File server ["):
        terminal.answer(question, "")
    terminal.answer("User for git", "somebody")
    terminal.answer("Token or password for git: ", "a git secret")
    terminal.answer("Where tasks put models", "")
    terminal.read_until(str(conf))
    assert terminal.end() == 0
    assert "a git secret" not in terminal.seen
    assert works(conf) and settings(conf)["agent.git_pass"] == "a git secret"


def test_a_signal_leaves_the_terminal_as_it_was(init):
    terminal = Terminal([OUT / "bin" / "reeve", "init"], init.env)
    terminal.answer("press Enter to type the keys:", "")
    terminal.answer("Access key: ", "a key")
    terminal.read_until("Secret key: ")
    assert not termios.tcgetattr(terminal.fd)[3] & termios.ECHO
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(60 * SLOW) == -signal.SIGINT
    assert termios.tcgetattr(terminal.fd)[3] & termios.ECHO
    os.close(terminal.fd)


def test_the_tree_is_not_touched_by_a_full_disk(reeve, init, conf):
    """A folder that cannot be written: one line, and no half of a file."""
    folder = conf.parent / "missing"
    done = init("--config", folder / "clearml.conf", text=pasted(reeve))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert not folder.exists() and list(pathlib.Path(conf.parent).iterdir()) == []
