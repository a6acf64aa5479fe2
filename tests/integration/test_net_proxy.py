"""An HTTP proxy on the way to the server: tinyproxy, by the variables that Python's requests reads."""

import shutil

import pytest

from net_rig import Daemon, command, lives_through, one_line, wait_away, wait_reachable, works

pytestmark = pytest.mark.skipif(not shutil.which("tinyproxy"), reason="no tinyproxy here")


class Tinyproxy(Daemon):
    def __init__(self, folder, *lines):
        folder.mkdir(exist_ok=True)
        self.conf = folder / "tinyproxy.conf"
        self.seen = folder / "tinyproxy.log"

        def make_command(port):
            self.conf.write_text("\n".join([
                f"Port {port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 50", f'LogFile "{self.seen}"',
                "LogLevel Connect", "Allow 127.0.0.1", *lines, ""]))
            return ["tinyproxy", "-d", "-c", self.conf]

        super().__init__(folder, make_command)
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def requests(self, method):
        return [line for line in self.seen.read_text().splitlines() if f"): {method} " in line]


@pytest.fixture
def tinyproxy(tmp_path):
    made = []

    def make(*lines):
        made.append(Tinyproxy(tmp_path / f"proxy-{len(made)}", *lines))
        return made[-1]
    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture
def secure(make_rig, authority):
    """make(env): a rig whose server speaks TLS."""
    def make(env):
        return make_rig(tls=authority.context("IP:127.0.0.1"), env={"REQUESTS_CA_BUNDLE": str(authority.file), **env})
    return make


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain(make_rig, tinyproxy, variable):
    proxy = tinyproxy()
    # With and without a scheme, as requests takes it.
    works(make_rig(env={variable: proxy.url if variable != "http_proxy" else proxy.address}))
    assert proxy.requests("POST") and not proxy.requests("CONNECT")


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_tunnel(secure, tinyproxy, variable):
    proxy = tinyproxy()
    works(secure({variable: proxy.url, "HTTP_PROXY": "http://127.0.0.1:1"}))
    assert proxy.requests("CONNECT") and not proxy.requests("POST")


def test_user_and_password(secure, tinyproxy):
    proxy = tinyproxy("BasicAuth user pass-w0rd")
    works(secure({"HTTPS_PROXY": f"http://user:pass-w0rd@{proxy.address}"}))


def test_user_and_password_of_a_plain_proxy(make_rig, tinyproxy):
    proxy = tinyproxy("BasicAuth user pass-w0rd")
    works(make_rig(env={"HTTP_PROXY": f"http://user:pass-w0rd@{proxy.address}"}))


@pytest.mark.parametrize("tunnel", [False, True], ids=["plain", "tunnel"])
def test_wrong_password(secure, make_rig, tinyproxy, tunnel):
    proxy = tinyproxy("BasicAuth user pass-w0rd")
    address = f"http://user:secret-typo@{proxy.address}"
    rig = secure({"HTTPS_PROXY": address}) if tunnel else make_rig(env={"HTTP_PROXY": address})
    rig.master.start()
    wait_away(rig, ["wants a user and a password"])
    done = command(rig, "queue", "list")
    one_line(done, "wants a user and a password")
    assert "secret-typo" not in done.stderr + rig.master.log.read_text()


@pytest.mark.parametrize("variable,value", [
    ("NO_PROXY", "127.0.0.1"), ("no_proxy", "example.com, 127.0.0.0/8"), ("no_proxy", "*")])
def test_passed_by(make_rig, variable, value):
    """The proxy is dead; the server is named among those that need none."""
    works(make_rig(env={"HTTP_PROXY": "http://127.0.0.1:1", variable: value}))


def test_dead_proxy(make_rig):
    rig = make_rig(env={"HTTP_PROXY": "http://127.0.0.1:1"})
    rig.master.start()
    wait_away(rig, ["127.0.0.1 port 1"])
    one_line(command(rig, "queue", "list"), "127.0.0.1 port 1")


def test_proxy_without_an_address(make_rig):
    rig = make_rig(env={"HTTP_PROXY": "http://proxy..invalid:3128"})
    rig.master.start()
    wait_away(rig, ["the proxy of HTTP_PROXY"])
    one_line(command(rig, "queue", "list"), "NO_PROXY")


def test_tunnel_that_is_forbidden(secure, tinyproxy):
    proxy = tinyproxy("ConnectPort 1")
    rig = secure({"HTTPS_PROXY": proxy.url})
    rig.master.start()
    wait_away(rig, ["the proxy lets no connection through"])
    one_line(command(rig, "queue", "list"), "the proxy lets no connection through", "403")


def test_proxy_restarts(make_rig, tinyproxy):
    proxy = tinyproxy()
    rig = make_rig(env={"HTTP_PROXY": proxy.url})
    rig.master.start()
    lives_through(rig, proxy.stop, proxy.start_again, [])
    wait_reachable(rig)


def test_up_passes_by_proxies(make_reeve):
    """`reeve up` is on this host: neither its master nor its commands go through a proxy."""
    dead = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1", "NO_PROXY": "example.com"}
    reeve = make_reeve(env=dead)
    task = reeve.shell("echo $no_proxy")
    assert reeve.wait(task) == 0
    assert "example.com,127.0.0.1" in reeve.logs(task)
