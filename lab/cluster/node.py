"""A node: containerd with the lab's images, kubelet and kube-proxy, in the VPC's namespace."""

import json
import shutil
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from lab import cgroups, pki
from lab.cluster import runtime
from lab.cluster.control_plane import DOMAIN, ControlPlane
from lab.cluster.mounts import View
from lab.cluster.waiting import wait_until
from lab.processes import Process, Processes

PROGRAMS = ("kubelet", "kube-proxy", "containerd")
XTABLES_LOCK = Path("/run/xtables.lock")
# The kubelet sets these machine-wide (setupKernelTunables), unless they have the expected values.
KERNEL_SETTINGS = {
    "/proc/sys/vm/overcommit_memory": "1",
    "/proc/sys/vm/panic_on_oom": "0",
    "/proc/sys/kernel/panic": "10",
    "/proc/sys/kernel/panic_on_oops": "1",
    "/proc/sys/kernel/keys/root_maxkeys": "1000000",
    "/proc/sys/kernel/keys/root_maxbytes": "25000000",
}


class Node:
    """One machine of a cluster: its processes are below one cgroup, its files below one folder."""

    def __init__(
        self, name: str, address: str, labels: dict[str, str], pods: IPv4Network, provider_id: str,
        plane: ControlPlane, processes: Processes, programs: Path, cgroup: str,
    ) -> None:  # fmt: skip
        """`pods`: the range of its pods' addresses; `provider_id`: its name in the cloud."""
        self.name, self.address, self._labels, self._pod_range = name, address, labels, pods
        self.provider_id = provider_id
        self._plane, self._processes, self._programs = plane, processes, programs
        self._pods, self._runtime = f"{cgroup}/pods", f"{cgroup}/runtime"
        self._cgroup = cgroup
        visible = [plane.folder, programs]
        # kube-proxy and the VPC's NAT change the same tables. (nftables needs no lock and has no such file.)
        visible += [XTABLES_LOCK] if XTABLES_LOCK.exists() else []
        self._view = View(plane.folder / "node", visible, KERNEL_SETTINGS)
        self._prefix = f"{plane.spec.name}/"
        self._containerd: Process | None = None

    def start(self, store: Path, more: Iterable[Path] = ()) -> None:
        """Blocks until the node is Ready.

        `store`: containerd's images (`runtime.image_store`); `more`: archives of other images.
        """
        self._plane.vpc.add_private(self.address)
        cgroups.create(self._pods)
        self._plane.vpc.add_nat_range(str(self._pod_range))
        self._view.create()
        runtime.copy_store(store, self._view)
        self._write_cni()
        containerd = runtime.start(
            self._processes, self._prefix + "containerd", self._view, self._namespace, self._runtime
        )
        action = f"starting node {self.name}"
        wait_until(lambda: runtime.is_ready(self._view, containerd), action, [containerd])
        self._containerd = containerd
        for archive in more:
            self.add_image(archive)
        programs = [containerd, self._start_kubelet(containerd.pid), self._start_proxy(containerd.pid)]
        wait_until(self._is_ready, action, [*self._plane.programs, *programs])

    def add_image(self, archive: Path) -> None:
        """Import an image for pods; LabError if the archive has none."""
        assert self._containerd
        runtime.import_image(self._containerd, archive)

    def stop(self) -> None:
        """Kill every container and program of the node and delete its folder, without graceful shutdown."""
        for name in PROGRAMS:
            self._processes.stopping(self._prefix + name)
        cgroups.kill(self._pods)  # before the shims, their parents, which then reap them
        cgroups.kill(self._cgroup)
        for name in PROGRAMS:
            self._processes.stop(self._prefix + name)
        cgroups.remove(self._cgroup)
        self._plane.vpc.namespace.run(str(self._programs / "kube-proxy"), "--cleanup", check=False)
        self._plane.vpc.remove_nat_range(str(self._pod_range))
        self._plane.vpc.remove_private(self.address)
        shutil.rmtree(self._view.root, ignore_errors=True)

    def forget(self) -> None:
        """Delete the Node object, as the API server keeps running."""
        try:
            client.CoreV1Api(self._plane.api).delete_node(self.name)
        except ApiException as error:
            if error.status != 404:
                raise

    @property
    def _namespace(self) -> Path:
        return self._plane.vpc.namespace.path

    def _start(self, program: str, containerd: int, *arguments: str) -> Process:
        """In containerd's view, as the two share mounts."""
        inside = View.enter(containerd, self._programs / program, *arguments)
        argv = [*cgroups.entering(self._runtime), *inside]
        return self._processes.start(self._prefix + program, argv, self._namespace)

    def _is_ready(self) -> bool:
        try:
            node = client.CoreV1Api(self._plane.api).read_node(self.name)
        except (ApiException, HTTPError):  # HTTPError: without etcd, the API server closes the connection
            return False
        conditions = node.status.conditions if node.status else None
        return any(one.type == "Ready" and one.status == "True" for one in conditions or [])

    def _write(self, inside: str, document: dict[str, Any]) -> str:
        path = self._view.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        return inside

    def _write_cni(self) -> None:
        ranges = [[{"subnet": str(self._pod_range)}]]
        ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
        plugins = [
            {"type": "ptp", "mtu": 1500, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ]
        network = {"cniVersion": "0.4.0", "name": "lab", "plugins": plugins}
        self._write(f"{runtime.CNI_CONFIGURATION}/10-lab.conflist", network)

    def _start_kubelet(self, containerd: int) -> Process:
        self._view.path("/var/lib/resolv.conf").write_text(f"nameserver {self._plane.spec.resolver}\n")
        configuration = self._kubelet_configuration()
        kubeconfig = self._plane.kubeconfig("kubelet", f"system:node:{self.name}", "system:nodes")
        return self._start(
            "kubelet", containerd,
            f"--config={self._write('/var/lib/kubelet.json', configuration)}",
            f"--kubeconfig={kubeconfig}",
            f"--node-ip={self.address}",
            f"--hostname-override={self.name}",
            f"--node-labels={','.join(f'{label}={value}' for label, value in self._labels.items())}",
        )  # fmt: skip

    def _kubelet_configuration(self) -> dict[str, Any]:
        plane = self._plane
        folder = plane.folder / "pki"
        serving = plane.authority.issue(self.name, pki.SERVER, names=(self.name, self.address))
        certificate, key = serving.write(folder, "kubelet-serving")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(folder / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{runtime.SOCKET}",
            "clusterDNS": [plane.spec.dns_ip],
            "clusterDomain": DOMAIN,
            "resolvConf": "/var/lib/resolv.conf",
            "providerID": self.provider_id,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._pods}",
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": [],
            # Not for pods: the range's first and last address, and the node's on its link to the pods.
            "maxPods": min(110, self._pod_range.num_addresses - 3),
            "failCgroupV1": False,
            "failSwapOn": False,
            # The machine shares its disk and memory: do not evict pods or delete images when they are full.
            "evictionHard": {
                "imagefs.available": "0%",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "memory.available": "0%",
            },
            "imageGCHighThresholdPercent": 100,
            "localStorageCapacityIsolation": False,
            "syncFrequency": "5s",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        }

    def _start_proxy(self, containerd: int) -> Process:
        kubeconfig = self._plane.kubeconfig("kube-proxy", "system:kube-proxy")
        configuration = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "mode": "iptables",
            "clusterCIDR": str(self._pod_range),
            "hostnameOverride": self.name,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "nodePortAddresses": ["primary"],  # not on the VPC's public addresses
            # Keep the machine's limits.
            "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }
        file = self._write("/var/lib/kube-proxy.json", configuration)
        return self._start("kube-proxy", containerd, f"--config={file}")
