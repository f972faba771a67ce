"""The GKE cluster: in a project of Google's, with no link to the VPC in AWS."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from helpers import gcp
from helpers.base import contents, my_address
from helpers.base.errors import ApiError, PrerequisiteError, TutorialError
from helpers.base.settings import ROOT, current
from helpers.base.tags import TUTORIAL, project_tags
from helpers.base.waiting import resume_after_lost_answer, wait_until
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster
from helpers.gcp import cloud_nat

if TYPE_CHECKING:
    from google.cloud import container_v1  # takes half a second, so it waits for the first call

CONTEXT = "gke"
CHANNEL = "REGULAR"
MACHINE_TYPE = "e2-standard-2"
_LIMIT = 1800  # seconds; Google takes about five minutes
_ALLOWED = "ask for roles/container.admin in the project; is the GKE API enabled there?"

T = TypeVar("T")


def status() -> str:
    """PROVISIONING, RUNNING, RECONCILING, STOPPING, ERROR, …; "" where there is no cluster."""
    found = describe()
    return found.status.name if found else ""


def find() -> Cluster:
    """Look the cluster up by its name; raises PrerequisiteError."""
    found = _existing()
    return Cluster(CONTEXT, found.name, found.status.name, found.endpoint, found.current_master_version)


@resume_after_lost_answer
def create() -> None:
    """Start making the cluster and come back at once: Google takes five minutes."""
    name = current().TUTORIAL_NAME
    if status() == "STOPPING":
        wait_until(f"the old GKE cluster {name} to go", status, lambda now: now == "", timeout=_LIMIT)
    cloud_nat.ensure()
    there = status()
    if there:
        print(f"GKE cluster {name} exists: {there}")
        return
    wanted = {
        "name": name,
        "initial_node_count": 1,
        "network_config": {"default_enable_private_nodes": True},
        "ip_allocation_policy": {"use_ip_aliases": True},
        "node_config": {"machine_type": MACHINE_TYPE},
        "release_channel": {"channel": CHANNEL},
        "resource_labels": _labels(),
        "master_authorized_networks_config": _authorized(),
    }
    _ask(
        f"Making the GKE cluster {name}",
        lambda gke: gke.create_cluster(request={"parent": parent(), "cluster": wanted}, timeout=gcp.TIMEOUT),
    )
    where = f"--location {current().GOOGLE_CLOUD_LOCATION}"
    print(f"gcloud container clusters create {name} {where} --enable-private-nodes …  → {status()}")


def ensure() -> Cluster:
    """The cluster, running, and the context `gke` in the kubeconfig."""
    create()
    name = current().TUTORIAL_NAME
    found = wait_until(
        f"GKE cluster {name}",
        describe,
        lambda cluster: cluster is not None and cluster.status.name not in ("PROVISIONING", "RECONCILING"),
        timeout=_LIMIT,
        state=lambda cluster: cluster.status.name if cluster else "not there yet",
    )
    assert found is not None
    _ensure_access(found)
    if found.status.name != "RUNNING":
        reason = f"its status is {found.status.name} {found.status_message}".strip()
        raise TutorialError("Making the GKE cluster", reason, "run 99-clean-up, then start again.")
    version = found.current_master_version
    print(f"gcloud container clusters describe {name}  → {found.status.name}, Kubernetes {version}")
    connect()
    return find()


def _authorized() -> dict[str, Any]:
    """Who reaches the API server from outside: the reader, and not Google's other customers."""
    block = {"display_name": "the reader", "cidr_block": my_address.cidr()}
    return {"enabled": True, "cidr_blocks": [block], "gcp_public_cidrs_access_enabled": False}


def _ensure_access(found: container_v1.Cluster) -> None:
    """Let the reader in from where they are today, e.g. another network than yesterday's."""
    wanted = _authorized()
    ranges = [block["cidr_block"] for block in wanted["cidr_blocks"]]

    def there(cluster: container_v1.Cluster | None) -> bool:
        config = cluster.master_authorized_networks_config if cluster else None
        return config is not None and [block.cidr_block for block in config.cidr_blocks] == ranges

    if found.status.name != "RUNNING" or there(found):
        return
    update = {"desired_master_authorized_networks_config": wanted}
    action = "Letting this machine reach the GKE cluster"
    _ask(action, lambda gke: gke.update_cluster(request={"name": _path(), "update": update}))
    wait_until("GKE to let this machine in", describe, there, timeout=_LIMIT, state=lambda _: "updating")
    print(f"gcloud container clusters update {found.name} --master-authorized-networks {my_address.cidr()}")


def connect() -> None:
    """Write the context `gke` into the kubeconfig, as `gcloud container clusters get-credentials` does."""
    found = _existing()
    ca = found.master_auth.cluster_ca_certificate
    kubeconfig.write(CONTEXT, f"https://{found.endpoint}", ca, _plugin())


def delete() -> None:
    """Start deleting the cluster; fine when there is none. One that is being made has to be awaited."""
    name = current().TUTORIAL_NAME
    busy = ("PROVISIONING", "RECONCILING")
    wait_until(f"the GKE cluster {name} to be deletable", status, lambda now: now not in busy, timeout=_LIMIT)
    if status() not in ("", "STOPPING"):
        _start_deleting(name)
        print(f"gcloud container clusters delete {name}  → {status() or 'gone'}")


def _start_deleting(name: str) -> None:
    action = f"Deleting the GKE cluster {name}"
    try:
        _ask(action, lambda gke: gke.delete_cluster(name=_path(), timeout=gcp.TIMEOUT))
    except ApiError:
        if status() not in ("", "STOPPING"):  # else it was asked before, and the answer got lost
            raise


def describe() -> container_v1.Cluster | None:
    """The cluster with all of its fields, or None."""
    try:
        return _ask(
            "Looking up the GKE cluster",
            lambda gke: gke.get_cluster(name=_path(), timeout=gcp.TIMEOUT),
        )
    except ApiError as refused:
        if refused.code == "NotFound":
            return None
        raise


def _existing() -> container_v1.Cluster:
    if found := describe():
        return found
    raise PrerequisiteError(f"no GKE cluster {current().TUTORIAL_NAME}", contents.notebook("gke"))


def server_config() -> container_v1.ServerConfig:
    """The versions that GKE offers at the location."""
    return _ask("Asking GKE for its versions", lambda gke: gke.get_server_config(name=parent()))


def default_version(config: container_v1.ServerConfig) -> str:
    """The version that a new cluster in our release channel gets."""
    channels = {channel.channel.name: channel.default_version for channel in config.channels}
    return channels.get(CHANNEL) or config.default_cluster_version


def labelled(key: str, value: str) -> list[container_v1.Cluster]:
    """The project's clusters with this label, in all locations."""
    anywhere = f"{parent().rpartition('/')[0]}/-"
    answer = _ask(
        "Listing the GKE clusters",
        lambda gke: gke.list_clusters(parent=anywhere, timeout=gcp.TIMEOUT),
    )
    return [cluster for cluster in answer.clusters if cluster.resource_labels.get(key) == value]


def neighbours() -> list[str]:
    """Clusters of other runs of the tutorial in the same region: they call out by the same Cloud NAT."""
    return [
        cluster.name
        for cluster in labelled("tutorial", TUTORIAL)
        if cluster.name != current().TUTORIAL_NAME and cluster.location.startswith(gcp.region())
    ]


def _labels() -> dict[str, str]:
    """AWS's tags as labels, which have lower-case letters, digits, - and _ only."""
    return {key.lower(): re.sub(r"[^a-z0-9_-]", "-", value.lower()) for key, value in project_tags().items()}


def parent() -> str:
    """The project and location that clusters are made in."""
    return f"projects/{gcp.project()}/locations/{current().GOOGLE_CLOUD_LOCATION}"


def _path() -> str:
    return f"{parent()}/clusters/{current().TUTORIAL_NAME}"


def _ask(action: str, call: Callable[[container_v1.ClusterManagerClient], T]) -> T:
    from google.cloud import container_v1

    from helpers.gcp import client

    endpoint = (current().CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER or "").rstrip("/")
    return client.ask(action, container_v1.ClusterManagerClient, endpoint, call, _ALLOWED)


def _plugin() -> dict[str, Any]:
    file = current().GOOGLE_APPLICATION_CREDENTIALS or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    # kubectl may be started anywhere, so Python has to be told where the helpers are.
    environment = {"PYTHONPATH": str(ROOT)} | ({"GOOGLE_APPLICATION_CREDENTIALS": str(file)} if file else {})
    return {
        "command": sys.executable,
        "args": ["-m", "helpers.gcp.token"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
