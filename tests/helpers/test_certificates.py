"""The tutorial's CA, checked with openssl."""

import datetime
import itertools
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from helpers import pki
from tests.pasting.transcript import parse


def openssl(*args) -> subprocess.CompletedProcess:
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)


def issued(capsys) -> list[str]:
    """The file names in the openssl commands that were printed."""
    words = shlex.split("\n".join(step.command for step in parse(capsys.readouterr().out)))
    return [value.removeprefix("/CN=") for word, value in itertools.pairwise(words) if word == "-subj"]


@pytest.fixture
def files():
    return pki.ensure()


def test_openssl_verifies_server_and_client(files):
    checks = (
        ("sslserver", "lambda.external", files.mtls_ca, files.server_cert),
        ("sslclient", "client.lambda.external", files.mtls_ca, files.client_cert),
        ("sslserver", "alb.example.com", files.alb_ca, files.alb_cert),
    )
    for purpose, host, ca, cert in checks:
        strict = ("-x509_strict", "-purpose", purpose, "-verify_hostname", host)
        done = openssl("verify", *strict, "-CAfile", ca, cert)
        assert done.returncode == 0, done.stderr


def test_strangers_certificate_has_the_clients_name_and_is_rejected(files):
    done = openssl("verify", "-CAfile", files.mtls_ca, files.stranger_cert)
    assert done.returncode != 0
    subject = openssl("x509", "-noout", "-subject", "-in", files.stranger_cert).stdout
    assert "client.lambda.external" in subject


def test_another_client_has_the_same_ca_and_its_own_name(files):
    cert, key = pki.another_client("other.lambda.external")
    client = ("verify", "-purpose", "sslclient", "-CAfile", files.mtls_ca, "-verify_hostname")
    assert openssl(*client, "other.lambda.external", cert).returncode == 0
    assert openssl(*client, pki.CLIENT, cert).returncode != 0
    assert public_key("pkey", key) == public_key("x509", cert)


def test_a_lifetime_in_seconds_another_ca_and_a_bundle(files, capsys):
    ca = pki.another_ca("second", "A second CA")
    cert, _ = pki.another_server(file="short", ca="second", seconds=2)
    [end] = re.findall(r'-not_after "\$\((.*?)\)"', capsys.readouterr().out)
    end = datetime.datetime.strptime(subprocess.getoutput(end) + "+0000", "%Y%m%d%H%M%SZ%z")
    assert abs(end - pki.read(cert).not_valid_after_utc) < datetime.timedelta(seconds=30)
    verify = ("verify", "-purpose", "sslserver", "-verify_hostname", pki.SERVER, "-CAfile")
    assert openssl(*verify, pki.bundle("both", files.mtls_ca, ca), cert).returncode == 0
    assert openssl(*verify, files.mtls_ca, cert).returncode != 0
    pki.wait_for_expiry(cert)
    assert "expired" in openssl(*verify, ca, cert).stderr
    pki.delete(cert, ca)
    assert not cert.exists() and not ca.with_suffix(".key").exists()


def test_client_certificate_is_not_valid_for_a_server(files):
    done = openssl("verify", "-purpose", "sslserver", "-CAfile", files.mtls_ca, files.client_cert)
    assert done.returncode != 0


def test_only_the_owner_can_read_keys(files):
    keys = list(files.server_key.parent.glob("*.key"))
    assert len(keys) == 7
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_second_run_issues_nothing(files, capsys):
    before = {path: path.read_bytes() for path in files.server_key.parent.iterdir()}
    capsys.readouterr()
    pki.ensure()
    assert {path: path.read_bytes() for path in files.server_key.parent.iterdir()} == before
    assert issued(capsys) == []


def test_new_domain_replaces_only_the_server_certificate(files, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.org")
    capsys.readouterr()
    pki.ensure()
    assert issued(capsys) == ["alb.example.org"]


def test_missing_ca_replaces_its_leaf_certificates(files):
    files.mtls_ca.unlink()
    again = pki.ensure()
    assert openssl("verify", "-CAfile", again.mtls_ca, again.client_cert).returncode == 0


def public_key(kind: str, file: Path) -> str:
    words = ("-pubkey", "-noout") if kind == "x509" else ("-pubout",)
    return openssl(kind, *words, "-in", file).stdout


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        ("server.key", "client.key"),  # the key of another certificate
        ("server.crt", "stranger.crt"),  # of another CA, for another host
        ("server.crt", "client.crt"),  # for another host
        ("server.crt", "server.key"),  # not a certificate
        ("server.key", "server.crt"),  # not a key
    ],
)
def test_only_mismatched_files_are_issued_again(files, broken, by, capsys):
    folder = files.server_key.parent
    (folder / broken).write_bytes((folder / by).read_bytes())
    capsys.readouterr()
    pki.ensure()
    assert issued(capsys) == [pki.SERVER]
    done = openssl("verify", "-verify_hostname", pki.SERVER, "-CAfile", files.mtls_ca, files.server_cert)
    assert done.returncode == 0, done.stderr
    assert public_key("pkey", files.server_key) == public_key("x509", files.server_cert)


def test_expired_certificate_is_reissued(monkeypatch):
    with monkeypatch.context() as yesterday:
        yesterday.setattr(pki, "_LEAF_LIFETIME", datetime.timedelta(days=-1))
        yesterday.setattr(pki, "SKEW", datetime.timedelta(days=3))
        files = pki.ensure()
    assert openssl("verify", "-CAfile", files.mtls_ca, files.server_cert).returncode != 0
    pki.ensure()
    assert openssl("verify", "-CAfile", files.mtls_ca, files.server_cert).returncode == 0


def test_certificates_that_are_not_valid_yet_are_reissued(monkeypatch):
    """As after the clock was set back."""
    with monkeypatch.context() as later:
        later.setattr(pki, "SKEW", -datetime.timedelta(hours=1))
        issued = pki.ensure()
        early = [issued.mtls_ca.read_bytes(), issued.server_cert.read_bytes()]
    again = pki.ensure()
    now = datetime.datetime.now(datetime.UTC)
    for file, before in zip((again.mtls_ca, again.server_cert), early, strict=True):
        assert file.read_bytes() != before
        assert x509.load_pem_x509_certificate(file.read_bytes()).not_valid_before_utc <= now


def test_certificate_that_expires_today_is_reissued(files, monkeypatch, capsys):
    monkeypatch.setattr(pki, "_LEFT", datetime.timedelta(days=366))
    capsys.readouterr()
    pki.ensure()
    assert len(issued(capsys)) == 4  # the leaf certificates; CAs are valid for years


def test_default_acm_roots_are_exactly_amazons(monkeypatch):
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    files = pki.ensure()
    roots = x509.load_pem_x509_certificates(files.alb_ca.read_bytes())
    assert {root.subject.rfc4514_string() for root in roots} == {
        f"CN=Amazon Root CA {number},O=Amazon,C=US" for number in (1, 2, 3, 4)
    }
    assert not files.alb_key.exists()
    assert "alb.crt" not in repr(pki.table())


def test_configured_acm_roots_are_used_unchanged(monkeypatch, tmp_path):
    own = pki.ensure().mtls_ca.read_bytes()
    (tmp_path / "roots.pem").write_bytes(own)
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    monkeypatch.setenv("TUTORIAL_ACM_ROOTS", str(tmp_path / "roots.pem"))
    assert pki.ensure().alb_ca.read_bytes() == own
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "private-ca")
    assert pki.ensure().alb_ca.read_bytes() != own


def test_the_printed_commands_issue_equivalent_certificates(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TUTORIAL_BUILD_DIR", str(tmp_path / "build"))
    made = tmp_path / "build/certs"
    pki.ensure()
    printed = capsys.readouterr().out
    helpers_own = {file.name: file.read_bytes() for file in made.iterdir()}
    shutil.rmtree(made)
    pasted = subprocess.run(["bash", "-ec", printed], cwd=tmp_path, capture_output=True, text=True)
    assert pasted.returncode == 0, pasted.stderr
    assert {file.name for file in made.iterdir()} == helpers_own.keys()
    for file in made.glob("*.crt"):
        one, other = helpers_own[file.name], file.read_bytes()
        assert one != other and described(one) == described(other)
    test_only_the_owner_can_read_keys(pki.ensure())
    assert issued(capsys) == []


def described(pem: bytes) -> tuple:
    """The attributes that depend on neither the key nor the time."""
    certificate = x509.load_pem_x509_certificate(pem)
    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    of_the_key = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier)
    others = {each.value for each in certificate.extensions if not isinstance(each.value, of_the_key)}
    return certificate.subject, certificate.issuer, lasts.days, others
