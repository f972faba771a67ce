"""Outbound connections for GKE's nodes without public addresses: Cloud NAT on a Cloud Router in their region.

It allows no inbound connections. https://cloud.google.com/nat/docs/overview
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from helpers.base.errors import AlreadyExistsError, ApiError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL, project_tags
from helpers.base.waiting import resume_after_lost_answer, retry_while, wait_until
from helpers.gcp import compute, container, gcloud, pages, project, region

# All packets of nodes and their pods; Google chooses the addresses.
_NAT = {
    "name": "nodes",
    "natIpAllocateOption": "AUTO_ONLY",
    "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}
_LIMIT = 300  # seconds; Google takes half a minute
_TAG = re.compile(r"(\w+)=(\S+)")

# As in https://cloud.google.com/compute/docs/reference/rest/v1/routers
Router = dict[str, Any]


def find() -> Router | None:
    """The router of our name, in the settings' region."""
    try:
        return compute.call("Looking up the Cloud Router", "GET", _routers(current().TUTORIAL_NAME))
    except ApiError as refused:
        if refused.code == "NotFound":
            return None
        raise


@resume_after_lost_answer
def ensure() -> None:
    """Create the router with its NAT, unless another one already serves the network."""
    name, there = current().TUTORIAL_NAME, serving()
    if there:
        print(f"Cloud NAT of the router {there['name']} exists in {region()}")
        return
    network = f"projects/{project()}/global/networks/{compute.NETWORK}"
    router = {"name": name, "description": _description(), "network": network, "nats": [_NAT]}
    try:
        gcloud.change(
            "insert_router",
            {"parent": _parent(), "router_resource": router},
            lambda request: _work(
                f"Creating the Cloud Router {name}", "POST", _routers(), request["router_resource"]
            ),
        )
    except ApiError as refused:
        begun = find()
        strange = begun is not None and not is_ours(begun)
        if refused.code != "Conflict" or isinstance(refused, AlreadyExistsError) or strange:
            raise
        # An interrupted run has started it.
        wait_until(
            f"the NAT of the Cloud Router {name}",
            serving,
            lambda found: found is not None,
            timeout=_LIMIT,
            state=lambda found: "there" if found else "not there yet",
            hint="run 99-clean-up, then start again.",
        )


def delete() -> None:
    """Delete our router with its NAT, if it exists.

    It is kept while a cluster of another run uses it: deletion by age finds it later.
    """
    if not _is_there():
        return
    if others := container.neighbors():
        print(f"Cloud NAT is kept, because other clusters use it: {', '.join(others)}")
        return
    gcloud.change("delete_router", {"name": f"{_parent()}/routers/{current().TUTORIAL_NAME}"}, _delete)


def _delete(request: dict[str, Any]) -> None:
    name = request["name"].rpartition("/")[2]
    try:
        _work(f"Deleting the Cloud Router {name}", "DELETE", _routers(name))
    except ApiError as refused:
        if refused.code != "NotFound":  # else an earlier call deleted it, and its response was lost
            raise


def leftovers() -> list[Resource]:
    """Our router, unless a cluster of another run needs it."""
    if not _is_there() or container.neighbors():
        return []
    return [Resource("Google Cloud", "Cloud Router", current().TUTORIAL_NAME)]


def _is_there() -> bool:
    router = find()
    return router is not None and is_ours(router)


def is_ours(router: Router) -> bool:
    """Whether this tutorial created it. Routers have no labels, so the description is used."""
    return tags(router).get("Project") == current().TUTORIAL_NAME


def tags(router: Router) -> dict[str, str]:
    """What would be its labels, and its region as Location."""
    written = dict(_TAG.findall(router.get("description", "")))
    return {**written, "Location": router["region"].rpartition("/")[2]}


def of_all_runs() -> list[Router]:
    """The project's routers that any run of the tutorial created, in all regions."""
    scopes = [scope for page in _pages("aggregated/routers") for scope in page.get("items", {}).values()]
    found = [router for scope in scopes for router in scope.get("routers", [])]
    return [router for router in found if tags(router).get("Tutorial") == TUTORIAL]


def serving() -> Router | None:
    """The router whose NAT serves the whole network in this region: Google allows one."""
    routers = [router for page in _pages(_routers()) for router in page.get("items", [])]
    for router in routers:
        nats = router.get("nats", [])
        if router["network"].endswith(f"/networks/{compute.NETWORK}") and any(map(_serves_nodes, nats)):
            return router
    return None


def _serves_nodes(nat: dict[str, Any]) -> bool:
    """There are NATs between networks, too, and for other things than virtual machines."""
    everything = nat.get("sourceSubnetworkIpRangesToNat", "").startswith("ALL_SUBNETWORKS")
    machines = nat.get("endpointTypes", []) in ([], ["ENDPOINT_TYPE_VM"])
    return everything and machines and nat.get("type", "PUBLIC") == "PUBLIC"


def _routers(name: str = "") -> str:
    """The path of that router, or of all in the region."""
    return f"regions/{region()}/routers" + (f"/{name}" if name else "")


def _parent() -> str:
    return f"projects/{project()}/regions/{region()}"


def _description() -> str:
    return " ".join(f"{key}={value}" for key, value in project_tags().items())


def _work(action: str, method: str, path: str, body: Router | None = None) -> None:
    """Start an operation and wait for its end; raises ApiError with the reason where it fails."""
    begun = retry_while(
        action, lambda: compute.call(action, method, path, json=body), _is_busy, timeout=_LIMIT
    )
    operation = f"regions/{region()}/operations/{begun['name']}"
    ended = wait_until(
        f"the Cloud Router {current().TUTORIAL_NAME}",
        lambda: compute.call(action, "GET", operation),
        lambda now: now["status"] == "DONE",
        timeout=_LIMIT,
        state=lambda now: now["operationType"],
    )
    if ended.get("httpErrorStatusCode"):
        error = ended["error"]["errors"][0]
        raise ApiError(action, error["code"], error["message"], "correct that, then run this again.")


def _is_busy(error: BaseException) -> bool:
    """Another operation on it is in progress, perhaps one of a run that was interrupted."""
    return isinstance(error, ApiError) and "not ready" in str(error)


def _pages(path: str) -> Iterator[dict[str, Any]]:
    """https://cloud.google.com/compute/docs/reference/rest/v1/routers/list"""
    return pages(partial(compute.call, "Listing the Cloud Routers", "GET", path))
