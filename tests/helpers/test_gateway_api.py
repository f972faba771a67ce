"""The Gateway API's kinds and Gateways, against a real API server; istiod's part is the test's own."""

import json
import re
import time

import pytest
import yaml

from helpers import gateway_api, kube
from helpers.base.errors import ApiError, ChangeNeededError, TimedOutError, UnreachableError
from helpers.base.settings import ROOT, Settings, current
from tests import web
from tests.helpers.api_server import kubectl

CRDS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gateways.gateway.networking.k8s.io
  annotations:
    api-approved.kubernetes.io: https://github.com/kubernetes-sigs/gateway-api/pull/2466
    gateway.networking.k8s.io/bundle-version: v9.9.9
spec:
  group: gateway.networking.k8s.io
  names: {kind: Gateway, listKind: GatewayList, plural: gateways, singular: gateway}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: of-the-gateway-api}
"""
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: default}
spec: {gatewayClassName: istio}
"""


@pytest.fixture
def kinds(cluster, tmp_path, monkeypatch):
    """The file of the settings."""
    (tmp_path / "kinds.yaml").write_text(CRDS)
    monkeypatch.setenv("TUTORIAL_GATEWAY_API", str(tmp_path / "kinds.yaml"))
    yield tmp_path / "kinds.yaml"
    kubectl("delete", "--ignore-not-found", "-f", str(tmp_path / "kinds.yaml"))


@pytest.fixture
def gateway(kinds):
    """A Gateway, as soon as its kind is served."""
    gateway_api.install("eks")
    end = time.monotonic() + 30
    while True:
        try:
            return kube.apply_text("eks", GATEWAY)
        except ApiError:
            assert time.monotonic() < end
            time.sleep(0.2)


def programmed(status: str, **address: str) -> None:
    condition = {
        "type": "Programmed",
        "status": status,
        "reason": "Tested",
        "message": "no load balancer yet",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patch = {"status": {"conditions": [condition], "addresses": [address] if address else []}}
    words = ("patch", gateway_api.GATEWAY, "door", "--subresource=status", "--type=merge", "-p")
    assert kubectl(*words, json.dumps(patch)).returncode == 0


def crd():
    return kube.find("eks", "", "customresourcedefinition/gateways.gateway.networking.k8s.io")


def test_lab_and_accounts_get_the_version_that_istio_is_built_with(programs):
    [version] = re.findall(r"sigs.k8s.io/gateway-api (v\S+)", (ROOT / "lab/binaries/go.mod").read_text())
    assert f"/{version}/standard-install.yaml" in Settings.model_fields["TUTORIAL_GATEWAY_API"].default
    found = list(yaml.load_all((programs / "gateway-api.yaml").read_text(), Loader=yaml.CSafeLoader))
    crds = [each for each in found if each["kind"] == "CustomResourceDefinition"]
    assert {each["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"] for each in crds} == {
        version
    }
    assert {"Gateway", "HTTPRoute", "BackendTLSPolicy"} <= {each["spec"]["names"]["kind"] for each in crds}


def test_kinds_are_installed_and_removed_however_often(kinds, capsys):
    for _ in range(2):
        gateway_api.install("eks")
        assert crd()
    said = capsys.readouterr().out
    assert said.count("kubectl --context eks apply --server-side") == said.count("/eks/gateway-api.yaml") == 2
    for _ in range(2):
        gateway_api.remove("eks")
        assert crd() is None
    said = capsys.readouterr().out
    # What was applied last goes first.
    assert re.findall(r"^kubectl .* delete (\w+)/", said, re.M) == ["clusterrole", "customresourcedefinition"]


def test_kinds_that_the_cluster_came_with_stay_as_they_are(kinds, capsys):
    assert kubectl("apply", "--server-side", "-f", str(kinds)).returncode == 0
    gateway_api.install("eks")
    assert capsys.readouterr().out == "eks came with the Gateway API v9.9.9\n"
    gateway_api.remove("eks")
    assert crd()


def test_in_read_only_mode_missing_kinds_are_named(kinds, monkeypatch):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match=r"gateways\.gateway\.networking\.k8s\.io: missing"):
        gateway_api.install("eks")
    assert crd() is None


def test_kinds_are_downloaded(kinds, monkeypatch, capsys):
    class Release(web.Handler):
        def do_GET(self) -> None:
            self.answer(200, CRDS.encode()) if self.path == "/kinds.yaml" else self.answer(404)

    with web.serving(web.on_loopback(Release)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("TUTORIAL_GATEWAY_API", f"{url}/gone.yaml")
        with pytest.raises(UnreachableError, match="404"):
            gateway_api.install("eks")
        assert crd() is None
        current.cache_clear()  # settings are read once per process
        monkeypatch.setenv("TUTORIAL_GATEWAY_API", f"{url}/kinds.yaml")
        gateway_api.install("eks")
        assert f"-f {url}/kinds.yaml" in capsys.readouterr().out
        assert crd()


def test_address_is_awaited_and_a_missing_one_explained(gateway, capsys):
    with pytest.raises(TimedOutError, match="istiod has not seen it yet"):
        gateway_api.address("eks", "default", "door", timeout=1)
    programmed("False")
    with pytest.raises(TimedOutError, match="no load balancer yet"):
        gateway_api.address("eks", "default", "door", timeout=1)
    programmed("True", type="IPAddress", value="203.0.113.7")
    capsys.readouterr()
    assert gateway_api.address("eks", "default", "door", timeout=5) == "203.0.113.7"
    said = capsys.readouterr().out
    assert "wait gateway.gateway.networking.k8s.io/door" in said and said.endswith("\n203.0.113.7\n")


def test_who_may_read_secrets(cluster, capsys):
    assert not gateway_api.may_read_secrets("eks", "default", "door-istio")
    assert kubectl("create", "role", "readers", "--verb=list", "--resource=secrets").returncode == 0
    binding = ("create", "rolebinding", "readers", "--role=readers", "--serviceaccount=default:door-istio")
    assert kubectl(*binding).returncode == 0
    end = time.monotonic() + 10
    while not gateway_api.may_read_secrets("eks", "default", "door-istio"):
        assert time.monotonic() < end  # the authorizer's cache
    kubectl("delete", "rolebinding/readers", "role/readers")
    said = capsys.readouterr().out
    assert said.startswith("kubectl --context eks -n default auth can-i list secrets")
    assert said.count("--as system:serviceaccount:default:door-istio\n") == said.count("\nno\n") + 1
    assert said.endswith("\nyes\n")


def test_answers_are_a_table_of_clients_and_doors(monkeypatch, tmp_path):
    class Door(web.Handler):
        def do_GET(self) -> None:
            self.answer(200 if self.path == "/page" else 404)

    monkeypatch.setenv("TUTORIAL_OUTSIDE_COMMAND", "env")
    with web.serving(web.on_loopback(Door)) as server:
        door = ["--connect-to", f"door.example:80:127.0.0.1:{server.server_port}"]
        closed = ["--connect-to", "door.example:80:127.0.0.1:1"]
        clients = {"page": ["http://door.example/page"], "other": ["http://door.example/other"]}
        answers = gateway_api.answers({"open": door, "shut": closed}, clients)
    assert answers.rows == {"page": ["200", "closed"], "other": ["404", "closed"]}
    assert answers.at("open") == ["200", "404"] and answers.at("shut") == ["closed", "closed"]
    assert repr(answers).splitlines()[0].split() == ["client", "open", "shut"]
