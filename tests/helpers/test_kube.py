"""The Kubernetes client and istioctl against a real API server without nodes."""

import base64
import json
import re
import subprocess

import pytest
import yaml

from helpers import istio, kube, logs, pki
from helpers.base.errors import (
    ApiError,
    ChangeNeededError,
    PrerequisiteError,
    TimedOutError,
    ToolMissingError,
    TutorialError,
    UnreachableError,
)
from helpers.base.settings import ROOT, current
from helpers.base.waiting import wait_until
from tests.helpers import api_server
from tests.helpers.api_server import kubectl

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: door, namespace: ${PLACE}}
spec: {type: LoadBalancer, ports: [{port: ${PORT}}], selector: {app: door}}
"""


@pytest.fixture
def place(cluster, request) -> str:
    """A namespace for this test only."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    kube.namespace("eks", name)
    return name


@pytest.fixture
def service(tmp_path) -> str:
    (tmp_path / "service.yaml").write_text(SERVICE)
    return str(tmp_path / "service.yaml")


def give_address(place: str, **ingress: str) -> None:
    status = json.dumps({"status": {"loadBalancer": {"ingress": [ingress]}}})
    words = ("patch", "service", "door", "--subresource=status", "--type=merge", "-p", status)
    assert kubectl("-n", place, *words).returncode == 0


def pasted(printed: str) -> str:
    words = ["bash", "-c", printed]
    done = subprocess.run(words, env=current().environment(), cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_apply_fills_in_values_and_can_be_repeated(place, service, capsys):
    capsys.readouterr()
    kube.apply("eks", service, PLACE=place, PORT=443)
    first = capsys.readouterr().out
    kube.apply("eks", service, PLACE=place, PORT=443)
    assert capsys.readouterr().out == first
    assert first.startswith("kubectl --context eks apply --server-side --force-conflicts -f ")
    assert first.endswith("\n# → service/door serverside-applied\n")
    assert kube.require("eks", place, "service/door").spec.ports[0].port == 443


def test_printed_command_can_be_pasted(place, service, capsys):
    capsys.readouterr()
    kube.apply("eks", service, PLACE=place, PORT=443)
    assert pasted(capsys.readouterr().out) == "service/door serverside-applied\n"


def test_invalid_manifest_is_rejected_with_the_servers_message(place, service):
    with pytest.raises(ApiError, match="between 1 and 65535") as failed:
        kube.apply("eks", service, PLACE=place, PORT=70000)
    assert failed.value.code == "Invalid"
    assert kube.find("eks", place, "service/door") is None


def test_manifest_with_an_unknown_name_is_not_sent(place, service):
    with pytest.raises(TutorialError, match=r"\$\{PORT\}"):
        kube.apply("eks", service, PLACE=place)
    assert kube.find("eks", place, "service/door") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Service\nmetadata: {name: door", "not YAML: .*\n.*line 2"),
        ("kind: Door\napiVersion: v1\nmetadata: {name: door}\n", 'no matches for kind "Door"'),
        (SERVICE.replace("ports:", "prots:"), "prots"),
        (SERVICE.replace("${PORT}", "$-"), "dollar sign"),
    ],
    ids=["yaml", "kind", "field", "dollar"],
)
def test_manifest_error_is_specific(place, tmp_path, text, says):
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(TutorialError, match=says):
        kube.apply("eks", str(tmp_path / "broken.yaml"), PLACE=place, PORT=443)
    assert kube.find("eks", place, "service/door") is None


def test_ensure_namespace_is_idempotent(cluster, capsys):
    kube.namespace("eks", "again")
    first = capsys.readouterr().out
    kube.namespace("eks", "again")
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]
    assert [each for each in kube.get("eks", "ns") if each.metadata.name == "again"]


def test_field_is_awaited(place, service, capsys):
    with pytest.raises(TimedOutError, match="missing"):
        kube.wait_for("eks", place, "service/door", ".spec.type", "LoadBalancer", timeout=1)
    kube.apply("eks", service, PLACE=place, PORT=443)
    with pytest.raises(TimedOutError, match="443"):
        kube.wait_for("eks", place, "service/door", ".spec.ports[0].port", "80", timeout=1)
    capsys.readouterr()
    kube.wait_for("eks", place, "service/door", ".spec.ports[0].port", "443", timeout=5)
    shown = capsys.readouterr().out
    assert pasted(shown.replace("service/door condition met\n", "")) == "service/door condition met\n"


def test_config_map_has_the_files(place, tmp_path, capsys):
    (tmp_path / "ca").write_text("a certificate")
    capsys.readouterr()
    kube.config_map("eks", place, "ca", {"ca.crt": tmp_path / "ca"})
    assert kube.require("eks", place, "configmap/ca").data["ca.crt"] == "a certificate"
    assert pasted(capsys.readouterr().out).startswith("configmap/ca serverside-applied")


def test_object_without_a_file_gets_one_that_can_be_pasted(place, capsys):
    capsys.readouterr()
    kube.apply_text("eks", SERVICE.replace("${PLACE}", place).replace("${PORT}", "443"))
    shown = capsys.readouterr().out
    assert shown.startswith("kubectl --context eks apply --server-side --force-conflicts")
    assert pasted(shown) == "service/door serverside-applied\n"


def test_in_check_mode_nothing_changes_and_differences_are_named(place, service, monkeypatch, capsys):
    kube.apply("eks", service, PLACE=place, PORT=443)
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    capsys.readouterr()
    kube.apply("eks", service, PLACE=place, PORT=443)
    kube.namespace("eks", place)
    assert capsys.readouterr().out.count(" unchanged\n") == 2
    with pytest.raises(ChangeNeededError, match=r"# service/door: spec\.ports\[0\]\.port differs"):
        kube.apply("eks", service, PLACE=place, PORT=444)
    assert kube.require("eks", place, "service/door").spec.ports[0].port == 443
    with pytest.raises(ChangeNeededError, match="delete service/door"):
        kube.delete("eks", place, "service/door")
    kube.delete("eks", place, "service/none")
    for change in (
        lambda: kube.namespace("eks", "none"),
        lambda: kube.secret("eks", place, "none", {}),
    ):
        with pytest.raises(ChangeNeededError, match="/none: missing"):
            change()
    assert kube.find("eks", place, "secret/none") is None


def test_in_check_mode_a_changed_secret_is_named_and_not_shown(place, tmp_path, monkeypatch):
    (tmp_path / "key").write_text("one")
    kube.secret("eks", place, "key", {"key": tmp_path / "key"})
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    kube.secret("eks", place, "key", {"key": tmp_path / "key"})
    (tmp_path / "key").write_text("other")
    with pytest.raises(ChangeNeededError) as failed:
        kube.secret("eks", place, "key", {"key": tmp_path / "key"})
    assert str(failed.value).endswith("# secret/key: data.key differs")


def test_secret_contains_the_files_and_is_not_shown(place, capsys):
    files = pki.ensure()
    capsys.readouterr()
    kube.secret("eks", place, "mtls-credential", {"key": files.server_key, "cert": files.server_cert})
    shown = capsys.readouterr().out
    assert "generic mtls-credential" in shown and "--from-file=key=" in shown
    assert "PRIVATE KEY" not in shown
    assert pasted(shown) == "secret/mtls-credential serverside-applied\n"
    key = kube.require("eks", place, "secret/mtls-credential").data.key
    assert base64.b64decode(key) == files.server_key.read_bytes()


@pytest.mark.parametrize("ingress", [{"ip": "198.51.100.19"}, {"hostname": "a1.us-east-1.elb.amazonaws.com"}])
def test_address_of_a_service_is_an_ip_or_a_host_name(cluster, service, ingress):
    place = next(iter(ingress))
    kube.namespace("eks", place)
    kube.apply("eks", service, PLACE=place, PORT=443)
    give_address(place, **ingress)
    assert kube.service_address("eks", place, "door") == next(iter(ingress.values()))


def test_waiting_for_an_address_times_out(place, service):
    kube.apply("eks", service, PLACE=place, PORT=443)
    with pytest.raises(TimedOutError, match="still “pending” after 0 s"):
        kube.service_address("eks", place, "door", timeout=0)


def test_missing_service_names_the_notebook(place):
    with pytest.raises(PrerequisiteError, match="Run 02-deploy-istio-in-eks first"):
        kube.service_address("eks", place, "door")


def test_workload_that_does_not_become_ready_times_out(place, tmp_path):
    (tmp_path / "sleep.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\n"
        f"metadata: {{name: sleep, namespace: {place}}}\n"
        "spec: {selector: {matchLabels: {app: sleep}}, template: {metadata: {labels: {app: sleep}},\n"
        "  spec: {containers: [{name: sleep, image: none}]}}}\n"
    )
    kube.apply("eks", str(tmp_path / "sleep.yaml"))
    with pytest.raises(TimedOutError, match="rollout status deploy/sleep"):
        kube.rollout("eks", place, "deploy/sleep", timeout=1)


COLUMNS = {
    "NAME": ".metadata.name",
    "FIRST": ".spec.containers[0].image",
    "ALL": ".spec.containers[*].name",
    "NONE": ".spec.initContainers[*].name",
}


def test_columns_are_those_of_kubectl(place, tmp_path, capsys):
    for name, containers in (
        ("one", "[{name: a, image: x}]"),
        ("another", "[{name: a, image: x}, {name: b, image: y}]"),
    ):
        kube.apply_text(
            "eks",
            f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {place}}},"
            f" spec: {{containers: {containers}}}}}",
        )
    capsys.readouterr()
    found = kube.get("eks", "pods", place, columns=COLUMNS)
    line, answer = re.split(r"(?<!\\)\n", capsys.readouterr().out, maxsplit=1)
    assert [pod.metadata.name for pod in found] == ["another", "one"]
    assert pasted(line) == answer
    assert "a,b" in answer and "<none>" in answer


def crd(kind: str, version: str) -> str:
    plural = f"{kind.lower()}s"
    return f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.versions.example.com}}
spec:
  group: versions.example.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}, singular: {kind.lower()}}}
  versions:
    - name: {version}
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object}}}}
"""


def test_a_kind_without_its_groups_preferred_version_is_found_and_deleted(place):
    """As EnvoyFilter, which is v1alpha3 only."""
    for kind, version in (("Stable", "v1"), ("Early", "v1alpha1")):
        kube.apply_text("eks", crd(kind, version))
    early = "{apiVersion: versions.example.com/v1alpha1, kind: Early, metadata: {name: one, namespace: %s}}"
    wait_until("Early", lambda: applied(early % place), bool, timeout=30)
    assert kube.find("eks", place, "early/one") is not None
    kube.delete("eks", place, "early/one")
    assert kube.find("eks", place, "early/one") is None


def test_a_kind_that_is_added_to_a_known_group_is_found(place):
    for kind in ("Known", "Late"):
        kube.apply_text("eks", crd(kind, "v1"))
        noun = f"{kind.lower()}s.versions.example.com"
        wait_until(noun, lambda noun=noun: listed(noun, place), bool, timeout=30)


def listed(noun: str, place: str) -> bool:
    try:
        return kube.get("eks", noun, place) == []
    except ApiError:
        return False


def applied(text: str) -> bool:
    try:
        kube.apply_text("eks", text)
    except ApiError:  # the API server does not serve a new kind at once
        return False
    return True


def test_kinds_have_kubectls_names(place, service):
    kube.apply("eks", service, PLACE=place, PORT=443)
    for word in ("service", "services", "svc", "Service"):
        assert kube.find("eks", place, f"{word}/door").metadata.name == "door"
    assert kube.get("eks", "deploy", place) == kube.get("eks", "deployments.apps", place) == []
    with pytest.raises(ApiError, match="doesn't have a resource type"):
        kube.get("eks", "gateways.networking.istio.io", place)


def test_delete_is_idempotent(place, service, capsys):
    kube.apply("eks", service, PLACE=place, PORT=443)
    kube.delete("eks", place, "service/door")
    assert kube.find("eks", place, "service/door") is None
    assert capsys.readouterr().out.endswith('delete service/door\n# → service "door" deleted\n')
    kube.delete("eks", place, "service/door")


def test_several_objects_are_deleted_in_order_and_missing_ones_are_skipped(place, capsys):
    for name in ("one", "two"):
        assert kubectl("-n", place, "create", "secret", "generic", name).returncode == 0
    capsys.readouterr()
    kube.delete("eks", place, "secret/two", "secret/none", "secret/one")
    deleted = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    assert deleted == ['# → secret "two" deleted', '# → secret "one" deleted']


def test_one_field_is_set_by_a_command_that_can_be_pasted(place, service, capsys):
    kube.apply("eks", service, PLACE=place, PORT=443)
    capsys.readouterr()
    for value in (8443, 9443):
        kube.set_field("eks", place, "service/door", "/spec/ports/0/port", value)
    said = capsys.readouterr().out
    assert said.endswith("# → service/door patched\n")
    assert kube.require("eks", place, "service/door").spec.ports[0].port == 9443
    first = said.partition("# →")[0]
    assert pasted(first) == "service/door patched\n"
    assert kube.require("eks", place, "service/door").spec.ports[0].port == 8443
    with pytest.raises(ApiError, match="between 1 and 65535"):
        kube.set_field("eks", place, "service/door", "/spec/ports/0/port", 0)


def test_in_check_mode_no_field_is_set(place, service, monkeypatch):
    kube.apply("eks", service, PLACE=place, PORT=443)
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    current.cache_clear()
    with pytest.raises(ChangeNeededError, match="patch service/door"):
        kube.set_field("eks", place, "service/door", "/spec/ports/0/port", 8443)


def test_a_rejection_is_shown_and_an_acceptance_is_an_error(place, service, capsys):
    capsys.readouterr()
    assert "between 1 and 65535" in kube.rejected("eks", service, PLACE=place, PORT=70000)
    assert "Error from server: Invalid" in capsys.readouterr().out
    with pytest.raises(TutorialError, match="it was accepted"):
        kube.rejected("eks", service, PLACE=place, PORT=443)


def test_deletion_that_does_not_finish_times_out(place):
    finalizer = f"{{name: kept, namespace: {place}, finalizers: [example.com/kept]}}"
    kube.apply_text("eks", f"{{apiVersion: v1, kind: Secret, metadata: {finalizer}}}")
    with pytest.raises(TimedOutError, match="secret/kept to be deleted: still “still there”"):
        kube.delete("eks", place, "secret/kept", timeout=0)
    assert (
        kubectl("-n", place, "patch", "secret", "kept", "-p", '{"metadata":{"finalizers":null}}').returncode
        == 0
    )


def test_a_field_changed_by_another_manager_is_reset(place, service):
    kube.apply("eks", service, PLACE=place, PORT=443)
    patch = '{"spec": {"type": "ClusterIP"}}'
    assert kubectl("-n", place, "patch", "service", "door", "-p", patch).returncode == 0
    kube.apply("eks", service, PLACE=place, PORT=443)
    assert kube.require("eks", place, "service/door").spec.type == "LoadBalancer"


def test_missing_context_names_the_notebook(cluster):
    with pytest.raises(PrerequisiteError, match="Run 03-deploy-istio-in-gke first"):
        kube.get("gke", "nodes")


def test_an_invalid_token_is_rejected(cluster):
    path = current().KUBECONFIG
    path.write_text(path.read_text().replace(api_server.TOKEN, "another"))
    with pytest.raises(ApiError, match="Unauthorized"):
        kube.get("eks", "nodes")


def test_a_server_with_another_certificate_is_rejected(cluster, tmp_path):
    files = pki.ensure()
    config = yaml.safe_load(current().KUBECONFIG.read_text())
    other = base64.b64encode(files.mtls_ca.read_bytes()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = other
    current().KUBECONFIG.write_text(yaml.safe_dump(config))
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        kube.get("eks", "nodes")


def test_no_proxy_is_used_for_this_machine(cluster, monkeypatch):
    """As with kubectl, whatever NO_PROXY contains."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert kube.get("eks", "nodes") == []


def test_missing_istioctl_error_says_where_to_get_it(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"istio\.io"):
        istio.proxy_status("eks")


def test_fingerprint_of_the_mesh_root_matches_openssl(cluster):
    with pytest.raises(TutorialError, match="install istiod first"):
        istio.root_fingerprint("eks")
    files = pki.ensure()
    kube.namespace("eks", "istio-system")
    kube.secret("eks", "istio-system", "istio-ca-secret", {"ca-cert.pem": files.mtls_ca})
    words = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(files.mtls_ca)]
    expected = subprocess.run(words, capture_output=True, text=True).stdout.strip().partition("=")[2]
    assert istio.root_fingerprint("eks") == expected


def test_log_entry_is_found_by_its_request():
    line = '2026-11-22T00:00:00Z {"traceparent":"00-aa-bb-01","status":200}'
    assert logs._entry(line) == {"traceparent": "00-aa-bb-01", "status": 200}
    assert logs._entry("no json") == {"line": "no json"}
