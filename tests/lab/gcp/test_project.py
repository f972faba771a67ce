"""The project itself, its network and its region through Google's own clients of Compute Engine."""

from collections.abc import Iterator
from typing import Any

import google.auth
import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1

from lab.network import Internet
from tests.lab.gcp.stand_in import Google

PROJECT = "lab-project"


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("gcp-project")
    cloud = Google(folder, Internet(folder / "run"))  # its networks are not needed
    cloud.gcp.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.gcp.credentials_file))
        yield {"transport": "rest", "client_options": {"api_endpoint": cloud.gcp.endpoint_url}}
    cloud.gcp.stop()


def test_the_project_names_its_default_service_account(options):
    projects = compute_v1.ProjectsClient(**options)
    account = projects.get(project=PROJECT).default_service_account
    assert account == "123456789012-compute@developer.gserviceaccount.com"
    with pytest.raises(
        exceptions.Forbidden, match=r"'compute.projects.get' permission for 'projects/another'"
    ):
        projects.get(project="another")


def test_the_only_network_is_default_with_a_subnet_in_the_region(options):
    networks = compute_v1.NetworksClient(**options)
    found = networks.get(project=PROJECT, network="default")
    assert found.auto_create_subnetworks
    assert any("/regions/us-central1/" in subnet for subnet in found.subnetworks)
    with pytest.raises(exceptions.NotFound, match="global/networks/other' was not found"):
        networks.get(project=PROJECT, network="other")
    with pytest.raises(exceptions.Forbidden, match="for 'projects/another/global/networks/default'"):
        networks.get(project="another", network="default")


def test_a_region_has_quotas(options):
    regions = compute_v1.RegionsClient(**options)
    limits = {
        quota.metric: quota.limit for quota in regions.get(project=PROJECT, region="us-central1").quotas
    }
    assert limits["CPUS"] == 24
    with pytest.raises(exceptions.BadRequest, match="Unknown region"):
        regions.get(project=PROJECT, region="moon")


def test_enabled_services(options):
    session = AuthorizedSession(
        google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])[0]
    )
    url = options["client_options"]["api_endpoint"] + "/v1/projects/{}/services/{}.googleapis.com"
    for name, state in (("container", "ENABLED"), ("compute", "ENABLED"), ("run", "DISABLED")):
        assert session.get(url.format(PROJECT, name)).json()["state"] == state
    assert session.get(url.format("another", "run")).status_code == 403
