"""Whether the tutorial can run in Google Cloud: identity, versions, network, quotas, nodes, names."""

from collections.abc import Iterator

from helpers import gcp, gke, istio
from helpers.base.errors import ApiError, TutorialError
from helpers.base.settings import current
from helpers.gcp import client, cloud_nat, compute, project_policy
from series.preflight.finding import Finding, note, ok, stop


def identity() -> Iterator[Finding]:
    """The project, the location and the identity that is used."""
    settings = current()
    who, key_file = client.identity()
    place = f"project {settings.GOOGLE_CLOUD_PROJECT} in {settings.GOOGLE_CLOUD_LOCATION}"
    gke.server_config()  # only a response shows that the credentials are accepted
    yield ok("Google Cloud", f"{place}, as {who}")
    if key_file:
        yield note("Google Cloud", "a service account's key file is long-lived; your own sign-in expires")


def versions() -> Iterator[Finding]:
    """Whether Istio supports the Kubernetes version that GKE will choose."""
    lowest, highest = istio.KUBERNETES
    offered = gke.default_version(gke.server_config())
    minor = tuple(int(part) for part in offered.split(".")[:2])
    if lowest <= minor <= highest:
        yield ok("GKE", f"Kubernetes {offered}, the default of the channel {gke.CHANNEL}")
    else:
        yield stop(
            "GKE",
            f"Kubernetes {offered} is not supported by Istio {current().TUTORIAL_ISTIO_REVISION}",
        )


def network() -> Iterator[Finding]:
    """Whether the nodes' network exists, with a subnet in their region."""
    subject, name = f"network {compute.NETWORK}", compute.NETWORK
    try:
        found = compute.network()
    except ApiError as refused:
        if refused.code == "NotFound":
            yield stop(subject, f"there is none: gcloud compute networks create {name} --subnet-mode auto")
        else:
            yield note(subject, f"not known: {refused}")
        return
    if any(f"/regions/{gcp.region()}/" in subnet for subnet in found.get("subnetworks", [])):
        yield ok(subject, f"it has a subnet in {gcp.region()}")
    else:
        yield stop(subject, f"it has no subnet in {gcp.region()}: create one, or set GOOGLE_CLOUD_LOCATION")


def nodes() -> Iterator[Finding]:
    """How many nodes there will be, and whether the region's quotas allow them."""
    number, location = gcp.zones(), current().GOOGLE_CLOUD_LOCATION
    if number > 1:
        yield note(
            "nodes",
            f"{location} is a region, so GKE creates one in each of {number} zones (one in {location}-a)",
        )
    if gke.status():
        yield ok("quotas, nodes", "ours exist")
        return
    needed = {"CPUS": number * gke.NODE_CPUS, "SSD_TOTAL_GB": number * gke.NODE_DISK}
    try:
        quotas = compute.quotas()
    except ApiError as refused:
        yield note("quotas, nodes", f"not known: {refused}")
        return
    for metric in [each for each in quotas if each in needed]:
        used, limit = quotas[metric]
        said = f"{used:g} of {limit:g} used in {gcp.region()}, {needed[metric]} needed"
        if used + needed[metric] <= limit:
            yield ok(f"quota {metric}", said)
        else:
            yield stop(f"quota {metric}", f"{said}: request an increase at {_ASK}")


_ASK = "https://console.cloud.google.com/iam-admin/quotas"
_NODE_ROLE = "roles/container.defaultNodeServiceAccount"


def service_account() -> Iterator[Finding]:
    """Whether the nodes' account has its role: newer organizations don't grant it by default.

    https://cloud.google.com/kubernetes-engine/docs/how-to/service-accounts
    """
    subject = "nodes' service account"
    if gcp.overridden():
        yield note(subject, "its roles are not known, because the API endpoints are not Google's")
        return
    try:
        account = compute.default_service_account()
        roles = project_policy.roles(f"serviceAccount:{account}") if account else set()
    except TutorialError as refused:
        yield note(subject, f"its roles are not known: {refused}")
        return
    if not account:
        yield stop(subject, "Compute Engine's default service account was deleted: undelete it")
    elif roles & {_NODE_ROLE, "roles/editor", "roles/owner"}:
        yield ok(subject, f"{account} has its role")
    else:
        grant = (
            f"add-iam-policy-binding {gcp.project()} --member serviceAccount:{account} --role {_NODE_ROLE}"
        )
        yield note(
            subject,
            f"the project gives {account} no role for nodes (a folder may): they could write no logs, "
            f"and might not become ready: gcloud projects {grant}",
        )


def names() -> Iterator[Finding]:
    """Whether someone else's resources in Google Cloud already have our names."""
    name, router, cluster = current().TUTORIAL_NAME, cloud_nat.find(), gke.describe()
    if router and not cloud_nat.is_ours(router):
        yield stop("name", f"the Cloud Router {name} exists and is not ours: set another TUTORIAL_NAME")
    if cluster is None:
        yield ok("GKE", f"no cluster is called {name} yet; GKE checks its quotas on creation")
    elif cluster.resource_labels.get("project") == name:
        yield note("name", f"the GKE cluster {name} exists and is ours: the run reuses it")
    else:
        yield stop("name", f"the GKE cluster {name} exists without our label: set another TUTORIAL_NAME")


CHECKS = (identity, versions, network, nodes, service_account, names)
