"""Google's Compute Engine API, by REST: a project's network, quotas and nodes' account."""

from typing import Any

from helpers.base.settings import current
from helpers.gcp import project, region

NETWORK = "default"
_API = "https://compute.googleapis.com"
_ALLOWED = "ask for roles/compute.networkAdmin in the project."


def call(action: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    """What a call below the project answers. Raises what `client.request` does."""
    from helpers.gcp import client

    # gcloud's override ends with the API's version.
    endpoint = (current().CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE or _API).partition("/compute/")[0]
    url = f"{endpoint}/compute/v1/projects/{project()}" + (f"/{path}" if path else "")
    return client.request(action, method, url, _ALLOWED, **more)


def network() -> dict[str, Any]:
    """The network that nodes are in. https://cloud.google.com/compute/docs/reference/rest/v1/networks"""
    return call(f"Looking up the network {NETWORK}", "GET", f"global/networks/{NETWORK}")


def default_service_account() -> str:
    """The default service account of nodes; "" if it was deleted.

    https://cloud.google.com/compute/docs/reference/rest/v1/projects
    """
    return str(call("Looking up the project", "GET", "").get("defaultServiceAccount", ""))


def quotas() -> dict[str, tuple[float, float]]:
    """By metric: used, and the region's limit.

    https://cloud.google.com/compute/docs/reference/rest/v1/regions
    """
    found = call("Looking up the region's quotas", "GET", f"regions/{region()}").get("quotas", [])
    return {quota["metric"]: (quota.get("usage", 0), quota.get("limit", 0)) for quota in found}
