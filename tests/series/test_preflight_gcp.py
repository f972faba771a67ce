"""Preflight's checks of a Google Cloud project, with responses as documented by Google."""

import os
from collections.abc import Iterator

import pytest

from helpers.base.settings import override
from helpers.gcp import compute, container, project_policy
from lab.gcp.api.oauth import ServiceAccount
from series.preflight import gcp
from series.preflight.finding import settled
from tests.series.stand_in import StandIn, standing_in

PROJECT = "/compute/v1/projects/lab-project"
POLICY = "/v1/projects/lab-project:getIamPolicy"
NODES = "123-compute@developer.gserviceaccount.com"
DISABLED = (
    "{0} API has not been used in project 123 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/{1}/overview?project=123 then retry. If you enabled this "
    "API recently, wait a few minutes for the action to propagate to our systems and retry."
)


def refusal(message: str, reason: str = "forbidden") -> tuple[int, dict]:
    one = {"message": message, "domain": "global", "reason": reason}
    return 403, {"error": {"code": 403, "message": message, "errors": [one]}}


@pytest.fixture
def google(tmp_path, monkeypatch) -> Iterator[StandIn]:
    """Google itself, as far as helpers know: no setting overrides its endpoints."""
    with standing_in() as google:
        key_file, settings = tmp_path / "key.json", tmp_path / "settings.toml"
        settings.write_text("")
        monkeypatch.setenv("TUTORIAL_SETTINGS", str(settings))
        token_uri = f"{google.url}/token"
        ServiceAccount("lab-project").write_credentials(key_file, token_uri, (os.getuid(), os.getgid()))
        google.answers = {
            "/token": (200, {"access_token": "x", "expires_in": 3600, "token_type": "Bearer"}),
            PROJECT: (200, {"name": "lab-project", "defaultServiceAccount": NODES}),
            f"{PROJECT}/global/networks/default": (
                200, {"subnetworks": [f"https://x{PROJECT}/regions/us-central1/subnetworks/default"]},
            ),
            f"{PROJECT}/regions/us-central1": (200, quotas(CPUS=(0, 24), SSD_TOTAL_GB=(0, 500))),
            POLICY: (200, bindings("roles/editor")),
        }  # fmt: skip
        monkeypatch.setattr(compute, "_API", google.url)
        monkeypatch.setattr(project_policy, "URL", google.url)
        with override(GOOGLE_CLOUD_PROJECT="lab-project", GOOGLE_APPLICATION_CREDENTIALS=str(key_file)):
            yield google


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch) -> None:
    monkeypatch.setattr("helpers.gke.status", lambda: "")


def quotas(**metrics: tuple[int, int]) -> dict:
    rows = [{"metric": name, "usage": used, "limit": limit} for name, (used, limit) in metrics.items()]
    return {"name": "us-central1", "quotas": [*rows, {"metric": "OTHER", "limit": 0}]}


def bindings(role: str, member: str = f"serviceAccount:{NODES}") -> dict:
    return {"version": 3, "bindings": [{"role": role, "members": ["user:me@example.com", member]}]}


def said(check) -> str:
    return "\n".join(map(str, settled("Google Cloud", check())))


def test_a_complete_project_has_no_problems(google):
    assert said(gcp.network) == "✓ network default: it has a subnet in us-central1"
    assert said(gcp.nodes).count("✓") == 2
    assert said(gcp.service_account) == f"✓ nodes' service account: {NODES} has its role"
    assert '"requestedPolicyVersion": 3' in google.bodies[google.asked.index(POLICY)]


def test_a_missing_network_or_subnet_is_reported(google):
    google.answers.pop(f"{PROJECT}/global/networks/default")
    assert said(gcp.network).startswith("✗ network default: there is none: gcloud compute networks create")
    google.answers[f"{PROJECT}/global/networks/default"] = (200, {"autoCreateSubnetworks": False})
    assert said(gcp.network).startswith("✗ network default: it has no subnet in us-central1")
    google.answers[f"{PROJECT}/global/networks/default"] = refusal(
        "Required 'compute.networks.get' permission"
    )
    assert said(gcp.network).startswith("! network default: not known: ")


@pytest.mark.parametrize(("location", "nodes"), [("us-central1-a", 1), ("us-central1", 3)])
def test_quotas_must_allow_three_nodes_in_a_region(google, location, nodes):
    google.answers[f"{PROJECT}/regions/us-central1"] = (200, quotas(CPUS=(1, 24), SSD_TOTAL_GB=(0, 250)))
    with override(GOOGLE_CLOUD_LOCATION=location):
        lines = said(gcp.nodes).splitlines()
    assert f"✓ quota CPUS: 1 of 24 used in us-central1, {nodes * 2} needed" in lines
    assert any("us-central1 is a region" in line for line in lines) == (nodes == 3)
    sign = "✗" if nodes == 3 else "✓"
    assert any(line.startswith(f"{sign} quota SSD_TOTAL_GB: 0 of 250 used") for line in lines)


@pytest.mark.parametrize("role", ["roles/container.defaultNodeServiceAccount", "roles/owner"])
def test_nodes_need_one_of_the_sufficient_roles(google, role):
    google.answers[POLICY] = (200, bindings(role))
    assert said(gcp.service_account).startswith("✓")


@pytest.mark.parametrize(
    "policy",
    [{}, bindings("roles/viewer"), bindings("roles/editor", "serviceAccount:other@example.com")],
    ids=["nothing", "another-role", "somebody-else"],
)
def test_nodes_without_a_role_get_the_command_that_grants_it(google, policy):
    google.answers[POLICY] = (200, policy)
    line = said(gcp.service_account)
    assert line.startswith("! nodes' service account: the project gives")
    assert f"--member serviceAccount:{NODES} --role roles/container.defaultNodeServiceAccount" in line


def test_denied_queries_are_unknown_and_a_deleted_account_is_a_problem(google):
    google.answers[POLICY] = refusal("The caller does not have permission")
    assert "! nodes' service account: its roles are not known" in said(gcp.service_account)
    assert "roles/browser" in said(gcp.service_account)
    google.answers[PROJECT] = (200, {"name": "lab-project"})
    assert said(gcp.service_account).startswith("✗")


def test_with_another_endpoint_google_is_not_called(google):
    with override(CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=f"{google.url}/"):
        assert said(gcp.service_account).startswith("! nodes' service account: its roles are not known")
    assert google.asked == []


@pytest.mark.parametrize("reason", ["accessNotConfigured", "SERVICE_DISABLED"])
def test_a_disabled_api_is_named_with_the_command_that_enables_it(google, reason):
    google.answers[f"{PROJECT}/regions/us-central1/routers/istio-multicloud"] = refusal(
        DISABLED.format("Compute Engine", "compute.googleapis.com"), reason
    )
    google.answers["/v1/projects/lab-project/locations/us-central1-a/serverConfig"] = refusal(
        DISABLED.format("Kubernetes Engine", "container.googleapis.com"), reason
    )
    assert "✗ Google Cloud: " in said(gcp.names)
    assert "Try: gcloud services enable compute.googleapis.com --project 123" in said(gcp.names)
    with override(CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=f"{google.url}/"):
        assert "Try: gcloud services enable container.googleapis.com --project 123" in said(gcp.identity)
    google.answers["/v1/projects/lab-project/locations/us-central1-a/serverConfig"] = refusal("no permission")
    with override(CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=f"{google.url}/"):
        assert container._ALLOWED in said(gcp.identity)
