"""The gateways' certificates on a real API server; an Envoy's part is the test's own."""

import base64

import pytest

from helpers import credentials, kube, pki
from helpers.base.errors import ChangeNeededError, TimedOutError
from helpers.proxies import EGRESS, GATEWAYS, INGRESS

SECRET = "secret/mtls-credential"


@pytest.fixture
def files(envoys):
    for context, gateway in GATEWAYS.items():
        kube.namespace(context, gateway.namespace)
        kube.delete(context, gateway.namespace, SECRET)
    return pki.ensure()


def installed(gateway) -> dict[str, bytes]:
    data = kube.require(gateway.context, gateway.namespace, SECRET).data.to_dict()
    return {key: base64.b64decode(value) for key, value in data.items()}


def test_the_gateway_has_certificate_key_and_ca_and_both_are_shown(files, envoys, capsys):
    envoys.late = 1
    capsys.readouterr()
    credentials.install("gke", (files.client_cert, files.client_key), files.mtls_ca)
    wanted = {"cert": files.client_cert, "key": files.client_key, "cacert": files.mtls_ca}
    assert installed(EGRESS) == {key: path.read_bytes() for key, path in wanted.items()}
    shown = capsys.readouterr().out
    for certificate in (files.client_cert, files.mtls_ca):
        serial = pki.serial(certificate)
        assert f"| grep {serial}\n" in shown and shown.count(serial) > 1
    assert "PRIVATE KEY" not in shown


def test_each_gateway_gets_its_own_and_both_trust_the_same(files):
    server, client = (files.server_cert, files.server_key), (files.client_cert, files.client_key)
    credentials.install_both(server, client, files.mtls_ca)
    assert installed(INGRESS)["cert"] == files.server_cert.read_bytes()
    assert installed(EGRESS)["cert"] == files.client_cert.read_bytes()
    assert installed(INGRESS)["cacert"] == installed(EGRESS)["cacert"] == files.mtls_ca.read_bytes()


def test_it_is_an_error_if_the_envoy_does_not_get_it(files, envoys, impatient):
    envoys.late = 1000
    with pytest.raises(TimedOutError, match=r"the CAs of mtls-ca\.crt in .*: still “0 CAs”"):
        credentials.install("gke", (files.client_cert, files.client_key), files.mtls_ca)


def test_it_is_an_error_if_the_envoy_trusts_another_ca_too(files, envoys, impatient):
    """As while both are in a bundle, which the next phase replaces."""
    both = pki.bundle("both", files.mtls_ca, files.stranger_ca)
    pair = (files.client_cert, files.client_key)
    credentials.install("gke", pair, both)
    envoys.late = 1000
    with pytest.raises(TimedOutError, match=r"the CAs of mtls-ca\.crt in .*: still “2 CAs”"):
        credentials.install("gke", pair, files.mtls_ca)


def test_in_read_only_mode_nothing_is_installed(files, monkeypatch):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match="secret/mtls-credential: missing"):
        credentials.install("gke", (files.client_cert, files.client_key), files.mtls_ca)
    assert kube.find("gke", EGRESS.namespace, SECRET) is None


def test_names_and_days_that_are_left_come_from_the_envoys(files):
    short = pki.another_client(pki.CLIENT, file="short", seconds=45)
    credentials.install_both((files.server_cert, files.server_key), short, files.mtls_ca)
    rows = {
        (cluster, secret.partition("//")[2]): rest for cluster, secret, *rest in credentials.expiry().rows
    }
    assert [rows[cluster, "mtls-credential"][0] for cluster in ("eks", "gke")] == [pki.SERVER, pki.CLIENT]
    assert rows["eks", "mtls-credential-cacert"][0] == ""
    left = {which: rest[-1] for which, rest in rows.items()}
    assert left["gke", "mtls-credential"] == "0.0 days"
    assert left["eks", "mtls-credential"].startswith("36")
    assert left["eks", "mtls-credential-cacert"].startswith("36")


def test_a_gateway_without_certificates_is_not_in_the_table(files):
    credentials.install("eks", (files.server_cert, files.server_key), files.mtls_ca)
    assert {row[0] for row in credentials.expiry().rows} == {"eks"}
