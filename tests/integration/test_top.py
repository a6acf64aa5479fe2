"""reeve top, on a terminal of its own and without one."""

import fcntl
import os
import pathlib
import pty
import signal
import struct
import subprocess
import termios

from reeve_up import OUT, SLOW, wait_until

LEAVE = "\x1b[?25h\x1b[?1049l"


class Terminal:
    """`reeve top` on a pseudo-terminal of 12 lines and 60 columns."""

    def __init__(self, reeve, *args):
        self.fd, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
        self.before = termios.tcgetattr(inside)
        self.inside = inside
        self.text = ""
        os.set_blocking(self.fd, False)
        self.process = subprocess.Popen([OUT / "bin/reeve", "top", "--data", reeve.data, *args], env=reeve.env,
                                        stdin=inside, stdout=inside, stderr=subprocess.PIPE, start_new_session=True)

    def read(self):
        try:
            self.text += os.read(self.fd, 65536).decode()
        except BlockingIOError:
            pass
        return self.text

    def screens(self):
        """All that were drawn whole."""
        return [s.split("\x1b[J")[0] for s in self.read().split("\x1b[H")[1:] if "\x1b[J" in s]

    def end(self):
        code = self.process.wait(30 * SLOW)
        after = termios.tcgetattr(self.inside)
        text = self.read()
        self.process.stderr.close()
        os.close(self.fd)
        os.close(self.inside)
        assert after == self.before and text.endswith(LEAVE)
        return code


def test_draws_until_it_is_ended(reeve):
    tasks = [reeve.shell("sleep 300", "--name", f"sleeper {n} with a name that is far too long") for n in range(10)]
    for task in tasks:
        reeve.wait_phase(task, "running")
    terminal = Terminal(reeve, "--interval", "100ms", "--sort", "age")
    wait_until(lambda: len(terminal.screens()) >= 2 and terminal.process.poll() is None, what="two screens")
    lines = terminal.screens()[-1].replace("\x1b[K", "").split("\r\n")
    assert len(lines) == 12 and all(len(line) <= 60 for line in lines)
    assert "10 running" in lines[1] and lines[3].startswith("TASK")
    # The youngest first, as many as there is room for.
    youngest = sorted(reeve.ps(), key=lambda row: row["started"], reverse=True)[:8]
    assert [line[:8] for line in lines[4:]] == [row["id"][:8] for row in youngest]
    os.write(terminal.fd, b"q")
    assert terminal.end() == 0
    terminal = Terminal(reeve)
    wait_until(terminal.screens, what="a screen")
    # Ctrl-Z: the terminal is the shell's until it goes on.
    terminal.process.send_signal(signal.SIGTSTP)
    stat = pathlib.Path(f"/proc/{terminal.process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what="the stop")
    assert termios.tcgetattr(terminal.inside) == terminal.before and terminal.read().endswith(LEAVE)
    drawn = len(terminal.screens())
    terminal.process.send_signal(signal.SIGCONT)
    wait_until(lambda: len(terminal.screens()) > drawn, what="another screen")
    assert termios.tcgetattr(terminal.inside) != terminal.before
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 0


def test_without_a_terminal(reeve):
    task = reeve.shell("while :; do :; done", "--cpus", "0.2", "--name", "busy")
    reeve.wait_phase(task, "running")
    refused = reeve.run("top", check=False)
    assert refused.returncode == 2 and "--once" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert "busy" in reeve.run("top", "--once").stdout
    assert reeve.run("top", "--once", "--sort", "name", check=False).returncode == 2
    assert reeve.run("top", "--once", "--interval", "0", check=False).returncode == 2
