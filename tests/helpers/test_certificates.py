"""The small CA, held against openssl."""

import datetime
import stat
import subprocess

import pytest
from cryptography import x509

from helpers import pki
from helpers.base.errors import CertificateError


def openssl(*args) -> subprocess.CompletedProcess:
    return subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)


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


def test_stranger_has_the_clients_name_and_is_not_accepted(files):
    done = openssl("verify", "-CAfile", files.mtls_ca, files.stranger_cert)
    assert done.returncode != 0
    subject = openssl("x509", "-noout", "-subject", "-in", files.stranger_cert).stdout
    assert "client.lambda.external" in subject


def test_another_client_is_of_the_same_authority_under_its_own_name(files):
    cert, key = pki.another_client("other.lambda.external")
    pki.verify(cert, key, files.mtls_ca, "other.lambda.external")
    assert openssl("verify", "-purpose", "sslclient", "-CAfile", files.mtls_ca, cert).returncode == 0
    with pytest.raises(CertificateError, match=r"for other\.lambda\.external"):
        pki.verify(cert, key, files.mtls_ca, pki.CLIENT)


def test_client_certificate_is_no_servers(files):
    done = openssl("verify", "-purpose", "sslserver", "-CAfile", files.mtls_ca, files.client_cert)
    assert done.returncode != 0


def test_keys_are_for_their_owner_only(files):
    keys = list(files.server_key.parent.glob("*.key"))
    assert len(keys) == 7
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_second_run_issues_nothing(files, capsys):
    before = {path: path.read_bytes() for path in files.server_key.parent.iterdir()}
    capsys.readouterr()
    pki.ensure()
    assert {path: path.read_bytes() for path in files.server_key.parent.iterdir()} == before
    assert "issued" not in capsys.readouterr().out


def test_new_domain_gets_a_new_certificate_and_nothing_else_does(files, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.org")
    capsys.readouterr()
    pki.ensure()
    issued = [line for line in capsys.readouterr().out.splitlines() if "issued" in line]
    assert [line.split("issued: ")[1] for line in issued] == ["alb.example.org"]


def test_authority_gone_means_new_leaves(files):
    files.mtls_ca.unlink()
    again = pki.ensure()
    assert openssl("verify", "-CAfile", again.mtls_ca, again.client_cert).returncode == 0


def test_verify_passes_what_fits(files):
    pki.verify(files.server_cert, files.server_key, files.mtls_ca, "lambda.external")


def test_verify_refuses_another_key(files):
    with pytest.raises(CertificateError, match=r"client\.key is not the key"):
        pki.verify(files.server_cert, files.client_key, files.mtls_ca)


def test_verify_refuses_another_signer(files):
    with pytest.raises(CertificateError, match=r"stranger-ca\.crt did not sign it"):
        pki.verify(files.server_cert, files.server_key, files.stranger_ca)


def test_verify_refuses_another_host(files):
    with pytest.raises(CertificateError, match=r"it is for lambda\.external, not for example\.org"):
        pki.verify(files.server_cert, files.server_key, files.mtls_ca, "example.org")


def test_verify_refuses_what_is_no_certificate(files):
    files.server_cert.write_text("nonsense")
    with pytest.raises(CertificateError, match="no certificate"):
        pki.verify(files.server_cert, files.server_key, files.mtls_ca)


def test_expired_certificate_is_refused_and_reissued(monkeypatch):
    with monkeypatch.context() as yesterday:
        yesterday.setattr(pki, "_LEAF_DAYS", -1)
        yesterday.setattr(pki, "_SKEW", datetime.timedelta(days=3))
        files = pki.ensure()
    with pytest.raises(CertificateError, match="not today"):
        pki.verify(files.server_cert, files.server_key, files.mtls_ca)
    pki.ensure()
    pki.verify(files.server_cert, files.server_key, files.mtls_ca)


def test_certificate_that_ends_today_is_reissued(files, monkeypatch, capsys):
    monkeypatch.setattr(pki, "_LEFT", datetime.timedelta(days=366))
    capsys.readouterr()
    pki.ensure()
    assert capsys.readouterr().out.count("issued") == 4  # the leaves; authorities last for years


def test_acm_roots_are_amazons_and_no_others(monkeypatch):
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    files = pki.ensure()
    roots = x509.load_pem_x509_certificates(files.alb_ca.read_bytes())
    assert {root.subject.rfc4514_string() for root in roots} == {
        f"CN=Amazon Root CA {number},O=Amazon,C=US" for number in (1, 2, 3, 4)
    }
    assert not files.alb_key.exists()
    assert "alb.crt" not in repr(pki.table())


def test_roots_of_anothers_acm_are_taken_as_they_are(monkeypatch, tmp_path):
    own = pki.ensure().mtls_ca.read_bytes()
    (tmp_path / "roots.pem").write_bytes(own)
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    monkeypatch.setenv("TUTORIAL_ACM_ROOTS", str(tmp_path / "roots.pem"))
    assert pki.ensure().alb_ca.read_bytes() == own
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "private-ca")
    assert pki.ensure().alb_ca.read_bytes() != own
