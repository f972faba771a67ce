"""The whole series on one lab, in this order: nbval, papermill, others' clients, clean-up.

nbval executes each notebook and compares what it shows with the outputs that are committed.
"""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from tenacity import Retrying, stop_after_delay, wait_fixed

from series import run
from tests import solutions

pytestmark = pytest.mark.xdist_group("meshes")

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = run.notebooks()
TUTORIAL, CLEAN_UP = NOTEBOOKS[:-1], NOTEBOOKS[-1]
RULES = PROJECT / "tests/notebooks/sanitize.cfg"

Env = dict[str, str]


def started(env: Env, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True)


def answer(env: Env, *command: str) -> str:
    done = started(env, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def papermill(env: Env, notebook: Path, out: Path) -> Path:
    """Run one notebook as `make tutorial` does; papermill's kernels take the environment of this process."""
    with patch.dict(os.environ, env):
        return run.run(notebook, out)


def nbval(env: Env, notebook: Path) -> subprocess.CompletedProcess[str]:
    options = ("--nbval", "--nbval-current-env", f"--nbval-sanitize-with={RULES}", "--color=no", "-vv")
    plugins = ("-p", "no:cacheprovider", "-p", "tests.notebooks.pictures")
    return started(env, sys.executable, "-m", "pytest", *options, *plugins, str(notebook))


@pytest.mark.parametrize("notebook", TUTORIAL[2:], ids=lambda p: p.stem)
def test_out_of_order_a_notebook_says_which_comes_first(lab_environment, notebook, tmp_path):
    with pytest.raises(PapermillExecutionError) as failed:
        papermill(lab_environment, notebook, tmp_path)
    assert failed.value.ename == "PrerequisiteError"
    assert re.search(r"0\d-[a-z]", failed.value.evalue), failed.value.evalue


def exists_now(env: Env) -> dict[str, str]:
    """The state of each thing and way, as the picture's words have it."""
    words = answer(env, sys.executable, "-c", "from helpers import state; print(state.now().words)")
    return {row[0]: row[1] for row in (re.split(" {2,}", line) for line in words.splitlines()[2:])}


def test_before_the_first_notebook_nothing_exists(lab_environment):
    found = exists_now(lab_environment)
    assert set(found.values()) == {"not yet", "not open yet"}
    assert {"VPC", "GKE cluster", "way ingress gateway → internal ALB"} < set(found)


@pytest.mark.parametrize("notebook", TUTORIAL, ids=lambda p: p.stem)
def test_it_shows_what_is_committed(lab_environment, notebook):
    compared = nbval(lab_environment, notebook)
    assert compared.returncode == 0, compared.stdout


def falsified(notebook: Path, true: str, false: str, folder: Path) -> Path:
    """A copy whose committed outputs claim something else."""
    made = nbformat.read(notebook, as_version=4)
    count = 0
    for output in (output for cell in made.cells for output in cell.get("outputs", [])):
        texts = output if "text" in output else output.get("data", {})
        for key in ("text", "text/plain", "text/html"):
            count += texts.get(key, "").count(true)
            if key in texts:
                texts[key] = texts[key].replace(true, false)
    assert count, f"{notebook.name} does not show {true!r}"
    nbformat.write(made, folder / notebook.name)
    return folder / notebook.name


@pytest.mark.parametrize(
    ("number", "true", "false"),
    [
        pytest.param(6, "HTTP/1.1 200 OK", "HTTP/1.1 503 OK", id="another status"),
        pytest.param(6, "server: envoy\n", "", id="a missing line"),
        pytest.param(4, "CN=Lambda external CA", "CN=A stranger's CA", id="another root"),
    ],
)
def test_another_output_is_noticed(lab_environment, tmp_path, number, true, false):
    compared = nbval(lab_environment, falsified(TUTORIAL[number], true, false, tmp_path))
    assert compared.returncode == 1
    assert true.strip() in compared.stdout and "mismatch" in compared.stdout


@pytest.mark.parametrize("notebook", TUTORIAL, ids=lambda p: p.stem)
def test_a_second_run_by_papermill_passes_too_and_so_do_the_solutions(lab_environment, notebook, tmp_path):
    papermill(lab_environment, solutions.as_cells(notebook, tmp_path / "solved"), tmp_path)


def test_a_wrong_solution_is_noticed(lab_environment, tmp_path):
    wrong = tmp_path / TUTORIAL[0].name
    wrong.write_text(TUTORIAL[0].read_text().replace("assert ", "assert not "))
    assert solutions.of(wrong) != solutions.of(TUTORIAL[0])
    with pytest.raises(PapermillExecutionError) as failed:
        papermill(lab_environment, solutions.as_cells(wrong, tmp_path / "solved"), tmp_path)
    assert failed.value.ename == "AssertionError"


def test_in_the_end_all_exists_and_all_ways_are_open(lab_environment):
    found = exists_now(lab_environment)
    assert not {"not yet", "not known", "not open yet"} & set(found.values()), found
    assert found["target group"] == "healthy" and found["GKE: sleep"] == "ready"
    assert found["way egress gateway → ingress gateway"] == "open"


def test_the_page_came_from_the_pod(lab_environment, tmp_path):
    page = run.text_of(papermill(lab_environment, TUTORIAL[6], tmp_path), "the-page")
    assert "HTTP/1.1 200 OK" in page and "server: envoy" in page and "content-length: 258" in page
    assert "Hello World from Lambda" in page


class TestOtherPeoplesClients:
    """The AWS CLI, kubectl and istioctl, with nothing but what `python -m lab env` prints."""

    def test_aws_lists_what_the_notebooks_made(self, lab_environment):
        balancers = json.loads(answer(lab_environment, "aws", "elbv2", "describe-load-balancers"))[
            "LoadBalancers"
        ]
        assert [(b["Scheme"], b["State"]["Code"]) for b in balancers] == [("internal", "active")]
        clusters = json.loads(answer(lab_environment, "aws", "eks", "list-clusters"))["clusters"]
        assert len(clusters) == 1

    def test_aws_refuses_in_the_services_words(self, lab_environment):
        refused = started(lab_environment, "aws", "eks", "describe-cluster", "--name", "no-such-cluster")
        assert refused.returncode != 0
        assert "ResourceNotFoundException" in refused.stderr

    @pytest.mark.parametrize("context", ["eks", "gke"])
    def test_kubectl_enters_with_the_clouds_own_tokens(self, lab_environment, context):
        nodes = json.loads(
            answer(lab_environment, "kubectl", "--context", context, "get", "nodes", "-o", "json")
        )
        assert len(nodes["items"]) == 1

    @pytest.mark.parametrize("context", ["eks", "gke"])
    def test_kubectl_is_refused_without_a_token(self, lab_environment, context, tmp_path):
        config = json.loads(answer(lab_environment, "kubectl", "config", "view", "--raw", "-o", "json"))
        for user in config["users"]:
            user["user"] = {"token": "not-a-token"}
        stranger = tmp_path / "kubeconfig"
        stranger.write_text(json.dumps(config))
        refused = started(
            lab_environment | {"KUBECONFIG": str(stranger)}, "kubectl", "--context", context, "get", "nodes"
        )
        assert refused.returncode != 0
        assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr

    def test_aws_writes_a_kubeconfig_of_its_own(self, lab_environment, tmp_path):
        (name,) = json.loads(answer(lab_environment, "aws", "eks", "list-clusters"))["clusters"]
        env = lab_environment | {"KUBECONFIG": str(tmp_path / "config")}
        answer(env, "aws", "eks", "update-kubeconfig", "--name", name)
        assert "istiod" in answer(env, "kubectl", "get", "deployments", "-n", "istio-system", "-o", "name")

    def test_istioctl_sees_both_meshes(self, lab_environment):
        eks = answer(lab_environment, "istioctl", "--context", "eks", "proxy-status")
        gke = answer(lab_environment, "istioctl", "--context", "gke", "proxy-status")
        assert "istio-ingressgateway" in eks and "istio-egressgateway" not in eks
        assert "istio-egressgateway" in gke and "sleep" in gke


FOLLOW = """
import json
from dataclasses import asdict
from helpers import curl, follow
sent = ("-so", "/dev/null", "-H", f"traceparent: {curl.traceparent()}", "lambda.external/hello-world")
way = follow.request(curl.in_pod("gke", "sleep", "deploy/sleep", *sent, container="sleep"))
print("\\n" + json.dumps([asdict(each) for each in way.hops]))
"""


class TestARequestFollowed:
    """From the live logs: where it was, and where it stopped."""

    def test_it_was_in_six_places_each_within_the_time_of_the_one_before(self, lab_environment):
        hops = self.follow(lab_environment, "200")
        names = ["curl", "sidecar", "egress gateway", "ingress gateway", "load balancer", "function"]
        assert [(each["name"], each["state"]) for each in hops] == [(name, "passed") for name in names]
        assert [each["server"] for each in hops[3:5]] == ["CN=lambda.external", "CN=alb.example.com"]
        assert hops[3]["client"] == "CN=client.lambda.external"
        times = [each["seconds"] for each in hops]
        # The load balancer logs whole milliseconds.
        assert all(inner <= outer + 0.002 for outer, inner in itertools.pairwise(times)), times

    def test_without_its_certificate_the_egress_gateway_is_where_it_stops(self, lab_environment):
        kubectl = ("kubectl", "--context", "gke", "-n", "istio-egress")
        answer(lab_environment, *kubectl, "delete", "destinationrule", "dr-lambda-ext")
        try:
            hops = self.follow(lab_environment, "503")
        finally:
            code = "from helpers import kube; kube.apply('gke', 'manifests/gke/dr-lambda-ext.yaml')"
            answer(lab_environment, sys.executable, "-c", code)
        assert [each["state"] for each in hops] == ["passed", "passed", "refused", "never", "never", "never"]
        assert hops[2]["why"].startswith(("UC: ", "UPE: "))
        assert [each["state"] for each in self.follow(lab_environment, "200")] == ["passed"] * 6

    def follow(self, env: Env, status: str) -> list[dict[str, Any]]:
        """As soon as the answer has this status: configuration takes a moment to arrive."""
        for attempt in Retrying(stop=stop_after_delay(120), wait=wait_fixed(2), reraise=True):
            with attempt:
                hops = json.loads(answer(env, sys.executable, "-c", FOLLOW).splitlines()[-1])
                assert hops[0]["status"] == f"HTTP/1.1 {status}"
        return hops


class TestServersCertificate:
    """Signed by the right authority, and yet not good enough for the egress gateway."""

    @pytest.mark.parametrize(("host", "days"), [("other.external", 30), ("lambda.external", -1)])
    def test_for_another_host_or_expired_it_is_refused(self, lab_environment, tmp_path, host, days):
        certs = Path(lab_environment["KUBECONFIG"]).parent / "certs"
        cert, key = issue(certs, tmp_path, host, days)
        try:
            self.show(lab_environment, cert, key)
            self.pod_gets(lab_environment, "503")
        finally:
            self.show(lab_environment, certs / "server.crt", certs / "server.key")
        self.pod_gets(lab_environment, "200")

    def show(self, env: Env, cert: Path, key: Path) -> None:
        """Put it into the ingress gateway's Secret, as notebook 04 does."""
        files = {"cert": str(cert), "key": str(key), "cacert": str(cert.parent / "mtls-ca.crt")}
        code = (
            "from pathlib import Path; from helpers import kube; kube.secret('eks', 'istio-ingress', "
            f"'mtls-credential', {{k: Path(v) for k, v in {files!r}.items()}})"
        )
        answer(env, sys.executable, "-c", code)

    def pod_gets(self, env: Env, status: str) -> None:
        """Soon: a new Secret takes Envoy a moment, and connections that are open stay."""
        curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "lambda.external/hello-world")
        pod = ("exec", "-n", "sleep", "deploy/sleep", "-c", "sleep", "--")
        gateway = ("-n", "istio-egress", "rollout", "restart", "deploy/istio-egressgateway")
        answer(env, "kubectl", "--context", "gke", *gateway)
        answer(env, "kubectl", "--context", "gke", *gateway[:3], "status", gateway[-1])
        for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True):
            with attempt:
                assert answer(env, "kubectl", "--context", "gke", *pod, *curl) == status


class TestWhatCouldGoWrong:
    """Causes in the tables of 04 and 05 have the effects that stand beside them."""

    @pytest.mark.parametrize(
        ("address", "says"),
        [("gone.example.com", "no healthy upstream"), ("198.51.100.250", "connection timeout")],
    )
    def test_an_old_address_of_the_other_gateway(self, lab_environment, address, says):
        words = ("--context", "eks", "-n", "istio-ingress", "get", "service", "istio-ingressgateway")
        found = json.loads(answer(lab_environment, "kubectl", *words, "-o", "json"))
        try:
            self.lead_to(lab_environment, address)
            self.pod_hears(lab_environment, says)
        finally:
            self.lead_to(lab_environment, found["status"]["loadBalancer"]["ingress"][0]["hostname"])
        self.pod_hears(lab_environment, "Hello World from Lambda")

    def test_another_authority_for_the_load_balancer(self, lab_environment):
        try:
            self.trust(lab_environment, "stranger-ca.crt")
            self.pod_hears(lab_environment, "remote connection failure")
        finally:
            self.trust(lab_environment, "alb-ca.crt")
        self.pod_hears(lab_environment, "Hello World from Lambda")

    def lead_to(self, env: Env, address: str) -> None:
        code = f"kube.apply('gke', 'manifests/gke/se-lambda-ext.yaml', GATEWAY_ADDRESS={address!r})"
        answer(env, sys.executable, "-c", f"from helpers import kube; {code}")

    def trust(self, env: Env, name: str) -> None:
        file = Path(env["KUBECONFIG"]).parent / "certs" / name
        code = f"kube.secret('eks', 'istio-ingress', 'alb-ca', {{'ca.crt': Path({str(file)!r})}})"
        answer(env, sys.executable, "-c", f"from pathlib import Path; from helpers import kube; {code}")
        # Connections that are open stay as they are; a new pod has none.
        gateway = ("kubectl", "--context", "eks", "-n", "istio-ingress", "rollout")
        answer(env, *gateway, "restart", "deploy/istio-ingressgateway")
        answer(env, *gateway, "status", "deploy/istio-ingressgateway")

    def pod_hears(self, env: Env, words: str) -> None:
        pod = ("exec", "-n", "sleep", "deploy/sleep", "-c", "sleep", "--")
        for attempt in Retrying(stop=stop_after_delay(90), wait=wait_fixed(1), reraise=True):
            with attempt:
                got = answer(env, "kubectl", "--context", "gke", *pod, "curl", "-s", "lambda.external")
                assert words in got


def issue(certs: Path, folder: Path, host: str, days: int) -> tuple[Path, Path]:
    """A server's certificate from the tutorial's own authority, by openssl."""
    (folder / "mtls-ca.crt").write_bytes((certs / "mtls-ca.crt").read_bytes())
    cert, key, request = folder / "server.crt", folder / "server.key", folder / "server.csr"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))
    names = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    subprocess.run(["openssl", "req", "-new", *new_key, *names, "-out", str(request)], check=True)
    signer = ("-CA", str(certs / "mtls-ca.crt"), "-CAkey", str(certs / "mtls-ca.key"), "-CAcreateserial")
    form = ("-copy_extensions", "copy", "-CAserial", str(folder / "serial"), "-days", str(days))
    request_ = ["openssl", "x509", "-req", "-in", str(request), *signer, *form, "-out", str(cert)]
    subprocess.run(request_, check=True)
    return cert, key


def test_a_broken_manifest_changes_nothing(lab_environment, tmp_path):
    """The API server's admission asks istiod, which refuses a VirtualService without a route."""
    before = answer(
        lab_environment, "kubectl", "--context", "eks", "get", "virtualservice", "-A", "-o", "name"
    )
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: broken, namespace: istio-ingress}\nspec: {hosts: [lambda.external], http: [{}]}\n"
    )
    code = f"from helpers import kube; kube.apply('eks', {str(broken)!r})"
    refused = started(lab_environment, sys.executable, "-c", code)
    assert refused.returncode != 0
    assert "broken" in refused.stderr
    after = answer(
        lab_environment, "kubectl", "--context", "eks", "get", "virtualservice", "-A", "-o", "name"
    )
    assert after == before


def test_the_clean_up_leaves_nothing_in_either_cloud(lab_environment):
    compared = nbval(lab_environment, CLEAN_UP)
    assert compared.returncode == 0, compared.stdout
    assert set(exists_now(lab_environment).values()) == {"not yet", "not open yet"}
    assert json.loads(answer(lab_environment, "aws", "eks", "list-clusters"))["clusters"] == []
    assert (
        json.loads(answer(lab_environment, "aws", "elbv2", "describe-load-balancers"))["LoadBalancers"] == []
    )
    assert json.loads(answer(lab_environment, "aws", "lambda", "list-functions"))["Functions"] == []
    tagged = answer(
        lab_environment, "aws", "resourcegroupstaggingapi", "get-resources", "--tag-filters", "Key=Project"
    )
    left = [found["ResourceARN"] for found in json.loads(tagged)["ResourceTagMappingList"]]
    # AWS lists a deleted NAT gateway, and says so, for about an hour.
    gateways = json.loads(answer(lab_environment, "aws", "ec2", "describe-nat-gateways"))["NatGateways"]
    assert {gateway["State"] for gateway in gateways} <= {"deleted"}
    assert [arn for arn in left if ":natgateway/" not in arn] == []


def test_a_second_clean_up_finds_nothing_to_do_and_its_solutions_hold(lab_environment, tmp_path):
    papermill(lab_environment, solutions.as_cells(CLEAN_UP, tmp_path / "solved"), tmp_path)


def test_nothing_was_written_into_the_readers_own_settings(lab_environment):
    home = Path(lab_environment["HOME"])
    assert [name for name in (".aws", ".config/gcloud", ".docker") if (home / name).exists()] == []
    # istioctl keeps a cache there, and knows no other place.
    assert [path.name for path in (home / ".kube").glob("*")] in ([], ["cache"])
