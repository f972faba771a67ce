"""Revocation lists, verified by OpenSSL as an Envoy does: a list from each CA in a chain."""

import subprocess

import pytest
from cryptography import x509

from helpers import crl, pki, roots


@pytest.fixture
def cas():
    """A root with two intermediates, and a certificate of each."""
    root = roots.root()
    meshes = {mesh: roots.intermediate(mesh, root) for mesh in ("eks", "gke")}
    leaves = {
        mesh: pki.another_client(f"{mesh}.example", file=mesh, ca=f"roots/{mesh}-ca")[0] for mesh in meshes
    }
    return root, meshes, leaves


def verify(root, mesh, leaf, *lists):
    words = ["openssl", "verify", "-CAfile", root.certificate, "-untrusted", mesh.certificate]
    words += ["-crl_check_all", *(word for each in lists for word in ("-CRLfile", each)), leaf]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_revoked_intermediate_fails_with_all_that_it_signed_and_the_other_does_not(cas):
    root, meshes, leaves = cas
    lists = [crl.issue(each.certificate) for each in (root, *meshes.values())]
    for mesh in meshes:
        assert ": OK" in verify(root, meshes[mesh], leaves[mesh], *lists)
    lists[0] = crl.issue(root.certificate, meshes["gke"].certificate)
    assert "certificate revoked" in verify(root, meshes["gke"], leaves["gke"], *lists)
    assert ": OK" in verify(root, meshes["eks"], leaves["eks"], *lists)


def test_without_a_list_of_the_intermediate_nothing_is_accepted(cas):
    root, meshes, leaves = cas
    assert "unable to get certificate CRL" in verify(
        root, meshes["eks"], leaves["eks"], crl.issue(root.certificate)
    )


def test_the_printed_commands_make_the_same_list(cas, capsys):
    root, meshes, _ = cas
    capsys.readouterr()
    file = crl.issue(root.certificate, meshes["gke"].certificate)
    lines, before = capsys.readouterr().out, x509.load_pem_x509_crl(file.read_bytes())
    for each in (file, file.with_suffix(".cnf"), file.with_suffix(".index")):
        each.unlink()
    subprocess.run(["sh", "-ec", lines], check=True, capture_output=True)
    after = x509.load_pem_x509_crl(file.read_bytes())
    assert [each.serial_number for each in after] == [each.serial_number for each in before]
    assert [each.serial_number for each in after] == [pki.read(meshes["gke"].certificate).serial_number]
    assert after.issuer == before.issuer


def test_issuing_again_starts_from_an_empty_list(cas):
    root, meshes, _ = cas
    crl.issue(root.certificate, meshes["gke"].certificate)
    assert not list(x509.load_pem_x509_crl(crl.issue(root.certificate).read_bytes()))
