"""The way to a server: what may happen on it, and what a master and a command then owe their user."""

import pathlib
import re
import signal
import socket
import ssl
import subprocess

from reeve_up import OUT, SLOW, free_port, wait_until

COUNTING = 'i=0; while [ ! -e go ]; do echo line $i; i=$((i+1)); sleep 0.05; done; echo $i >count'


def server_state(rig):
    """What `reeve status` says of the server. The master must answer whatever the network does."""
    return rig.master.control(cmd="status")["data"]["server"]


def wait_reachable(rig, timeout=90):
    wait_until(lambda: server_state(rig)["reachable"], timeout, what="a reachable server")


def wait_away(rig, words, timeout=90):
    """Until `reeve status` says that the server is away, why (each of words), and since when."""
    def away():
        state = server_state(rig)
        return not state["reachable"] and all(w in state["error"] for w in words) and state
    wait_until(lambda: not server_state(rig)["reachable"], timeout, what="an outage")
    try:
        state = wait_until(away, timeout)
    except AssertionError:
        raise AssertionError(f"{words} not in {server_state(rig)}") from None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d+Z?(\+00:00)?", state["unreachable_since"])
    return state


class Counting:
    """A task that counts until it is told to end, and whose every line must be on the server once."""

    def __init__(self, rig):
        self.rig = rig
        self.folder = rig.folder / f"counting-{len(list(rig.folder.iterdir()))}"
        self.folder.mkdir()
        self.task = rig.enqueue(f"cd {self.folder}; {COUNTING}")

    def wait_lines(self, more=3):
        begin = len(self.rig.numbers(self.task))
        wait_until(lambda: len(self.rig.numbers(self.task)) >= begin + more, 90, what="some lines")

    def let_go(self):
        (self.folder / "go").touch()
        wait_until(lambda: (self.folder / "count").exists(), 60, what="the end of the payload")

    def check(self):
        if not (self.folder / "go").exists():
            self.let_go()
        self.rig.wait(self.task, timeout=120)
        assert self.rig.numbers(self.task) == list(range(int((self.folder / "count").read_text())))


def lives_through(rig, begin, end, words):
    """A task's output and end fall into an outage: nothing is lost, and little is said."""
    counting = Counting(rig)
    counting.wait_lines()
    begin()
    wait_away(rig, words)
    counting.let_go()
    wait_until(lambda: rig.master.row(counting.task)["phase"] == "draining", 60, what="draining")
    end()
    counting.check()
    wait_reachable(rig)
    check_log(rig)


def check_log(rig, words=()):
    """One line at the beginning with a reason, one at the end, and no flood between. words of the reason only where the
    first call can meet nothing else; a connection that is just being cut says something else than those after it."""
    log = rig.master.log.read_text()
    begins = [line for line in log.splitlines() if "cannot be used" in line]
    ends = [line for line in log.splitlines() if "answers again, after" in line]
    # A pair a minute at most: more than a few would take longer than any of these tests.
    assert 1 <= len(begins) <= 5 and 1 <= len(ends) <= 5, log
    assert all(re.search(r"cannot be used: .{10,}; runs go on", line) for line in begins), log
    assert not words or any(all(w in line for w in words) for line in begins), log
    loud = [line for line in log.splitlines() if re.search(r"level=(warn|error)|\b(warn|error)\b", line)]
    assert len(loud) < 30, log


def command(rig, *args, env=None):
    """`reeve args...`, which finds its server as the master does."""
    return subprocess.run([OUT / "bin/reeve", *args], capture_output=True, text=True,
                          env={**rig.master.env, **(env or {})}, timeout=120 * SLOW, cwd=rig.folder)


def works(rig):
    """A master on the way that the rig has, and a command."""
    rig.master.start()
    Counting(rig).check()
    done = command(rig, "queue", "list")
    assert done.returncode == 0, done.stderr


def many_lines(rig):
    """A task with more lines than are sent in one body."""
    task = rig.enqueue("i=0; while [ $i -lt 8000 ]; do echo line $i; "
                       "echo ..............................................; i=$((i+1)); done")
    rig.wait(task, timeout=120)
    assert rig.numbers(task) == list(range(8000))


def one_line(done, *words):
    """No server: exit code 3, and one line that says what is wrong."""
    assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.endswith("\n") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


# ---- certificates


class Authority:
    """A private certificate authority in a folder of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.file = self.folder / "ca.pem"
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                     "-subj", "/CN=reeve test authority", "-days", "2",
                     "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE")

    def openssl(self, *args):
        return subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True, text=True,
                              timeout=60 * SLOW).stdout.strip()

    def certificate(self, names, days=2):
        """(certificate, key): for names such as IP:127.0.0.1,DNS:localhost; expired if days is negative."""
        name = f"{len(list(self.folder.iterdir()))}"
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                     "-subj", "/CN=reeve test")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-extfile", f"{name}.ext", "-days", str(days), "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def hash(self):
        """Of the name by which OpenSSL finds it in a folder."""
        return self.openssl("x509", "-in", "ca.pem", "-noout", "-hash")

    def context(self, names, days=2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate(names, days))
        return context


# ---- programs beside


class Daemon:
    """A program that serves on a port of 127.0.0.1 which it cannot choose by itself."""

    def __init__(self, folder, make_command):
        self.log = pathlib.Path(folder) / "daemon.log"
        self.make_command = make_command
        for _ in range(5):
            self.port = free_port()
            if self.start():
                return
        raise AssertionError(self.log.read_text())

    def start(self):
        """False if it ended: somebody else may have taken the port meanwhile."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.make_command(self.port), stdout=log, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.listens(), 60, what="the daemon")
        return self.process.poll() is None

    def start_again(self):
        """On the same port."""
        wait_until(self.start, 60, what="the daemon again")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60 * SLOW)
