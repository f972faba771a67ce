"""A cluster's certificates satisfy a strict verifier: Python is one as of 3.13."""

import shutil
import ssl
import subprocess

import pytest

from lab import pki

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


@pytest.fixture
def folder(tmp_path):
    authority = pki.CertificateAuthority("kubernetes")
    authority.pair.write(tmp_path, "ca")
    pki.CertificateAuthority("kubernetes").pair.write(tmp_path, "other")
    authority.issue("kube-apiserver", pki.SERVER, names=("localhost", "127.0.0.1")).write(tmp_path, "server")
    authority.issue("admin", pki.CLIENT, groups=("system:masters",)).write(tmp_path, "client")
    return tmp_path


def verify(folder, authority: str, name: str) -> subprocess.CompletedProcess[str]:
    command = ["openssl", "verify", "-x509_strict", "-purpose", f"ssl{name}"]
    files = ["-CAfile", folder / f"{authority}.crt", folder / f"{name}.crt"]
    return subprocess.run([*command, *files], capture_output=True, text=True)


@needs_openssl
@pytest.mark.parametrize("name", ["server", "client"])
def test_a_strict_verifier_accepts_what_the_clusters_ca_issued(folder, name):
    answer = verify(folder, "ca", name)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs_openssl
def test_another_ca_of_the_same_name_is_not_the_issuer(folder):
    assert verify(folder, "other", "server").returncode


def test_pythons_strict_client_connects(folder):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    client = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
