"""Google's Container API (GKE), by its client library, and the project's clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from helpers import gcp
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL

if TYPE_CHECKING:
    from google.cloud import container_v1  # takes half a second, so it is imported by the first call

_ALLOWED = "ask for roles/container.admin in the project."

T = TypeVar("T")


def ask(action: str, call: Callable[[container_v1.ClusterManagerClient], T]) -> T:
    """`call` with a client of the API. Raises what `client.ask` does."""
    from google.cloud import container_v1

    from helpers.gcp import client

    endpoint = (current().CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER or "").rstrip("/")
    return client.ask(action, container_v1.ClusterManagerClient, endpoint, call, _ALLOWED)


def parent() -> str:
    """The project and location that clusters are created in."""
    return f"projects/{gcp.project()}/locations/{current().GOOGLE_CLOUD_LOCATION}"


def of_all_runs() -> list[container_v1.Cluster]:
    """The project's clusters that any run of the tutorial created, in all locations."""
    anywhere = f"projects/{gcp.project()}/locations/-"
    answer = ask(
        "Listing the GKE clusters",
        lambda gke: gke.list_clusters(parent=anywhere, timeout=gcp.TIMEOUT),
    )
    return [cluster for cluster in answer.clusters if cluster.resource_labels.get("tutorial") == TUTORIAL]


def neighbors() -> list[str]:
    """Clusters of other runs of the tutorial in the same region: they use the same Cloud NAT."""
    return [
        cluster.name
        for cluster in of_all_runs()
        if cluster.name != current().TUTORIAL_NAME and cluster.location.startswith(gcp.region())
    ]
