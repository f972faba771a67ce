"""kubectl and istioctl against a real API server that has no nodes."""

import json
import re
import subprocess

import pytest

from helpers import istio, kube, logs, pki
from helpers.base.errors import (
    CommandError,
    PrerequisiteError,
    TimedOutError,
    ToolMissingError,
    TutorialError,
)
from helpers.base.settings import current

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: door, namespace: ${PLACE}}
spec: {type: LoadBalancer, ports: [{port: ${PORT}}], selector: {app: door}}
"""


@pytest.fixture
def place(cluster, request) -> str:
    """A namespace of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:60].strip("-")
    kube.namespace("eks", name)
    return name


@pytest.fixture
def service(tmp_path) -> str:
    (tmp_path / "service.yaml").write_text(SERVICE)
    return str(tmp_path / "service.yaml")


def get(place: str, what: str) -> dict:
    return json.loads(kube.kubectl("eks", "-n", place, "get", what, "-o", "json", show=False).text)


def give_address(place: str, **ingress: str) -> None:
    status = json.dumps({"status": {"loadBalancer": {"ingress": [ingress]}}})
    words = ("patch", "service", "door", "--subresource=status", "--type=merge", "-p", status)
    kube.kubectl("eks", "-n", place, *words, show=False)


def test_apply_fills_in_and_may_be_repeated(place, service, capsys):
    capsys.readouterr()
    kube.apply("eks", service, PLACE=place, PORT=443)
    first = capsys.readouterr().out
    kube.apply("eks", service, PLACE=place, PORT=443)
    assert capsys.readouterr().out == first
    assert first.startswith("$ kubectl --context eks apply --server-side --force-conflicts -f ")
    assert first.endswith("service/door serverside-applied\n")
    assert get(place, "service/door")["spec"]["ports"][0]["port"] == 443


def test_command_that_is_shown_can_be_pasted(place, service, capsys):
    capsys.readouterr()
    kube.apply("eks", service, PLACE=place, PORT=443)
    line = capsys.readouterr().out.splitlines()[0].removeprefix("$ ")
    done = subprocess.run(line, shell=True, env=current().environment(), capture_output=True, text=True)
    assert done.stdout == "service/door serverside-applied\n"


def test_broken_manifest_is_refused_in_the_servers_words(place, service):
    with pytest.raises(CommandError, match="port") as failed:
        kube.apply("eks", service, PLACE=place, PORT=70000)
    assert failed.value.exit_code == 1
    with pytest.raises(CommandError, match="NotFound"):
        get(place, "service/door")


def test_manifest_with_an_unknown_name_is_not_sent(place, service):
    with pytest.raises(TutorialError, match=r"\$\{PORT\}"):
        kube.apply("eks", service, PLACE=place)
    with pytest.raises(CommandError, match="NotFound"):
        get(place, "service/door")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Service\nmetadata: {name: door", "yaml: line 2"),
        ("kind: Door\napiVersion: v1\nmetadata: {name: door}\n", 'no matches for kind "Door"'),
        (SERVICE.replace("ports:", "prots:"), "prots"),
        (SERVICE.replace("${PORT}", "$-"), "dollar sign"),
    ],
    ids=["yaml", "kind", "field", "dollar"],
)
def test_manifest_with_a_mistake_says_which(place, tmp_path, text, says):
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(TutorialError, match=says):
        kube.apply("eks", str(tmp_path / "broken.yaml"), PLACE=place, PORT=443)
    with pytest.raises(CommandError, match="NotFound"):
        get(place, "service/door")


def test_namespace_is_there_with_its_labels_however_often(cluster, capsys):
    kube.namespace("eks", "labelled", team="a")
    first = capsys.readouterr().out
    kube.namespace("eks", "labelled", team="a")
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]
    assert json.loads(kube.kubectl("eks", "get", "ns", "labelled", "-o", "json").text)["metadata"]["labels"][
        "team"
    ] == ("a")


def test_secret_holds_the_files_and_shows_nothing_of_them(place, capsys):
    files = pki.ensure()
    capsys.readouterr()
    kube.secret("eks", place, "mtls-credential", {"key": files.server_key, "cert": files.server_cert})
    shown = capsys.readouterr().out
    assert "create secret generic mtls-credential --from-file=key=" in shown
    assert "PRIVATE KEY" not in shown
    line = shown.splitlines()[0].removeprefix("$ ")
    environment = current().environment()
    pasted = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True)
    assert pasted.stdout == "secret/mtls-credential serverside-applied\n"
    one = kube.kubectl(
        "eks", "-n", place, "get", "secret/mtls-credential", "-o", "go-template={{.data.key|base64decode}}"
    )
    assert one.text == files.server_key.read_text()


@pytest.mark.parametrize("ingress", [{"ip": "198.51.100.19"}, {"hostname": "a1.us-east-1.elb.amazonaws.com"}])
def test_address_of_a_service_is_an_ip_or_a_host_name(cluster, service, ingress):
    place = next(iter(ingress))
    kube.namespace("eks", place)
    kube.apply("eks", service, PLACE=place, PORT=443)
    give_address(place, **ingress)
    assert kube.service_address("eks", place, "door") == next(iter(ingress.values()))


def test_address_that_nobody_gives_is_waited_for_to_a_limit(place, service):
    kube.apply("eks", service, PLACE=place, PORT=443)
    with pytest.raises(TimedOutError, match="still “pending” after 0 s"):
        kube.service_address("eks", place, "door", timeout=0)


def test_service_that_is_not_there_names_the_notebook(place):
    with pytest.raises(PrerequisiteError, match="Run 02-deploy-istio-in-eks first"):
        kube.service_address("eks", place, "door")


def test_workload_that_does_not_become_ready_is_a_time_out(place, tmp_path):
    (tmp_path / "sleep.yaml").write_text(
        "apiVersion: apps/v1\nkind: Deployment\n"
        f"metadata: {{name: sleep, namespace: {place}}}\n"
        "spec: {selector: {matchLabels: {app: sleep}}, template: {metadata: {labels: {app: sleep}},\n"
        "  spec: {containers: [{name: sleep, image: none}]}}}\n"
    )
    kube.apply("eks", str(tmp_path / "sleep.yaml"))
    with pytest.raises(TimedOutError, match="rollout status deploy/sleep"):
        kube.rollout("eks", place, "deploy/sleep", timeout=1)


def test_answer_with_an_exit_code_can_be_looked_at(cluster):
    output = kube.kubectl("eks", "get", "ns", "nowhere", check=False)
    assert (output.exit_code, "NotFound" in output.errors) == (1, True)


def test_context_that_does_not_exist_names_the_notebook(cluster):
    with pytest.raises(PrerequisiteError, match="Run 03-deploy-istio-in-gke first"):
        kube.kubectl("gke", "get", "nodes")


def test_missing_kubectl_says_where_to_get_it(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"kubernetes\.io"):
        kube.kubectl("eks", "get", "nodes")


def test_missing_istioctl_too(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"istio\.io"):
        istio.proxy_status("eks")


def test_fingerprint_of_the_meshs_root_is_that_of_openssl(cluster):
    with pytest.raises(TutorialError, match="install istiod first"):
        istio.root_fingerprint("eks")
    files = pki.ensure()
    kube.namespace("eks", "istio-system")
    kube.secret("eks", "istio-system", "istio-ca-secret", {"ca-cert.pem": files.mtls_ca})
    words = ["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", str(files.mtls_ca)]
    expected = subprocess.run(words, capture_output=True, text=True).stdout.strip().partition("=")[2]
    assert istio.root_fingerprint("eks") == expected


def test_log_entry_is_the_line_of_that_request():
    line = '2026-11-22T00:00:00Z {"traceparent":"00-aa-bb-01","status":200}'
    assert logs._entry(line) == {"traceparent": "00-aa-bb-01", "status": 200}
    assert logs._entry("no json") == {"line": "no json"}
