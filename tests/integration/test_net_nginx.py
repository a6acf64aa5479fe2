"""nginx before the server, as ClearML's own compose file has it and as people add it: a base path, TLS with
HTTP/2 offered, packed answers, a limit on bodies and on requests; and the server on IPv6."""

import socket
import urllib.parse

import pytest

from net_rig import Counting, command, lives_through, many_lines, server_state, works
from nginx import BASE, Nginx, needs_nginx


@pytest.fixture
def behind(make_rig, tmp_path):
    """make(env, ...) a rig whose master goes through an nginx."""
    made = []

    def make(env=None, **options):
        rig = make_rig(env=env)
        made.append(Nginx(tmp_path / "nginx", rig.proxy.url, **options))
        rig.nginx = made[-1]
        rig.master.env["CLEARML_API_HOST"] = rig.nginx.url
        return rig
    yield make
    for nginx in made:
        nginx.stop()


def works_behind(rig):
    works(rig)
    many_lines(rig)
    assert f"POST {BASE}/queues.get_all HTTP/1.1" in rig.nginx.access.read_text()


@needs_nginx
def test_base_path(behind):
    works_behind(behind())


@needs_nginx
def test_base_path_with_a_slash(behind):
    rig = behind()
    rig.master.env["CLEARML_API_HOST"] += "/"
    works_behind(rig)


@needs_nginx
def test_tls_and_http2(behind, authority):
    certificate, key = authority.certificate("IP:127.0.0.1")
    works_behind(behind(env={"REQUESTS_CA_BUNDLE": str(authority.file)}, listen="ssl http2",
                        server=f"ssl_certificate {certificate}; ssl_certificate_key {key};"))


@needs_nginx
def test_http_to_the_port_of_tls(behind, authority):
    certificate, key = authority.certificate("IP:127.0.0.1")
    rig = behind(listen="ssl", server=f"ssl_certificate {certificate}; ssl_certificate_key {key};")
    rig.master.env["CLEARML_API_HOST"] = rig.nginx.url.replace("https:", "http:")
    done = command(rig, "queue", "list")
    assert done.returncode == 3 and "plain HTTP request was sent to HTTPS port" in done.stderr, done.stderr


@needs_nginx
def test_server_behind_it_is_away(behind):
    """nginx answers 502 with a page."""
    rig = behind()
    rig.master.start()
    lives_through(rig, rig.proxy.pause, rig.proxy.resume, ["HTTP 50"])


@needs_nginx
def test_nginx_restarts(behind):
    rig = behind()
    rig.master.start()
    lives_through(rig, rig.nginx.stop, rig.nginx.start_again, [])


@needs_nginx
def test_wrong_base_path(behind):
    rig = behind()
    rig.master.env["CLEARML_API_HOST"] = rig.nginx.url.replace(BASE, "/elsewhere")
    done = command(rig, "queue", "list")
    assert done.returncode == 3 and "404 Not Found" in done.stderr, done.stderr


@needs_nginx
def test_few_requests_a_second(behind):
    """limit_req with a page of 429: slower, and nothing lost."""
    rig = behind(http="limit_req_zone $binary_remote_addr zone=z:1m rate=8r/s; limit_req_status 429;",
                 server="limit_req zone=z burst=4 nodelay;")
    rig.master.start()
    Counting(rig).check()
    assert "cannot be used" not in rig.master.log.read_text()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6(make_rig):
    rig = make_rig("--listen", "::1")
    url = rig.server.endpoint["api"]
    assert urllib.parse.urlsplit(url).hostname == "::1"
    rig.master.env["CLEARML_API_HOST"] = url
    rig.master.start()
    Counting(rig).check()
    assert server_state(rig)["url"] == url
    assert command(rig, "queue", "list").returncode == 0
