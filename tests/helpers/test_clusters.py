"""EKS against plain moto, an unreachable GKE, and kubectl's credential plugin.

Real clusters are started in the lab's tests and in the series.
"""

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from helpers import aws, cleanup, eks, gke, network
from helpers.aws import cloudwatch_logs, node_group
from helpers.base.errors import PrerequisiteError, SettingsError, TutorialError, UnreachableError
from helpers.base.settings import current
from helpers.clusters import client as cluster_client
from helpers.clusters import kubeconfig
from helpers.gcp import client
from tests import web


def user(context: str) -> dict:
    users = yaml.safe_load(current().KUBECONFIG.read_text())["users"]
    return next(entry["user"]["exec"] for entry in users if entry["name"] == context)


def run_plugin(context: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Start the credential plugin as kubectl would, in another folder and in the reader's shell."""
    plugin = user(context)
    given = {entry["name"]: entry["value"] for entry in plugin["env"]}
    return subprocess.run(
        [plugin["command"], *plugin["args"]],
        env=environment | given,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_eks_cluster_is_created_once_with_nodes_in_the_private_subnets(moto, capsys):
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


def test_eks_allows_the_readers_address_and_logs_api_calls(moto, monkeypatch):
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


def test_eks_cluster_without_its_network_is_a_prerequisite_error(moto):
    with pytest.raises(PrerequisiteError, match="Run 00-introduction first"):
        eks.create()
    assert eks.status() == ""


def test_failed_eks_cluster_error_says_what_to_do(moto, monkeypatch):
    network.ensure()
    eks.create()
    issue = {"code": "AccessDenied", "message": "no permission for the role"}
    failed = {**(eks.describe() or {}), "status": "FAILED", "health": {"issues": [issue]}}
    monkeypatch.setattr(eks, "describe", lambda: failed)
    with pytest.raises(TutorialError, match=r"FAILED.*no permission for the role.*\nTry: run 99-clean-up"):
        eks.ensure()


@pytest.fixture
def eks_context(monkeypatch, tmp_path) -> dict[str, str]:
    """The context `eks`, written with settings from a file, and the keys in that file."""
    keys = {"AWS_ACCESS_KEY_ID": "EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}
    lines = [f'{name} = "{value}"' for name, value in keys.items()]
    (tmp_path / "settings.toml").write_text("\n".join([*lines, 'AWS_REGION = "eu-west-1"']))
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("TUTORIAL_NAME", "of-this-shell")
    kubeconfig.write("eks", "https://127.0.0.1:1", "Q0E=", "aws eks update-kubeconfig")
    return keys


def test_kubectl_signs_in_to_eks_from_any_folder_and_shell(eks_context, tmp_path):
    (tmp_path / "helpers.py").write_text("raise SystemExit('a module of the reader')")
    done = run_plugin(
        "eks", tmp_path, PYTHONPATH=str(tmp_path), AWS_REGION="us-west-2", TUTORIAL_NAME="other"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    token = answer["status"]["token"].removeprefix("k8s-aws-v1.")
    signed = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qs(signed.query)
    assert signed.hostname == "sts.eu-west-1.amazonaws.com"
    assert query["Action"] == ["GetCallerIdentity"]
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0]
    assert query["X-Amz-Credential"][0].startswith("EXAMPLE/")
    remaining = datetime.fromisoformat(answer["status"]["expirationTimestamp"]) - datetime.now(UTC)
    assert timedelta(minutes=10) < remaining <= timedelta(minutes=14)


def test_kubeconfig_has_no_secret(eks_context):
    written = current().KUBECONFIG.read_text()
    assert eks_context["AWS_SECRET_ACCESS_KEY"] not in written
    assert eks_context["AWS_ACCESS_KEY_ID"] not in written


def test_kubectl_without_aws_credentials_says_how_to_get_them(tmp_path):
    kubeconfig.write("eks", "https://127.0.0.1:1", "Q0E=", "aws eks update-kubeconfig")
    done = run_plugin("eks", tmp_path, HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no AWS credentials" in done.stderr
    assert "aws sso login" in done.stderr


def test_clean_up_continues_if_a_cluster_does_not_respond(moto, monkeypatch, capsys):
    network.ensure()
    eks.ensure()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # moto's endpoint has an external host name
    monkeypatch.setattr(cluster_client, "RETRY_TIMEOUT", 1)
    current().KUBECONFIG.unlink()
    capsys.readouterr()
    cleanup.main(dry_run=True)
    assert not current().KUBECONFIG.exists()
    assert "update-kubeconfig" not in capsys.readouterr().out
    cleanup.everything()
    assert "eks does not answer" in capsys.readouterr().out
    assert cleanup.listing() == []
    assert not current().KUBECONFIG.exists()


def test_gke_without_a_project_names_the_setting():
    with pytest.raises(SettingsError, match="GOOGLE_CLOUD_PROJECT is not set"):
        gke.status()


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """Neither Google's files nor its metadata server, which google-auth would query."""
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "some-project")


def test_gke_without_credentials_says_how_to_get_them(no_credentials, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UnreachableError, match=r"none\.json"):
        gke.status()


@pytest.fixture
def account_file(monkeypatch, tmp_path) -> Callable[[str], None]:
    """Act as a service account whose tokens come from this URL."""

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


def test_unreachable_gke_error_says_what_to_check(account_file, monkeypatch):
    monkeypatch.setitem(client._RETRY, "timeout", 1.0)
    account_file("http://127.0.0.1:1/token")
    with pytest.raises(UnreachableError, match="CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER is right"):
        gke.status()


class Revoked(web.Handler):
    def do_POST(self) -> None:
        self.answer(400, b'{"error": "invalid_grant", "error_description": "Token has been expired"}')


def test_expired_google_credentials_error_says_how_to_sign_in(account_file):
    with web.serving(web.on_loopback(Revoked)) as server:
        account_file(f"http://127.0.0.1:{server.server_port}/token")
        with pytest.raises(
            UnreachableError, match=r"Token has been expired(.|\n)*application-default login.*continues"
        ):
            client.identity()


def test_kubectl_without_google_credentials_says_how_to_get_them(no_credentials, tmp_path):
    kubeconfig.write("gke", "https://127.0.0.1:1", "Q0E=", "aws eks update-kubeconfig")
    done = run_plugin("gke", tmp_path, CLOUDSDK_CONFIG=str(tmp_path), NO_GCE_CHECK="true")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gcloud auth application-default login" in done.stderr
