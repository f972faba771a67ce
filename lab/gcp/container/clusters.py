"""GKE's clusters and node pools: their states, and the real cluster of each."""

import secrets
import string
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from google.cloud.container_v1.types import Cluster, NodePool, Operation

from lab.cluster.cluster import Cluster as Machines
from lab.gcp.api.errors import ApiError, already_exists, not_found
from lab.gcp.api.locations import Location
from lab.gcp.container import resources
from lab.gcp.container.network import NODE, DefaultNetwork
from lab.gcp.container.operations import Operations, Step, condition

CLUSTERS = 1  # the quota: one real cluster in the project's one network
_CREATING = ("CLUSTER_CONFIGURING", "CLUSTER_DEPLOYING", "CLUSTER_HEALTHCHECKING")
_DELETING = ("CLUSTER_DELETING",)
_NODES = ("NODES",)
_DIGITS = string.ascii_lowercase + string.digits


@dataclass
class _Entry:
    where: Location
    resource: Any  # a Cluster; for mypy, proto-plus's enums are int
    machines: Machines | None = None
    nodes: dict[str, str] = field(default_factory=dict)  # node name by pool

    @property
    def name(self) -> str:
        return self.resource.name

    @property
    def path(self) -> str:
        return f"{self.where.path}/clusters/{self.name}"


class Clusters:
    """The project's clusters. Calls return at once; long-running work is an operation."""

    def __init__(self, operations: Operations, network: DefaultNetwork, endpoint_url: str) -> None:
        self._operations, self._network, self._endpoint_url = operations, network, endpoint_url
        self._entries: dict[tuple[str, str], _Entry] = {}  # by location and name
        self._lock = RLock()

    def create(self, where: Location, asked: Cluster) -> Operation:
        """PROVISIONING, then RUNNING with an endpoint, or ERROR with the reason."""
        resources.check_cluster(asked, where)
        entry = _Entry(where, resources.provisioning_cluster(asked, where, self._endpoint_url))
        with self._lock:
            if (where.name, asked.name) in self._entries:
                raise already_exists(entry.path)
            if len(self._entries) >= CLUSTERS:
                raise ApiError(
                    "RESOURCE_EXHAUSTED",
                    f"Insufficient quota to satisfy the request: you cannot create more than {CLUSTERS} "
                    f"cluster(s) in project {where.project}: it is what the lab runs. "
                    f"{self._names()} exists; delete it first.",
                )
            self._entries[where.name, asked.name] = entry
            return self._start(Operation.Type.CREATE_CLUSTER, entry, _CREATING, self._bring_up)

    def delete(self, where: Location, name: str) -> Operation:
        """STOPPING, then deleted."""
        with self._lock:
            entry = self._idle(where, name)
            entry.resource.status = Cluster.Status.STOPPING
            return self._start(Operation.Type.DELETE_CLUSTER, entry, _DELETING, self._take_down)

    def get(self, where: Location, name: str) -> Cluster:
        with self._lock:
            return _shown(self._entry(where, name))

    def list(self, where: Location) -> list[Cluster]:
        with self._lock:
            return [_shown(entry) for entry in self._entries.values() if where.covers(entry.where)]

    def set_labels(self, where: Location, name: str, labels: dict[str, str], fingerprint: str) -> Operation:
        """Replace all labels, if `fingerprint` matches the current labels."""
        resources.check_labels(labels)
        with self._lock:
            entry = self._idle(where, name)
            if fingerprint != entry.resource.label_fingerprint:
                raise ApiError("FAILED_PRECONDITION", "Labels could not be set due to fingerprint mismatch.")
            resources.set_labels(entry.resource, labels)
            return self._start(Operation.Type.UPDATE_CLUSTER, entry, (), lambda entry, step: None)

    def update(self, where: Location, name: str, update: Any) -> Operation:
        """Change who may reach the API server; it is stored and shown, but not enforced."""
        resources.check_update(update)
        with self._lock:
            entry = self._idle(where, name)
            asked = resources.update_networks(update)
            entry.resource.status = Cluster.Status.RECONCILING

            def work(entry: _Entry, step: Step) -> None:
                with self._lock:
                    resources.show_networks(entry.resource, asked)
                    entry.resource.status = Cluster.Status.RUNNING

            return self._start(Operation.Type.UPDATE_CLUSTER, entry, (), work)

    def create_pool(self, where: Location, name: str, asked: NodePool) -> Operation:
        """PROVISIONING, then RUNNING; the cluster is RECONCILING meanwhile."""
        with self._lock:
            entry = self._idle(where, name)
            if any(pool.name == asked.name for pool in entry.resource.node_pools):
                raise already_exists(f"{entry.path}/nodePools/{asked.name}")
            resources.check_pool(asked, where, others=len(entry.nodes))
            private = entry.resource.network_config.default_enable_private_nodes
            pool = resources.provisioning_pool(asked, where, entry.resource.self_link, private)
            entry.resource.node_pools.append(pool)
            entry.resource.status = Cluster.Status.RECONCILING
            return self._start(Operation.Type.CREATE_NODE_POOL, entry, _NODES, self._start_nodes)

    def delete_pool(self, where: Location, name: str, pool_name: str) -> Operation:
        """STOPPING, then deleted; the cluster is RECONCILING meanwhile."""

        def work(entry: _Entry, step: Step) -> None:
            step(*_NODES)
            self._stop_nodes(entry, pool_name)

        with self._lock:
            entry = self._idle(where, name)
            self._pool(entry, pool_name).status = NodePool.Status.STOPPING
            entry.resource.status = Cluster.Status.RECONCILING
            return self._start(Operation.Type.DELETE_NODE_POOL, entry, _NODES, work)

    def get_pool(self, where: Location, name: str, pool_name: str) -> NodePool:
        with self._lock:
            return NodePool(self._pool(self._entry(where, name), pool_name))

    def close(self) -> None:
        """Stop every cluster without state changes, as the lab stops. No operation may be in progress."""
        for entry in self._entries.values():
            if entry.machines:
                entry.machines.stop()
        self._entries.clear()

    def _start(
        self,
        kind: int,
        entry: _Entry,
        stages: tuple[str, ...],
        work: Callable[[_Entry, Step], None],
    ) -> Operation:
        return self._operations.start(kind, entry.where, entry.path, stages, lambda step: work(entry, step))

    def _bring_up(self, entry: _Entry, step: Step) -> None:
        try:
            step("CLUSTER_CONFIGURING")
            machines = entry.machines = self._network.new_cluster(entry.name, entry.where.region)
            step("CLUSTER_DEPLOYING")
            machines.start_control_plane()
            with self._lock:
                entry.resource.endpoint = machines.endpoint
                entry.resource.master_auth.cluster_ca_certificate = b64encode(
                    machines.ca_certificate
                ).decode()
            step("CLUSTER_HEALTHCHECKING")
            self._start_nodes(entry, lambda stage: None)
        except Exception as error:
            self._fail(entry, error)
            raise

    def _fail(self, entry: _Entry, error: Exception) -> None:
        """A cluster that did not start remains for inspection; what was partly created is deleted."""
        with self._lock:
            machines, entry.machines = entry.machines, None
            entry.resource.endpoint = ""
            entry.resource.status = Cluster.Status.ERROR
            entry.resource.status_message = str(error)
            entry.resource.conditions = [condition(error)]
        if machines:
            machines.stop()
        entry.nodes.clear()
        self._notify_network(entry)

    def _take_down(self, entry: _Entry, step: Step) -> None:
        step("CLUSTER_DELETING")
        if entry.machines:
            try:
                entry.machines.stop()
            except Exception as error:
                with self._lock:
                    entry.resource.status = Cluster.Status.ERROR
                    entry.resource.conditions = [condition(error)]
                raise
        entry.nodes.clear()
        self._notify_network(entry)
        with self._lock:
            del self._entries[entry.where.name, entry.name]

    def _start_nodes(self, entry: _Entry, step: Step) -> None:
        """Start a node for each pool without one; then the cluster and its pools are RUNNING."""
        assert entry.machines
        for pool in [pool for pool in entry.resource.node_pools if pool.name not in entry.nodes]:
            node = _node_name(entry.name, pool.name)
            try:
                entry.machines.start_node(node, NODE, resources.node_labels(pool, entry.where))
            except Exception as error:
                with self._lock:
                    pool.status, pool.conditions = NodePool.Status.ERROR, [condition(error)]
                    entry.resource.status = Cluster.Status.RUNNING
                raise
            entry.nodes[pool.name] = node
            self._notify_network(entry)
            with self._lock:
                pool.status = NodePool.Status.RUNNING
        with self._lock:
            entry.resource.status = Cluster.Status.RUNNING
            entry.resource.current_node_count = len(entry.nodes)

    def _stop_nodes(self, entry: _Entry, pool_name: str) -> None:
        if entry.nodes.pop(pool_name, None) and entry.machines:
            entry.machines.stop_node()
        self._notify_network(entry)
        with self._lock:
            pools = [pool for pool in entry.resource.node_pools if pool.name != pool_name]
            entry.resource.node_pools = pools
            entry.resource.status = Cluster.Status.RUNNING
            entry.resource.current_node_count = len(entry.nodes)

    def _notify_network(self, entry: _Entry) -> None:
        """A node has a public address unless its pool is private."""
        pools = [pool for pool in entry.resource.node_pools if pool.name in entry.nodes]
        self._network.set_public_nodes(any(not pool.network_config.enable_private_nodes for pool in pools))

    def _entry(self, where: Location, name: str) -> _Entry:
        entry = self._entries.get((where.name, name))
        if entry is None:
            raise not_found(f"{where.path}/clusters/{name}")
        return entry

    def _idle(self, where: Location, name: str) -> _Entry:
        """The cluster, if no operation is in progress: GKE allows one at a time."""
        entry = self._entry(where, name)
        self._operations.refuse_while_busy(entry.path, name)
        return entry

    def _pool(self, entry: _Entry, name: str) -> Any:
        for pool in entry.resource.node_pools:
            if pool.name == name:
                return pool
        raise not_found(f"{entry.path}/nodePools/{name}")

    def _names(self) -> str:
        return ", ".join(entry.path for entry in self._entries.values())


def _node_name(cluster: str, pool: str) -> str:
    """A virtual machine's name, as on GKE: gke-<cluster>-<pool>-<8 hex>-<4>, at most 63 characters."""
    suffix = "".join(secrets.choice(_DIGITS) for _ in range(4))
    return f"gke-{cluster[:23]}-{pool[:20]}-{secrets.token_hex(4)}-{suffix}"


def _shown(entry: _Entry) -> Cluster:
    """DEGRADED after one of its programs has ended unexpectedly."""
    cluster: Any = Cluster(entry.resource)
    ended = entry.machines.ended() if entry.machines else []
    if ended and cluster.status == Cluster.Status.RUNNING:
        cluster.status = Cluster.Status.DEGRADED
        cluster.status_message = "; ".join(ended)
        cluster.conditions = [condition(RuntimeError(cluster.status_message))]
    return cluster
