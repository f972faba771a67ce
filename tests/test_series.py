"""The whole series on one lab, in this order: nbval, papermill, others' clients, clean-up.

nbval executes each notebook and compares what it shows with the outputs that are committed.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from papermill.exceptions import PapermillExecutionError
from tenacity import Retrying, stop_after_delay, wait_fixed

from helpers import series

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = series.notebooks()
TUTORIAL, CLEAN_UP = NOTEBOOKS[:-1], NOTEBOOKS[-1]
RULES = PROJECT / "tests/notebooks/sanitize.cfg"

Env = dict[str, str]


def run(env: Env, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True)


def answer(env: Env, *command: str) -> str:
    done = run(env, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def papermill(env: Env, notebook: Path, out: Path) -> Path:
    """Run one notebook as `make tutorial` does; papermill's kernels take the environment of this process."""
    with patch.dict(os.environ, env):
        return series.run(notebook, out)


def nbval(env: Env, notebook: Path) -> subprocess.CompletedProcess[str]:
    options = ("--nbval", "--nbval-current-env", f"--nbval-sanitize-with={RULES}", "--color=no", "-vv")
    plugins = ("-p", "no:cacheprovider", "-p", "tests.notebooks.pictures")
    return run(env, sys.executable, "-m", "pytest", *options, *plugins, str(notebook))


@pytest.mark.parametrize("notebook", TUTORIAL[2:], ids=lambda p: p.stem)
def test_out_of_order_a_notebook_says_which_comes_first(lab_environment, notebook, tmp_path):
    with pytest.raises(PapermillExecutionError) as failed:
        papermill(lab_environment, notebook, tmp_path)
    assert failed.value.ename == "NotYet"
    assert re.search(r"0\d-[a-z]", failed.value.evalue), failed.value.evalue


@pytest.mark.parametrize("notebook", TUTORIAL, ids=lambda p: p.stem)
def test_it_shows_what_is_committed(lab_environment, notebook):
    compared = nbval(lab_environment, notebook)
    assert compared.returncode == 0, compared.stdout


@pytest.mark.parametrize(
    ("true", "false"), [("HTTP/1.1 200 OK", "HTTP/1.1 503 OK"), ("CN=client.lambda.external", "CN=stranger")]
)
def test_another_output_is_noticed(lab_environment, tmp_path, true, false):
    changed = tmp_path / TUTORIAL[6].name
    text = TUTORIAL[6].read_text()
    changed.write_text(text.replace(true, false))
    assert changed.read_text() != text
    compared = nbval(lab_environment, changed)
    assert compared.returncode == 1
    assert false in compared.stdout


@pytest.mark.parametrize("notebook", TUTORIAL, ids=lambda p: p.stem)
def test_a_second_run_by_papermill_passes_too(lab_environment, notebook, tmp_path):
    papermill(lab_environment, notebook, tmp_path)


def test_the_page_came_from_the_pod(lab_environment, tmp_path):
    page = series.text_of(papermill(lab_environment, TUTORIAL[6], tmp_path), "the-page")
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
        refused = run(lab_environment, "aws", "eks", "describe-cluster", "--name", "no-such-cluster")
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
        refused = run(
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
    refused = run(lab_environment, sys.executable, "-c", code)
    assert refused.returncode != 0
    assert "broken" in refused.stderr
    after = answer(
        lab_environment, "kubectl", "--context", "eks", "get", "virtualservice", "-A", "-o", "name"
    )
    assert after == before


def test_the_clean_up_leaves_nothing_in_either_cloud(lab_environment):
    compared = nbval(lab_environment, CLEAN_UP)
    assert compared.returncode == 0, compared.stdout
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


def test_a_second_clean_up_finds_nothing_to_do(lab_environment, tmp_path):
    papermill(lab_environment, CLEAN_UP, tmp_path)


def test_nothing_was_written_into_the_readers_own_settings(lab_environment):
    home = Path(lab_environment["HOME"])
    assert [name for name in (".kube", ".aws", ".config/gcloud", ".docker") if (home / name).exists()] == []
