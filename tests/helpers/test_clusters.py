"""EKS against plain moto, GKE where it cannot be reached, and what kubectl is told to ask for tokens.

Whole clusters come up in the lab's tests and in the series.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from helpers import aws, cleanup, eks, gke, network
from helpers.aws import cloudwatch_logs, node_group
from helpers.base.errors import PrerequisiteError, SettingsError, TutorialError, UnreachableError
from helpers.base.settings import ROOT, current
from helpers.clusters import client as cluster_client
from helpers.gcp import client


def user(context: str) -> dict:
    users = yaml.safe_load(current().KUBECONFIG.read_text())["users"]
    return next(entry["user"]["exec"] for entry in users if entry["name"] == context)


def run_plugin(context: str) -> subprocess.CompletedProcess:
    plugin = user(context)
    environment = current().environment() | {entry["name"]: entry["value"] for entry in plugin.get("env", [])}
    return subprocess.run(
        [plugin["command"], *plugin["args"]], env=environment, cwd="/", capture_output=True, text=True
    )


def test_eks_cluster_is_made_once_with_nodes_in_the_private_subnets(moto, capsys):
    place = network.ensure()
    eks.create()
    cluster = eks.ensure()
    capsys.readouterr()
    assert eks.ensure() == cluster
    assert "aws eks create" not in capsys.readouterr().out
    group = aws.call(
        "eks", "describe_nodegroup", clusterName=current().TUTORIAL_NAME, nodegroupName=node_group.NAME
    )["nodegroup"]
    assert set(group["subnets"]) == set(place.private)
    assert (cluster.status, cluster.version) == ("ACTIVE", eks.VERSION)


def test_eks_lets_the_reader_in_and_logs_what_happens(moto, monkeypatch):
    network.ensure()
    eks.ensure()
    described = aws.call("eks", "describe_cluster", name=current().TUTORIAL_NAME)["cluster"]
    config = described["resourcesVpcConfig"]
    assert (config["publicAccessCidrs"], config["endpointPrivateAccess"]) == (["203.0.113.7/32"], True)
    assert set(described["logging"]["clusterLogging"][0]["types"]) == set(eks.LOGS)
    (group,) = aws.list_all("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=eks.log_group())
    assert group["retentionInDays"] == cloudwatch_logs.RETENTION
    monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", "203.0.113.8")  # another day, another network
    eks.ensure()
    described = aws.call("eks", "describe_cluster", name=current().TUTORIAL_NAME)["cluster"]
    assert described["resourcesVpcConfig"]["publicAccessCidrs"] == ["203.0.113.8/32"]


def test_eks_cluster_without_its_network_is_a_notebook_out_of_order(moto):
    with pytest.raises(PrerequisiteError, match="Run 00-introduction first"):
        eks.create()
    assert eks.status() == ""


def test_eks_cluster_that_failed_says_what_to_do(moto, monkeypatch):
    network.ensure()
    eks.create()
    issue = {"code": "AccessDenied", "message": "no permission for the role"}
    failed = {**(eks.describe() or {}), "status": "FAILED", "health": {"issues": [issue]}}
    monkeypatch.setattr(eks, "describe", lambda: failed)
    with pytest.raises(TutorialError, match=r"FAILED.*no permission for the role.*\nTry: run 99-clean-up"):
        eks.ensure()


def test_kubectl_asks_the_aws_cli_for_its_tokens(moto):
    network.ensure()
    eks.ensure()
    done = run_plugin("eks")
    token = json.loads(done.stdout)["status"]["token"].removeprefix("k8s-aws-v1.")
    signed = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qs(signed.query)
    assert query["Action"] == ["GetCallerIdentity"]
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0]


def test_cluster_that_does_not_answer_does_not_keep_the_rest_alive(moto, monkeypatch, capsys):
    network.ensure()
    eks.ensure()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # moto's endpoint is a name out there
    monkeypatch.setattr(cluster_client, "PATIENCE", 1)
    cleanup.everything()
    assert "eks does not answer" in capsys.readouterr().out
    assert cleanup.listing() == []
    assert not current().KUBECONFIG.exists()


def test_gke_without_a_project_names_the_setting():
    with pytest.raises(SettingsError, match="GOOGLE_CLOUD_PROJECT is not set"):
        gke.status()


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """Neither Google's files nor its metadata server, which google-auth would ask."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "some-project")


def test_gke_without_credentials_says_how_to_get_them(no_credentials, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UnreachableError, match=r"none\.json"):
        gke.status()


@pytest.fixture
def account_file(monkeypatch, tmp_path) -> Callable[[str], None]:
    """Be a service account whose tokens come from this URL."""

    def be(token_uri: str) -> None:
        key = rsa.generate_private_key(65537, 2048)
        account = {
            "type": "service_account",
            "client_email": "tester@some-project.iam.gserviceaccount.com",
            "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "token_uri": token_uri,
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "some-project")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "http://127.0.0.1:1/")

    return be


def test_gke_that_cannot_be_reached_says_what_to_look_at(account_file, monkeypatch):
    monkeypatch.setitem(client._RETRY, "timeout", 1.0)
    account_file("http://127.0.0.1:1/token")
    with pytest.raises(UnreachableError, match="CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER is right"):
        gke.status()


class Revoked(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(400)
        self.end_headers()
        self.wfile.write(b'{"error": "invalid_grant", "error_description": "Token has been expired"}')

    def log_message(self, *_: object) -> None: ...


def test_expired_sign_in_at_google_says_how_to_go_on(account_file):
    with HTTPServer(("127.0.0.1", 0), Revoked) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        account_file(f"http://127.0.0.1:{server.server_port}/token")
        with pytest.raises(
            UnreachableError, match=r"Token has been expired(.|\n)*application-default login.*goes on"
        ):
            client.identity()
        server.shutdown()


def test_token_plugin_without_credentials_says_how_to_get_them(no_credentials):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOOGLE_APP")}
    done = subprocess.run(
        [sys.executable, "-m", "helpers.gcp.token"], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "gcloud auth application-default login" in done.stderr
