"""CAs for both meshes, and what istioctl says about a proxy's certificates."""

import base64
import json
import subprocess

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from helpers import istio, roots


@pytest.fixture
def root():
    return roots.root()


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_an_intermediate_is_signed_by_the_root_and_by_no_other(root):
    mesh = roots.intermediate("eks", root)
    assert mesh.root == root.certificate
    read(mesh.certificate).verify_directly_issued_by(read(root.certificate))
    assert mesh.key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidSignature):
        read(mesh.certificate).verify_directly_issued_by(read(roots.root().certificate))


def test_the_printed_command_makes_the_same_files(root, capsys):
    mesh = roots.intermediate("gke", root)
    line, before = capsys.readouterr().out, read(mesh.certificate)
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    after = read(mesh.certificate)
    assert after.serial_number != before.serial_number
    assert (after.subject, after.issuer) == (before.subject, before.issuer)
    after.verify_directly_issued_by(read(root.certificate))


def test_the_chain_and_the_roots_of_a_proxy_are_read(root):
    mesh = roots.intermediate("gke", root)
    inline = lambda *paths: {  # noqa: E731
        "inlineBytes": base64.b64encode(b"".join(path.read_bytes() for path in paths)).decode()
    }
    chain = {"tlsCertificate": {"certificateChain": inline(mesh.certificate, root.certificate)}}
    trusted = {"validationContext": {"trustedCa": inline(root.certificate)}}
    found = [{"name": "default", "secret": chain}, {"name": "ROOTCA", "secret": trusted}]
    answer = json.dumps({"dynamicActiveSecrets": found})
    certificates = [read(mesh.certificate), read(root.certificate)]
    assert istio.certificates_in(answer) == {"default": certificates, "ROOTCA": certificates[1:]}
    assert istio.certificates_in('{"dynamicActiveSecrets": [{"name": "default"}]}') == {}
