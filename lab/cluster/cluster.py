"""A Kubernetes cluster with one node, which the clouds create and delete."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path

from kubernetes import client

from lab import cgroups, inotify
from lab.cluster import addons, runtime
from lab.cluster.control_plane import ClusterSpec, ControlPlane
from lab.cluster.node import Node
from lab.cluster.service_controller import Policy, ServiceController
from lab.errors import LabError
from lab.network import Vpc
from lab.processes import Processes
from lab.settings import Lab

__all__ = ["Cluster", "ClusterSpec", "MakeCluster"]


class Cluster:
    """One cluster in a VPC (one per VPC). The clouds call its steps, each of which can raise LabError."""

    def __init__(
        self, spec: ClusterSpec, vpc: Vpc, processes: Processes, lab: Lab, programs: Path,
        images: list[Path], load_balancers: Policy,
    ) -> None:  # fmt: skip
        self.spec = spec
        self._processes, self._programs, self._images, self._lab = processes, programs, images, lab
        self._cgroup = f"{lab.cgroup}/clusters/{spec.name}"
        self._folder = lab.data / "clusters" / spec.name
        self._plane = ControlPlane(
            spec, self._folder, vpc, processes, programs, f"{self._cgroup}/control-plane"
        )
        self.starting_node = threading.Lock()
        self._node: Node | None = None
        self._store: Future[Path] | None = None
        self._load_balancers = load_balancers
        self._controller: ServiceController | None = None

    @property
    def endpoint(self) -> str:
        """127.0.0.1:<port>, relayed to the API server; "" before start_control_plane."""
        return self._plane.endpoint

    @property
    def ca_certificate(self) -> bytes:
        """PEM, of the CA that signed the API server's certificate."""
        return self._plane.authority.pair.certificate

    @property
    def admin_kubeconfig(self) -> Path:
        """With a client certificate of group system:masters, through `endpoint`: for the lab itself."""
        return self._folder / "admin.kubeconfig"

    def ended(self) -> list[str]:
        """Its programs that ended unexpectedly, and how; a cloud would restart them."""
        return self._processes.ended(self.spec.name)

    def start_control_plane(self) -> None:
        """Blocks until the API server is ready. Pods wait for a node."""
        inotify.require_instances_for_cluster(self.spec.name)
        self._prepare_images()
        try:
            self._plane.start()
            kubectl = self._programs / "kubectl"
            addons.install(kubectl, self.admin_kubeconfig, self.spec.dns_ip, self._plane.programs)
        except BaseException:
            self.stop()
            raise
        core = client.CoreV1Api(self._plane.api)
        self._controller = ServiceController(core, self._load_balancers, lambda: self._node)
        self._controller.start()

    def start_node(
        self, name: str, address: str, labels: dict[str, str],
        pods: IPv4Network | None = None, provider_id: str = "",
    ) -> None:  # fmt: skip
        """Blocks until the node is Ready. One node at a time.

        `address` is its private one in the VPC; `pods` the range of its pods' addresses, unless the cluster
        has a range of which it gets a /24; `provider_id` its name in the cloud, such as
        aws:///us-east-1a/i-0123456789abcdef0.
        """
        if self._node:
            raise LabError(f"starting node {name}", f"{self.spec.name} has a node: {self._node.name}")
        cgroup = f"{self._cgroup}/node"
        # The first /24 of the cluster's range is what the controller manager gives to the first node.
        pods = pods or next(IPv4Network(self.spec.pod_range).subnets(new_prefix=24))
        node = Node(
            name, address, labels, pods, provider_id, self._plane, self._processes, self._programs, cgroup
        )
        store = self._prepare_images().result()
        with self.starting_node:
            try:
                node.start(store, sorted(self._lab.own_images.glob("*.tar")))
            except BaseException:
                node.stop()
                raise
            self._node = node

    def add_image(self, archive: Path) -> None:
        """Add an image for pods, on the node and in the folder from which later nodes take them."""
        if self._node:
            self._node.add_image(archive)

    def stop_node(self) -> None:
        """Stop the node and its pods and delete its Node object, if there is a node."""
        if self._node:
            self._node.stop()
            self._node.forget()
            self._node = None

    def stop(self) -> None:
        """Stop everything and delete its data; releases the public addresses. Idempotent."""
        if self._controller:
            self._controller.stopping()
        if self._node:
            self._node.stop()
            self._node = None
        self._plane.stop()
        if self._controller:
            self._controller.stop()
            self._controller = None
        cgroups.remove(self._cgroup)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare_images(self) -> Future[Path]:
        """Import the images, once per machine (6 to 9 s), while the first control plane starts."""
        if not self._store:
            executor = ThreadPoolExecutor(1, thread_name_prefix="images")
            cgroup = f"{self._lab.cgroup}/images"
            self._store = executor.submit(
                runtime.image_store, self._images, self._lab.cache, self._processes, cgroup
            )
            executor.shutdown(wait=False)
        return self._store


MakeCluster = Callable[[ClusterSpec, Vpc, Policy], Cluster]
