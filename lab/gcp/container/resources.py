"""Converts a request to the cluster or node pool that GKE would describe: checks, then defaults.

Rules and defaults: https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters;
wording: the service's.
"""

import hashlib
import json
import re
import uuid
from ipaddress import IPv4Network
from typing import Any

from google.cloud.container_v1.types import (
    Cluster,
    IPAllocationPolicy,
    NodeConfig,
    NodeManagement,
    NodePool,
    ReleaseChannel,
)

from lab.gcp.api.errors import ApiError, invalid
from lab.gcp.api.locations import Location
from lab.gcp.container import versions
from lab.gcp.container.network import PODS, SERVICES
from lab.gcp.container.operations import timestamp

NODES = 1  # the quota: one real node
_NAME = "(?:[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?)"
_NAME_HELP = (
    "(only lowercase alphanumerics and '-' allowed, must start with a letter and end with an alphanumeric, "
    "and must be no longer than 40 characters)"
)


def check_cluster(cluster: Cluster, where: Location) -> None:
    """Refuse what GKE refuses immediately, in its words, and what the lab does not offer."""
    _check_name("cluster.name", cluster.name)
    if cluster.node_pools and (cluster.initial_node_count or "node_config" in cluster):
        raise invalid(
            "Cluster.initial_node_count and Cluster.node_config cannot be used with Cluster.node_pools."
        )
    if not cluster.node_pools and cluster.initial_node_count < 1:
        raise invalid("Cluster.initial_node_count must be greater than zero.")
    versions.check(cluster.initial_cluster_version)
    for name in (cluster.network, cluster.subnetwork):
        if name.rpartition("/")[2] not in ("", "default"):
            raise invalid(f'Network "{name}" does not exist.')
    check_labels(dict(cluster.resource_labels))
    check_networks(_networks(cluster))
    _check_private_nodes(cluster)
    for pool in cluster.node_pools:
        _check_name("node_pool.name", pool.name)
    check_quota(sum(pool.initial_node_count for pool in _pools(cluster)), where)


def _check_private_nodes(cluster: Any) -> None:
    """NetworkConfig.default_enable_private_nodes, or the older field; not both."""
    older = cluster.private_cluster_config.enable_private_nodes
    if older and "default_enable_private_nodes" in cluster.network_config:
        raise invalid(
            "private_cluster_config.enable_private_nodes and network_config.default_enable_private_nodes "
            "cannot be specified at the same time."
        )


def _networks(cluster: Any) -> Any:
    newer = cluster.control_plane_endpoints_config.ip_endpoints_config
    given = "authorized_networks_config" in newer
    return newer.authorized_networks_config if given else cluster.master_authorized_networks_config


def check_update(update: Any) -> None:
    """The lab offers only the authorized networks of an update."""
    if not type(update).pb(update).ListFields():
        raise invalid("Must specify a field to update.")
    check_networks(update_networks(update))


def update_networks(update: Any) -> Any:
    """The authorized networks of an update: gcloud uses the newer of the two fields."""
    newer = update.desired_control_plane_endpoints_config.ip_endpoints_config
    given = "authorized_networks_config" in newer
    return newer.authorized_networks_config if given else update.desired_master_authorized_networks_config


def show_networks(cluster: Any, networks: Any) -> None:
    """GKE shows them in both fields, including the older one. The DNS endpoint is off by default."""
    cluster.master_authorized_networks_config = networks
    endpoints = cluster.control_plane_endpoints_config
    endpoints.ip_endpoints_config.authorized_networks_config = networks
    endpoints.ip_endpoints_config.enabled = endpoints.ip_endpoints_config.enable_public_endpoint = True
    endpoints.dns_endpoint_config.allow_external_traffic = False


def check_networks(config: Any) -> None:
    """Authorized networks: CIDR blocks whose host bits are zero."""
    for block in config.cidr_blocks:
        try:
            IPv4Network(block.cidr_block)
        except ValueError:
            raise invalid(
                f'Invalid value for field "master_authorized_networks_config.cidr_blocks": '
                f'"{block.cidr_block}" is not a valid CIDR block.'
            ) from None


def check_pool(pool: NodePool, where: Location, others: int) -> None:
    """Like check_cluster, for a pool in a cluster with `others` nodes."""
    _check_name("node_pool.name", pool.name)
    versions.check(pool.version)
    check_quota(pool.initial_node_count + others, where)


def check_quota(nodes: int, where: Location) -> None:
    """PERMISSION_DENIED, in GKE's words, for more nodes than the lab runs; a region has three zones."""
    wanted = nodes * (3 if where.regional else 1)
    if wanted > NODES:
        raise ApiError(
            "PERMISSION_DENIED",
            f'Insufficient project quota to satisfy request: resource "INSTANCES": request requires '
            f"'{wanted}.0' and is short '{wanted - NODES}.0'. project has a quota of '{NODES}.0' with "
            f"'{NODES}.0' available. View and manage quotas at "
            f"https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={where.project}.",
        )


def check_labels(labels: dict[str, str]) -> None:
    """Google Cloud's rules for resource labels, https://cloud.google.com/resource-manager/docs/labels-overview."""
    if len(labels) > 64:
        raise invalid("At most 64 resource labels can be set.")
    for key, value in labels.items():
        if not re.fullmatch(r"[a-z][-_a-z0-9]{0,62}", key):
            raise invalid(f'Invalid value for field "resource_labels": invalid label key "{key}".')
        if not re.fullmatch(r"[-_a-z0-9]{0,63}", value):
            raise invalid(f'Invalid value for field "resource_labels": invalid label value "{value}".')


def provisioning_cluster(asked: Cluster, where: Location, endpoint_url: str) -> Cluster:
    """The cluster as GKE shows it right after the create call: defaults filled in, no endpoint yet."""
    cluster: Any = Cluster(asked)  # for mypy, proto-plus's enums are int
    path = f"{where.path}/clusters/{asked.name}"
    private = asked.network_config.default_enable_private_nodes
    private = private or asked.private_cluster_config.enable_private_nodes
    cluster.network_config.default_enable_private_nodes = private
    if private:
        cluster.private_cluster_config.enable_private_nodes = True
    cluster.node_pools = [
        provisioning_pool(pool, where, f"{endpoint_url}/v1/{path}", private) for pool in _pools(asked)
    ]
    first = cluster.node_pools[0]
    cluster.initial_node_count = first.initial_node_count
    cluster.node_config = first.config
    cluster.id = uuid.uuid4().hex * 2
    cluster.self_link = f"{endpoint_url}/v1/{path}"
    cluster.location = cluster.zone = where.name
    cluster.locations = cluster.locations or first.locations
    cluster.network = cluster.subnetwork = "default"
    cluster.network_config.network = f"projects/{where.project}/global/networks/default"
    cluster.network_config.subnetwork = f"projects/{where.project}/regions/{where.region}/subnetworks/default"
    cluster.cluster_ipv4_cidr, cluster.services_ipv4_cidr = PODS, SERVICES
    cluster.ip_allocation_policy = IPAllocationPolicy(
        use_ip_aliases=True, cluster_ipv4_cidr_block=PODS, services_ipv4_cidr_block=SERVICES
    )
    cluster.initial_cluster_version = versions.VERSION
    cluster.current_master_version = cluster.current_node_version = versions.VERSION
    cluster.release_channel.channel = cluster.release_channel.channel or ReleaseChannel.Channel.REGULAR
    cluster.logging_service = cluster.logging_service or "logging.googleapis.com/kubernetes"
    cluster.monitoring_service = cluster.monitoring_service or "monitoring.googleapis.com/kubernetes"
    cluster.create_time = timestamp()
    cluster.status = Cluster.Status.PROVISIONING
    cluster.endpoint = cluster.status_message = ""
    cluster.conditions = []
    show_networks(cluster, _networks(asked))
    set_labels(cluster, dict(cluster.resource_labels))
    return cluster


def provisioning_pool(asked: NodePool, where: Location, cluster_link: str, private: bool) -> NodePool:
    """The pool as the cluster shows it; `private`: whether nodes are private by default."""
    pool: Any = NodePool(asked)
    if "enable_private_nodes" not in pool.network_config:
        pool.network_config.enable_private_nodes = private
    config = NodeConfig(pool.config)
    config.machine_type = config.machine_type or "e2-medium"
    config.disk_size_gb = config.disk_size_gb or 100
    config.disk_type = config.disk_type or "pd-balanced"
    config.image_type = config.image_type or versions.IMAGE_TYPE
    config.service_account = config.service_account or "default"
    pool.config = config
    pool.management = NodeManagement(auto_upgrade=True, auto_repair=True)
    pool.locations = [where.name]
    pool.version = versions.VERSION
    pool.self_link = f"{cluster_link}/nodePools/{pool.name}"
    pool.status = NodePool.Status.PROVISIONING
    return pool


def set_labels(cluster: Cluster, labels: dict[str, str]) -> None:
    cluster.resource_labels = labels
    digest = hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()
    cluster.label_fingerprint = digest[:8]


def node_labels(pool: NodePool, where: Location) -> dict[str, str]:
    """The labels with which GKE's kubelets register, as far as the tutorial's tools use them."""
    return {
        "cloud.google.com/gke-nodepool": pool.name,
        "cloud.google.com/gke-os-distribution": "cos",
        "node.kubernetes.io/instance-type": pool.config.machine_type,
        "topology.kubernetes.io/region": where.region,
        "topology.kubernetes.io/zone": where.name,
        **dict(pool.config.labels),
    }


def _pools(cluster: Cluster) -> list[NodePool]:
    if cluster.node_pools:
        return list(cluster.node_pools)
    default = NodePool(name="default-pool", initial_node_count=cluster.initial_node_count)
    default.config = cluster.node_config
    return [default]


def _check_name(field: str, name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise invalid(
            f'Invalid value for field "{field}": "{name}". Must be a match of regex \'{_NAME}\' {_NAME_HELP}.'
        )
