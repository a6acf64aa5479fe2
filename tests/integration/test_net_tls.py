"""TLS on the way to the server, with certificates of a private authority."""

import os
import ssl

import pytest

from faulty_api import Proxy
from net_rig import (Authority, Counting, command, lives_through, one_line, server_state, wait_away,
                     wait_reachable, works)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Somebody else's."""
    return Authority(tmp_path_factory.mktemp("authority") / "other")


@pytest.fixture
def tls(make_rig, authority):
    """make(env, ...) a rig whose server shows a certificate of the authority."""
    def make(env=None, names="IP:127.0.0.1", days=2):
        return make_rig(env=env, tls=authority.context(names, days))
    return make


def hashed(authority, folder):
    """A folder of certificates as OpenSSL looks them up."""
    folder.mkdir()
    name = authority.hash()
    os.symlink(authority.file, folder / f"{name}.0")
    return folder


# ---- who is trusted


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE",
                                      "CLEARML_API_HOST_VERIFY_CERT",
                                      "CLEARML_AGENT__API__VERIFY_CERTIFICATE"])
def test_private_authority(tls, authority, variable):
    works(tls(env={variable: str(authority.file)}))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_private_authority_in_a_folder(tls, authority, tmp_path, variable):
    works(tls(env={variable: str(hashed(authority, tmp_path / "hashed"))}))


def test_private_authority_of_the_configuration_file(tls, authority, tmp_path):
    rig = tls()
    conf = rig.folder / "clearml.conf"
    conf.write_text(f'api {{ verify_certificate: "{authority.file}" }}\n')
    works(rig)
    # The payload's SDK goes the same way.
    task = rig.enqueue("cat $CLEARML_CONFIG_FILE")
    rig.wait(task)
    assert str(authority.file) in rig.text(task)


@pytest.mark.parametrize("word", ["false", "0", *(pytest.param(word, marks=pytest.mark.long) for word in ("False", "no"))])
def test_without_verification(tls, word):
    rig = tls(env={"CLEARML_API_HOST_VERIFY_CERT": word}, names="DNS:elsewhere.example", days=-1)
    works(rig)


def test_the_variable_wins_over_the_file(tls, authority, other):
    """As in Python's requests, by which ClearML's own clients go."""
    rig = tls(env={"REQUESTS_CA_BUNDLE": str(authority.file),
                   "CLEARML_AGENT__API__VERIFY_CERTIFICATE": str(other.file)})
    works(rig)


# ---- who is not


UNTRUSTED = ["no authority that is trusted here", "REQUESTS_CA_BUNDLE"]


def refuses(rig, words):
    rig.master.start()
    wait_away(rig, words)
    one_line(command(rig, "queue", "list"), rig.proxy.url, *words)
    assert rig.proxy.seen.total() == 0, "no request may go to a server that is not known"


def test_unknown_authority(tls):
    refuses(tls(), UNTRUSTED)


def test_another_authority(tls, other):
    """A named authority takes the place of all others."""
    refuses(tls(env={"REQUESTS_CA_BUNDLE": str(other.file)}), UNTRUSTED)


def test_expired(tls, authority):
    refuses(tls(env={"REQUESTS_CA_BUNDLE": str(authority.file)}, days=-1), ["has expired"])


def test_name_of_another(tls, authority):
    refuses(tls(env={"REQUESTS_CA_BUNDLE": str(authority.file)}, names="DNS:elsewhere.example"),
            ["for another name"])


def test_no_file_of_authorities(tls, tmp_path):
    """The file is not there yet; when it is, the master needs no new start."""
    missing = tmp_path / "missing.pem"
    refuses(tls(env={"REQUESTS_CA_BUNDLE": str(missing)}), [str(missing), "REQUESTS_CA_BUNDLE", "cannot be read"])


def test_file_of_authorities_that_comes_later(tls, authority, tmp_path):
    later = tmp_path / "later.pem"
    rig = tls(env={"REQUESTS_CA_BUNDLE": str(later)})
    rig.master.start()
    wait_away(rig, ["cannot be read"])
    later.write_bytes(authority.file.read_bytes())
    wait_reachable(rig)
    Counting(rig).check()


def test_certificate_that_is_replaced(make_rig, authority, other):
    """The server shows a certificate that is not trusted for a while."""
    good, bad = authority.certificate("IP:127.0.0.1"), other.certificate("IP:127.0.0.1")
    context = authority.context("IP:127.0.0.1")
    # A resumed session shows no certificate.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    rig = make_rig(env={"REQUESTS_CA_BUNDLE": str(authority.file)}, tls=context)
    rig.master.start()

    def show(chain):
        context.load_cert_chain(*chain)
        rig.proxy.close_connections()

    lives_through(rig, lambda: show(bad), lambda: show(good), UNTRUSTED)


# ---- the wrong protocol


def test_https_to_a_server_without_tls(rig):
    rig.master.env["CLEARML_API_HOST"] = rig.proxy.url.replace("http:", "https:")
    rig.master.start()
    wait_away(rig, ["http:// in place of https://?"])
    one_line(command(rig, "queue", "list"), "http:// in place of https://?")


def test_redirect_to_https(make_rig, authority):
    """http is configured, the server has moved to https; it is never the other way round."""
    rig = make_rig(env={"REQUESTS_CA_BUNDLE": str(authority.file)})
    secure = Proxy(rig.server, tls=authority.context("IP:127.0.0.1"))
    try:
        rig.proxy.redirect = (301, secure.url)
        works(rig)
        assert server_state(rig)["moved_to"] == secure.url
        secure.redirect = (302, rig.proxy.url)
        wait_away(rig, ["out of https"])
    finally:
        secure.close()
