"""The way out for GKE's nodes, which have no public address: Cloud NAT, on a Cloud Router of their region.

Nobody gets in by it. https://cloud.google.com/nat/docs/overview
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from google.cloud import compute_v1

from helpers import gcp
from helpers.aws import TUTORIAL, project_tags
from helpers.base.errors import AlreadyExistsError, ApiError
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, retry_while, wait_until
from helpers.gcp import project, region

NETWORK = "default"
# All that a node sends, its pods' packets too; addresses are Google's choice.
_NAT = {
    "name": "nodes",
    "nat_ip_allocate_option": "AUTO_ONLY",
    "source_subnetwork_ip_ranges_to_nat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}
_ALLOWED = "ask for roles/compute.networkAdmin in the project; is the Compute Engine API enabled there?"
_LIMIT = 300  # seconds; Google takes half a minute
_TAG = re.compile(r"(\w+)=(\S+)")

T = TypeVar("T")


def find() -> compute_v1.Router | None:
    """The router of our name, in the settings' region."""
    action = "Looking up the Cloud Router"
    try:
        return _ask(action, lambda routers: routers.get(**_place(), router=current().TUTORIAL_NAME))
    except ApiError as refused:
        if refused.code == "NotFound":
            return None
        raise


@resume_after_lost_answer
def ensure() -> None:
    """Make the router with its NAT, unless another one serves the network there already."""
    name, there = current().TUTORIAL_NAME, serving()
    if there:
        print(f"Cloud NAT of the router {there.name} exists in {region()}")
        return
    network = f"projects/{project()}/global/networks/{NETWORK}"
    router = compute_v1.Router(name=name, description=_description(), network=network, nats=[_NAT])
    action = f"Making the Cloud Router {name}"
    try:
        _work(action, lambda routers: routers.insert_unary(**_place(), router_resource=router))
    except ApiError as refused:
        begun = find()
        strange = begun is not None and not is_ours(begun)
        if refused.code != "Conflict" or isinstance(refused, AlreadyExistsError) or strange:
            raise
        # A run that was interrupted has begun it.
        wait_until(
            f"the NAT of the Cloud Router {name}",
            serving,
            lambda found: found is not None,
            timeout=_LIMIT,
            state=lambda found: "there" if found else "not there yet",
            hint="run 99-clean-up, then start again.",
        )
    print(f"gcloud compute routers create {name} --network {NETWORK} --region {region()}")
    print(f"gcloud compute routers nats create {_NAT['name']} --router {name} --region {region()} …")


def delete() -> None:
    """Delete our router, and its NAT with it; fine when there is none."""
    router = find()
    if router is None or not is_ours(router):
        return
    name = current().TUTORIAL_NAME
    action = f"Deleting the Cloud Router {name}"
    try:
        _work(action, lambda routers: routers.delete_unary(**_place(), router=name))
    except ApiError as refused:
        if refused.code != "NotFound":  # else it was deleted before, and the answer got lost
            raise
    print(f"gcloud compute routers delete {name} --region {region()}")


def is_ours(router: compute_v1.Router) -> bool:
    """Whether this tutorial made it. Routers have no labels, so their description says it."""
    return tags(router).get("Project") == current().TUTORIAL_NAME


def tags(router: compute_v1.Router) -> dict[str, str]:
    """What would be its labels, and its region as Location."""
    written = dict(_TAG.findall(router.description))
    return {**written, "Location": router.region.rpartition("/")[2]}


def of_all_runs() -> list[compute_v1.Router]:
    """The project's routers that any run of the tutorial made, in all regions."""
    listed = _ask(
        "Listing the Cloud Routers",
        lambda routers: list(routers.aggregated_list(**_project())),
    )
    found = [router for _, scoped in listed for router in scoped.routers]
    return [router for router in found if tags(router).get("Tutorial") == TUTORIAL]


def serving() -> compute_v1.Router | None:
    """The router whose NAT serves the whole network in this region: Google allows one."""
    routers = _ask("Listing the Cloud Routers", lambda routers: list(routers.list(**_place())))
    for router in routers:
        if router.network.endswith(f"/networks/{NETWORK}") and any(map(_serves_nodes, router.nats)):
            return router
    return None


def _serves_nodes(nat: compute_v1.RouterNat) -> bool:
    """There are NATs between networks, too, and for other things than virtual machines."""
    everything = nat.source_subnetwork_ip_ranges_to_nat.startswith("ALL_SUBNETWORKS")
    machines = list(nat.endpoint_types) in ([], ["ENDPOINT_TYPE_VM"])
    return everything and machines and nat.type_ in ("", "PUBLIC")


def _place() -> dict[str, Any]:
    return {**_project(), "region": region()}


def _project() -> dict[str, Any]:
    # The library would try again by itself, for ten minutes and without a word.
    return {"project": project(), "timeout": gcp.TIMEOUT, "retry": None}


def _description() -> str:
    return " ".join(f"{key}={value}" for key, value in project_tags().items())


def _work(action: str, start: Callable[[compute_v1.RoutersClient], compute_v1.Operation]) -> None:
    """Start an operation and wait for its end; raises ApiError with the reason where it fails."""
    begun = retry_while(action, lambda: _ask(action, start), _is_busy, timeout=_LIMIT)
    # The router's client would ask Google itself for it, whatever endpoint is set.
    ended = wait_until(
        f"the Cloud Router {current().TUTORIAL_NAME}",
        lambda: _ask(
            action,
            lambda operations: operations.get(**_place(), operation=begun.name),
            compute_v1.RegionOperationsClient,
        ),
        lambda operation: operation.status == compute_v1.Operation.Status.DONE,
        timeout=_LIMIT,
        state=lambda operation: operation.operation_type,
    )
    if ended.http_error_status_code:
        error = ended.error.errors[0]
        raise ApiError(action, error.code, error.message, "correct that, then run this again.")


def _is_busy(error: BaseException) -> bool:
    """Another operation is at work on it, perhaps one of a run that was interrupted."""
    return isinstance(error, ApiError) and "not ready" in str(error)


def _ask(action: str, call: Callable[[Any], T], kind: Callable[..., Any] = compute_v1.RoutersClient) -> T:
    # gcloud's override has the version in it, which the library adds by itself.
    endpoint = (current().CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE or "").partition("/compute/")[0]
    return gcp.ask(action, kind, endpoint, call, _ALLOWED)
