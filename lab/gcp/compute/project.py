"""Compute Engine's description of the project: its default service account, its network, its quotas.

https://cloud.google.com/compute/docs/reference/rest/v1/projects, …/networks and …/regions
"""

from google.cloud.compute_v1 import types

from lab.gcp.api.errors import no_resource
from lab.gcp.api.locations import Region
from lab.settings import GOOGLE_PROJECT

NETWORK = "default"
_NUMBER = 123456789012
_REGIONS = ("us-central1", "us-east1", "europe-west1", "asia-east1")
# Some of a new project's quotas. Nothing in the lab uses them.
_QUOTAS = {"CPUS": 24, "IN_USE_ADDRESSES": 8, "SSD_TOTAL_GB": 500}


class ProjectInfo:
    """The lab's project, which never changes."""

    def __init__(self, compute_url: str) -> None:
        self._url = compute_url

    def get(self) -> types.Project:
        return types.Project(
            kind="compute#project",
            id=_NUMBER,
            name=GOOGLE_PROJECT,
            default_service_account=f"{_NUMBER}-compute@developer.gserviceaccount.com",
            self_link=f"{self._url}/projects/{GOOGLE_PROJECT}",
        )

    def network(self, name: str) -> types.Network:
        """In auto mode, therefore with a subnet in every region; a few of them are listed."""
        path = f"projects/{GOOGLE_PROJECT}/global/networks/{name}"
        if name != NETWORK:
            raise no_resource(path)
        subnets = [f"projects/{GOOGLE_PROJECT}/regions/{region}/subnetworks/{name}" for region in _REGIONS]
        return types.Network(
            kind="compute#network",
            name=name,
            auto_create_subnetworks=True,
            subnetworks=[f"{self._url}/{subnet}" for subnet in subnets],
            self_link=f"{self._url}/{path}",
        )

    def region(self, region: Region) -> types.Region:
        quotas = [types.Quota(metric=metric, limit=limit, usage=0) for metric, limit in _QUOTAS.items()]
        return types.Region(
            kind="compute#region", name=region.name, status="UP", quotas=quotas,
            self_link=f"{self._url}/{region.path}",
        )  # fmt: skip
