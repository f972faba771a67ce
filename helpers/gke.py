"""The GKE cluster, in a Google Cloud project without a link to the VPC in AWS."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from helpers import gcp
from helpers.base import command, contents, folding, my_address
from helpers.base.errors import ApiError, TutorialError, for_people
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.tags import project_tags
from helpers.base.waiting import resume_after_lost_answer, wait_until
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster
from helpers.gcp import cloud_nat, container, gcloud

if TYPE_CHECKING:
    from google.cloud import container_v1  # takes half a second, so it is imported by the first call

CONTEXT = "gke"
READY = ("RUNNING", "RECONCILING")  # states in which the API server answers
CHANNEL = "REGULAR"
MACHINE_TYPE = "e2-standard-2"
# Memory and disk of each node, in GB. The disk is GKE's default, a balanced one.
NODE_CPUS, NODE_MEMORY, NODE_DISK = 2, 8, 100
_LIMIT = 1800  # seconds; Google takes about five minutes


def status() -> str:
    """PROVISIONING, RUNNING, RECONCILING, STOPPING, ERROR, …; "" if there is no cluster."""
    found = describe()
    return found.status.name if found else ""


def get() -> Cluster:
    """The cluster; raises PrerequisiteError if there is none."""
    return contents.require(find(), "gke", f"no GKE cluster {current().TUTORIAL_NAME}")


def find() -> Cluster | None:
    """The cluster, found by its name, or None."""
    found = describe()
    if found is None:
        return None
    return Cluster(
        context=CONTEXT,
        name=found.name,
        status=found.status.name,
        reason=found.status_message,
        version=found.current_master_version,
        url=f"https://{found.endpoint}",
        ca=found.master_auth.cluster_ca_certificate,
    )


@folding.step()
@resume_after_lost_answer
def create() -> None:
    """Start creating the cluster and return immediately: Google takes five minutes."""
    name = current().TUTORIAL_NAME
    if status() == "STOPPING":
        wait_until(f"the old GKE cluster {name} to be deleted", status, lambda now: now == "", timeout=_LIMIT)
    cloud_nat.ensure()
    there = status()
    if there:
        print(f"GKE cluster {name} exists: {there}")
        return
    cluster = {
        "name": name,
        "initial_node_count": 1,
        "network_config": {"default_enable_private_nodes": True},
        "ip_allocation_policy": {"use_ip_aliases": True},
        "node_config": {"machine_type": MACHINE_TYPE},
        "release_channel": {"channel": CHANNEL},
        "resource_labels": _labels(),
        "master_authorized_networks_config": _authorized(),
    }
    action = f"Creating the GKE cluster {name}"
    gcloud.change(
        "create_cluster",
        {"parent": container.parent(), "cluster": cluster},
        lambda request: container.ask(
            action, lambda gke: gke.create_cluster(request=request, timeout=gcp.TIMEOUT)
        ),
        answer=status,
    )


@folding.step()
def ensure() -> Cluster:
    """The cluster, running, and the context `gke` in the kubeconfig."""
    create()
    name = current().TUTORIAL_NAME
    found = wait_until(
        f"GKE cluster {name}",
        describe,
        lambda cluster: cluster is not None and cluster.status.name not in ("PROVISIONING", "RECONCILING"),
        timeout=_LIMIT,
        state=lambda cluster: cluster.status.name if cluster else "does not exist yet",
    )
    assert found is not None
    _ensure_access(found)
    if found.status.name != "RUNNING":
        reason = f"its status is {found.status.name} {found.status_message}".strip()
        raise TutorialError("Creating the GKE cluster", reason, "run 99-clean-up, then start again.")
    _show_wait()
    shown = command.broken([*_describe(), "--format", "value(status,currentMasterVersion)"])
    command.show(shown, f"{found.status.name}\t{found.current_master_version}")
    connect()
    return get()


def _show_wait() -> None:
    """Print what waits until the cluster has been created: `clusters create --async` names no operation."""
    where = gcloud.path(container.parent())
    created = f"operationType=CREATE_CLUSTER AND targetLink~/{current().TUTORIAL_NAME}$"
    last = ["--filter", created, "--sort-by", "~startTime", "--limit", "1", "--format", "value(name)"]
    operations = ["gcloud", "container", "operations"]
    listing = command.shell_join([*operations, "list", *where, *last])
    wait = command.shell_join(["xargs", "-r", *operations, "wait", *where])
    command.show(f"{listing} | {wait} --format none")


def _describe() -> list[str]:
    return ["gcloud", "container", "clusters", "describe", *gcloud.path(_path())]


def _authorized() -> dict[str, Any]:
    """API server access from outside: the reader, and not Google's other customers."""
    blocks = [{"cidr_block": my_address.cidr()}]
    return {"enabled": True, "cidr_blocks": blocks, "gcp_public_cidrs_access_enabled": False}


def _ensure_access(found: container_v1.Cluster) -> None:
    """Allow the reader's current address, which may differ from yesterday's."""
    wanted = _authorized()
    ranges = [block["cidr_block"] for block in wanted["cidr_blocks"]]

    def there(cluster: container_v1.Cluster | None) -> bool:
        config = cluster.master_authorized_networks_config if cluster else None
        return config is not None and [block.cidr_block for block in config.cidr_blocks] == ranges

    if found.status.name != "RUNNING" or there(found):
        return
    update = {"desired_master_authorized_networks_config": wanted}
    action = "Allowing this machine to reach the GKE cluster"
    gcloud.change(
        "update_cluster",
        {"name": _path(), "update": update},
        lambda request: container.ask(action, lambda gke: gke.update_cluster(request=request)),
    )
    wait_until("GKE to allow this machine", describe, there, timeout=_LIMIT, state=lambda _: "updating")


def connect() -> None:
    """Write the context `gke` into the kubeconfig; `python -m helpers.gke` does only that.

    `gcloud container clusters get-credentials` would write one that needs gke-gcloud-auth-plugin.
    """
    cluster = get()
    by_hand = command.shell_join([sys.executable, "-m", "helpers.gke"])
    kubeconfig.write(CONTEXT, cluster.url, cluster.ca, by_hand)


def delete() -> None:
    """Start deleting the cluster, if it exists. If it is still being created, wait first."""
    name = current().TUTORIAL_NAME
    busy = ("PROVISIONING", "RECONCILING")
    wait_until(f"the GKE cluster {name} to be deletable", status, lambda now: now not in busy, timeout=_LIMIT)
    if status() not in ("", "STOPPING"):
        gcloud.change("delete_cluster", {"name": _path()}, _start_deleting)
    kubeconfig.remove(CONTEXT)


def leftovers() -> list[Resource]:
    """The cluster, if it exists."""
    return [Resource("Google Cloud", "GKE cluster", current().TUTORIAL_NAME)] if status() else []


def _start_deleting(request: dict[str, Any]) -> None:
    action = f"Deleting the GKE cluster {current().TUTORIAL_NAME}"
    try:
        container.ask(action, lambda gke: gke.delete_cluster(request=request, timeout=gcp.TIMEOUT))
    except ApiError:
        if status() not in ("", "STOPPING"):  # else an earlier call succeeded, and its response was lost
            raise


def describe() -> container_v1.Cluster | None:
    """The cluster with all of its fields, or None."""
    try:
        return container.ask(
            "Looking up the GKE cluster",
            lambda gke: gke.get_cluster(name=_path(), timeout=gcp.TIMEOUT),
        )
    except ApiError as refused:
        if refused.code == "NotFound":
            return None
        raise


def server_config() -> container_v1.ServerConfig:
    """The versions that GKE offers at the location."""
    return container.ask(
        "Asking GKE for its versions", lambda gke: gke.get_server_config(name=container.parent())
    )


def default_version(config: container_v1.ServerConfig) -> str:
    """The version that a new cluster in our release channel gets."""
    channels = {channel.channel.name: channel.default_version for channel in config.channels}
    return channels.get(CHANNEL) or config.default_cluster_version


def _labels() -> dict[str, str]:
    """AWS's tags as labels, which allow lowercase letters, digits, - and _ only."""
    return {key.lower(): re.sub(r"[^a-z0-9_-]", "-", value.lower()) for key, value in project_tags().items()}


def _path() -> str:
    return f"{container.parent()}/clusters/{current().TUTORIAL_NAME}"


if __name__ == "__main__":
    for_people(connect)()
