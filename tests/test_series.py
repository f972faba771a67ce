"""One run of the series: its outputs match the committed ones; what exists then, seen by other clients."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tenacity import Retrying, stop_after_delay, wait_fixed

from helpers.base import contents
from series.run import notebooks, text_of
from tests import messy, solutions
from tests.conftest import PROJECT, completed, run
from tests.notebooks.compare import differences

TUTORIAL = notebooks(contents.ARTICLE)
RUNNER = (sys.executable, "-m", "tests.faults.notebooks")
BIN = Path(sys.executable).parent
IN_SLEEP = ("kubectl", "--context", "gke", "exec", "-n", "sleep", "deploy/sleep", "-c", "sleep", "--")

Env = dict[str, str]


def build(env: Env) -> Path:
    """What a run writes."""
    return Path(env["KUBECONFIG"]).parent


def shown(env: Env, notebook: Path) -> Path:
    return build(env) / "run" / notebook.name


def python(env: Env, code: str) -> str:
    """Run code with that lab's settings, in its own process."""
    return run(env, sys.executable, "-c", code)


def exists_now(env: Env) -> dict[str, str]:
    """The state of each thing and path, in the words of the picture."""
    words = python(env, "from helpers import state; print(state.now().words)")
    return {row[0]: row[1] for row in (re.split(" {2,}", line) for line in words.splitlines()[2:])}


@pytest.mark.parametrize("notebook", TUTORIAL, ids=lambda p: p.stem)
def test_outputs_match_the_committed_ones(meshes, notebook):
    assert not (found := differences(shown(meshes, notebook), notebook)), found


def falsified(notebook: Path, true: str, false: str, folder: Path) -> Path:
    """A copy whose committed outputs differ."""
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
def test_a_different_output_is_detected(meshes, tmp_path, number, true, false):
    claimed = falsified(TUTORIAL[number], true, false, tmp_path)
    found = differences(shown(meshes, TUTORIAL[number]), claimed)
    assert true.strip() in found and "mismatch" in found


def test_the_page_came_from_the_pod(meshes):
    page = text_of(shown(meshes, TUTORIAL[6]), "the-page")
    assert "HTTP/1.1 200 OK" in page and "server: envoy" in page and "content-length: 258" in page
    assert "Hello World from Lambda" in page


def plain(env: Env) -> Env:
    """A shell that knows only which lab to use: by default, that is `lab`.

    It has all settings for other work, except those for Jupyter and IPython, which are the reader's here.
    """
    home = Path(env["HOME"])
    jupyters = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = dict.fromkeys(jupyters, str(home.with_name("jupyter")))
    own |= {"PATH": "/usr/bin:/bin", "TUTORIAL_SETTINGS": env["TUTORIAL_SETTINGS"]}
    return messy.shell(home) | own


def nbconvert(out: Path, *notebooks: Path) -> list[str]:
    """Executes them in their own folder, as an editor does."""
    words = ("--to=notebook", "--execute", f"--output-dir={out}")
    return [f"{BIN}/jupyter", "nbconvert", *words, *map(str, notebooks)]


def test_a_second_run_and_the_solutions_pass(meshes, tmp_path):
    solved = [solutions.as_cells(notebook, tmp_path) for notebook in TUTORIAL]
    run(plain(meshes), *nbconvert(tmp_path / "out", *solved))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in TUTORIAL]


@pytest.mark.parametrize(("code", "passes"), [("assert 1 + 1 == 2", True), ("assert 1 + 1 == 3", False)])
def test_a_wrong_solution_is_detected(tmp_path, code, passes):
    solution = f"<details><summary>Solution</summary>\n\n```python\n{code}\n```\n</details>"
    notebook = tmp_path / "07-a-sum.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("import os"), new_markdown_cell(solution)]), notebook)
    command = nbconvert(tmp_path / "out", solutions.as_cells(notebook, tmp_path / "solved"))
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode == 0, "AssertionError" not in done.stderr) == (passes, passes)


def test_nbval_finds_the_committed_outputs_too(meshes):
    """A second run of the last notebook has the outputs of the first one."""
    words = ("--nbval", "--nbval-sanitize-with=tests/notebooks/sanitize.cfg")
    said = run(plain(meshes), f"{BIN}/pytest", *words, str(TUTORIAL[6].relative_to(PROJECT)))
    assert "8 passed" in said


def test_in_the_end_everything_exists_and_all_paths_are_open(meshes):
    found = exists_now(meshes)
    assert not {"not yet", "not known", "not open yet"} & set(found.values()), found
    assert found["target group"] == "healthy" and found["GKE: sleep"] == "ready"
    assert found["path egress gateway → ingress gateway"] == "open"


class TestOtherPeoplesClients:
    """The AWS CLI, kubectl and istioctl, with only the output of `python -m lab env`."""

    def test_aws_lists_what_the_notebooks_created(self, meshes):
        balancers = json.loads(run(meshes, "aws", "elbv2", "describe-load-balancers"))["LoadBalancers"]
        assert [(b["Scheme"], b["State"]["Code"]) for b in balancers] == [("internal", "active")]
        clusters = json.loads(run(meshes, "aws", "eks", "list-clusters"))["clusters"]
        assert len(clusters) == 1

    def test_aws_errors_have_the_services_wording(self, meshes):
        refused = completed(meshes, "aws", "eks", "describe-cluster", "--name", "no-such-cluster")
        assert refused.returncode != 0
        assert "ResourceNotFoundException" in refused.stderr

    @pytest.mark.parametrize("context", ["eks", "gke"])
    def test_kubectl_authenticates_with_the_clouds_own_tokens(self, meshes, context):
        nodes = json.loads(run(meshes, "kubectl", "--context", context, "get", "nodes", "-o", "json"))
        assert len(nodes["items"]) == 1

    @pytest.mark.parametrize("context", ["eks", "gke"])
    def test_kubectl_is_rejected_without_a_token(self, meshes, context, tmp_path):
        config = json.loads(run(meshes, "kubectl", "config", "view", "--raw", "-o", "json"))
        for user in config["users"]:
            user["user"] = {"token": "not-a-token"}
        stranger = tmp_path / "kubeconfig"
        stranger.write_text(json.dumps(config))
        refused = completed(
            meshes | {"KUBECONFIG": str(stranger)}, "kubectl", "--context", context, "get", "nodes"
        )
        assert refused.returncode != 0
        assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr

    def test_the_aws_cli_writes_a_kubeconfig(self, meshes, tmp_path):
        (name,) = json.loads(run(meshes, "aws", "eks", "list-clusters"))["clusters"]
        env = meshes | {"KUBECONFIG": str(tmp_path / "config")}
        run(env, "aws", "eks", "update-kubeconfig", "--name", name)
        assert "istiod" in run(env, "kubectl", "get", "deployments", "-n", "istio-system", "-o", "name")

    def test_istioctl_sees_both_meshes(self, meshes, tmp_path):
        env = meshes | {"HOME": str(tmp_path)}  # ~/.istioctl affects a reader's own istioctl
        eks = run(env, "istioctl", "--context", "eks", "proxy-status")
        gke = run(env, "istioctl", "--context", "gke", "proxy-status")
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
    """From the live logs: the hops of a request, and where it stopped."""

    def test_it_has_six_hops_each_within_the_duration_of_the_previous_one(self, meshes):
        hops = self.follow(meshes, "200")
        names = ["curl", "sidecar", "egress gateway", "ingress gateway", "load balancer", "function"]
        assert [(each["name"], each["state"]) for each in hops] == [(name, "passed") for name in names]
        assert [each["server"] for each in hops[3:5]] == ["CN=lambda.external", "CN=alb.example.com"]
        assert hops[3]["client"] == "CN=client.lambda.external"
        times = [each["seconds"] for each in hops]
        # The load balancer logs whole milliseconds.
        assert all(inner <= outer + 0.002 for outer, inner in itertools.pairwise(times)), times

    def test_without_its_certificate_it_stops_at_the_egress_gateway(self, meshes):
        kubectl = ("kubectl", "--context", "gke", "-n", "istio-egress")
        run(meshes, *kubectl, "delete", "destinationrule", "dr-lambda-ext")
        try:
            hops = self.follow(meshes, "503")
        finally:
            python(meshes, "from helpers import kube; kube.apply('gke', 'manifests/gke/dr-lambda-ext.yaml')")
        assert [each["state"] for each in hops] == ["passed", "passed", "refused", "never", "never", "never"]
        assert hops[2]["why"].startswith(("UC: ", "UPE: "))
        pod_hears(meshes, HELLO)

    def follow(self, env: Env, status: str) -> list[dict[str, Any]]:
        """Returns once the answer has this status: configuration takes a moment to propagate."""
        for attempt in Retrying(stop=stop_after_delay(120), wait=wait_fixed(2), reraise=True):
            with attempt:
                hops = json.loads(python(env, FOLLOW).splitlines()[-1])
                assert hops[0]["status"] == f"HTTP/1.1 {status}"
        return hops


def test_the_request_is_plain_text_on_the_functions_loopback(meshes):
    """As notebook 09 says: there, the Lambda runtime API passes the event to the function."""
    tcpdump = ("timeout", "60", "tcpdump", "-i", "lo", "-A", "--immediate-mode", "-l")
    capture = [sys.executable, "-m", "lab", "exec", "lambda", "--", *tcpdump]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with subprocess.Popen(capture, env=meshes, cwd=PROJECT, **pipes) as process:
        assert any("listening on lo" in line for line in process.stdout)
        header = ("-H", "X-Api-Key: for-the-function")
        run(meshes, *IN_SLEEP, "curl", "-s", *header, "lambda.external/hello-world")
        assert any('"x-api-key": "for-the-function"' in line for line in process.stdout)
        process.terminate()


HELLO = "Hello World from Lambda"


def pod_hears(env: Env, words: str) -> None:
    """Waits, as new configuration takes a moment to propagate."""
    for attempt in Retrying(stop=stop_after_delay(90), wait=wait_fixed(0.5), reraise=True):
        with attempt:
            assert words in run(env, *IN_SLEEP, "curl", "-s", "lambda.external/hello-world")


def egress_gateway_logs(env: Env, words: str) -> None:
    """Envoy writes its log every ten seconds. The pod is new, so all lines are about this certificate."""
    logs = ("kubectl", "--context", "gke", "-n", "istio-egress", "logs", "deploy/istio-egressgateway")
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True):
        with attempt:
            assert words in run(env, *logs)


def restart(env: Env, context: str, namespace: str, gateway: str) -> None:
    """Open connections would be kept; a new pod has none."""
    kubectl = ("kubectl", "--context", context, "-n", namespace, "rollout")
    run(env, *kubectl, "restart", f"deploy/{gateway}")
    run(env, *kubectl, "status", f"deploy/{gateway}")


def set_secret(env: Env, name: str, files: dict[str, Path]) -> None:
    """Put files into a Secret of the ingress gateway, as notebook 04 does."""
    texts = {key: str(path) for key, path in files.items()}
    code = f"kube.secret('eks', 'istio-ingress', {name!r}, {{k: Path(v) for k, v in {texts!r}.items()}})"
    python(env, f"from pathlib import Path; from helpers import kube; {code}")


def test_server_certificates_for_another_host_or_expired_are_rejected(meshes, tmp_path):
    """Signed by the right CA, but rejected by the egress gateway."""
    certs = build(meshes) / "certs"

    def present(cert: Path, key: Path) -> None:
        set_secret(meshes, "mtls-credential", {"cert": cert, "key": key, "cacert": certs / "mtls-ca.crt"})
        restart(meshes, "gke", "istio-egress", "istio-egressgateway")

    try:
        for host, days in (("other.external", 30), ("lambda.external", -1)):
            present(*issue(certs, tmp_path / host, host, days))
            pod_hears(meshes, "remote connection failure")
            egress_gateway_logs(meshes, "CERTIFICATE_VERIFY_FAILED")
    finally:
        present(certs / "server.crt", certs / "server.key")
    pod_hears(meshes, HELLO)


def issue(certs: Path, folder: Path, host: str, days: int) -> tuple[Path, Path]:
    """A server certificate from the tutorial's own CA, by openssl."""
    folder.mkdir()
    cert, key, request = folder / "server.crt", folder / "server.key", folder / "server.csr"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key))
    names = ("-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    subprocess.run(["openssl", "req", "-new", *new_key, *names, "-out", str(request)], check=True)
    signer = ("-CA", str(certs / "mtls-ca.crt"), "-CAkey", str(certs / "mtls-ca.key"), "-CAcreateserial")
    form = ("-copy_extensions", "copy", "-CAserial", str(folder / "serial"), "-days", str(days))
    request_ = ["openssl", "x509", "-req", "-in", str(request), *signer, *form, "-out", str(cert)]
    subprocess.run(request_, check=True)
    return cert, key


IN_SERVICE = """
from helpers import classic_load_balancer, kube
address = kube.service_address("eks", "istio-ingress", "istio-ingressgateway")
classic_load_balancer.wait_in_service(address, timeout={timeout})
"""


class TestWhatCouldGoWrong:
    """The causes in the tables of 04 and 05 have the effects described there."""

    def test_an_old_address_of_the_other_gateway(self, meshes):
        words = ("--context", "eks", "-n", "istio-ingress", "get", "service", "istio-ingressgateway")
        found = json.loads(run(meshes, "kubectl", *words, "-o", "json"))
        try:
            for address, says in (
                ("gone.example.com", "no healthy upstream"),
                ("198.51.100.250", "connection timeout"),
            ):
                self.lead_to(meshes, address)
                pod_hears(meshes, says)
        finally:
            self.lead_to(meshes, found["status"]["loadBalancer"]["ingress"][0]["hostname"])
        pod_hears(meshes, HELLO)

    def test_another_ca_for_the_load_balancer(self, meshes):
        certs = build(meshes) / "certs"
        try:
            self.trust(meshes, certs / "stranger-ca.crt")
            pod_hears(meshes, "remote connection failure")
        finally:
            self.trust(meshes, certs / "alb-ca.crt")
        pod_hears(meshes, HELLO)

    def test_without_a_gateway_object_the_load_balancer_forwards_nothing(self, meshes):
        """Nothing listens on the node port then, as before notebook 04."""
        gateway = ("-n", "istio-ingress", "delete", "gateway.networking.istio.io", "eastwestgateway")
        run(meshes, "kubectl", "--context", "eks", *gateway)
        try:
            for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True):
                with attempt:
                    waiting = completed(meshes, sys.executable, "-c", IN_SERVICE.format(timeout=0))
                    assert "has failed at least the UnhealthyThreshold number" in waiting.stderr
            pod_hears(meshes, "upstream connect error")
        finally:
            python(
                meshes, "from helpers import kube; kube.apply('eks', 'manifests/eks/eastwestgateway.yaml')"
            )
        assert "aws elb wait any-instance-in-service" in python(meshes, IN_SERVICE.format(timeout=60))
        pod_hears(meshes, HELLO)

    def lead_to(self, env: Env, address: str) -> None:
        code = f"kube.apply('gke', 'manifests/gke/se-lambda-ext.yaml', GATEWAY_ADDRESS={address!r})"
        python(env, f"from helpers import kube; {code}")

    def trust(self, env: Env, authority: Path) -> None:
        set_secret(env, "alb-ca", {"ca.crt": authority})
        restart(env, "eks", "istio-ingress", "istio-ingressgateway")


def test_a_broken_manifest_changes_nothing(meshes, tmp_path):
    """The API server's admission calls istiod, which rejects a VirtualService without a route."""
    listed = ("kubectl", "--context", "eks", "get", "virtualservice", "-A", "-o", "name")
    before = run(meshes, *listed)
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: broken, namespace: istio-ingress}\nspec: {hosts: [lambda.external], http: [{}]}\n"
    )
    code = f"from helpers import kube; kube.apply('eks', {str(broken)!r})"
    refused = completed(meshes, sys.executable, "-c", code)
    assert refused.returncode != 0
    assert "broken" in refused.stderr
    assert run(meshes, *listed) == before
