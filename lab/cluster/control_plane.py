"""One cluster's control plane: etcd, API server, controller manager and scheduler, in the VPC's namespace."""

import json
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from kubernetes import client, config
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from lab import cgroups, pki, sockets
from lab.cluster.waiting import wait_until
from lab.network import Vpc
from lab.processes import Process, Processes
from lab.relay import Relay

PORT = 6443
DOMAIN = "cluster.local"
ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True)
class ClusterSpec:
    """What a cloud decides about a cluster.

    Attributes:
        name: of its folder, cgroup and logs: unique in the lab, hence with the cloud (eks-tutorial).
        address: of the API server in the VPC (on EKS a network interface in one of the subnets).
        service_range: CIDR of cluster IPs.
        dns_ip: cluster IP of kube-dns, in `service_range`.
        resolver: address of the VPC's resolver, which nodes and CoreDNS use for all other names.
        pod_range: CIDR of which each node gets a /24; empty if nodes bring their pods' addresses.
        token_webhook: kubeconfig of the service that verifies bearer tokens (TokenReview v1), for
            --authentication-token-webhook-config-file; its server must be reachable in the VPC's namespace.
    """

    name: str
    address: str
    service_range: str
    dns_ip: str
    resolver: str
    pod_range: str = ""
    token_webhook: dict[str, Any] | None = None


class ControlPlane:
    """The programs that a cloud runs for you."""

    def __init__(
        self, spec: ClusterSpec, folder: Path, vpc: Vpc, processes: Processes, programs: Path, cgroup: str
    ) -> None:
        self.spec, self.folder, self.vpc = spec, folder, vpc
        self._processes, self._programs, self._cgroup = processes, programs, cgroup
        self._relay = Relay()
        self.authority = pki.CertificateAuthority("kubernetes")
        self.endpoint = ""
        self.api: client.ApiClient | None = None
        self.programs: list[Process] = []  # the API server needs all of them

    @property
    def url(self) -> str:
        """The API server's URL inside the VPC."""
        return f"https://{self.spec.address}:{PORT}"

    def start(self) -> None:
        """Blocks until the API server is ready (about 3 s), not until the controllers have done anything."""
        self._write_pki()
        cgroups.create(self._cgroup)
        self.vpc.add_private(self.spec.address)
        self._open_relay()
        admin = self.kubeconfig("admin", "admin", "system:masters", server=f"https://{self.endpoint}")
        self._probe = PoolManager(
            ca_certs=self._pki("ca.crt"), cert_file=self._pki("admin.crt"), key_file=self._pki("admin.key")
        )
        self.api = config.new_client_from_config(str(admin))
        self.programs = [self._start("etcd", *self._etcd())]
        self.programs += [self._start("kube-apiserver", *self._api_server())]
        wait_until(self._is_ready, f"starting the control plane of {self.spec.name}", self.programs)
        self._start("kube-controller-manager", *self._controller_manager())
        self._start("kube-scheduler", *self._scheduler())

    def stop(self) -> None:
        """Kills the programs: the cluster's data is deleted anyway."""
        self._relay.close()
        self._processes.stopping(self.spec.name)
        cgroups.kill(self._cgroup)
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self._processes.stop(f"{self.spec.name}/{name}")
        cgroups.remove(self._cgroup)
        self.vpc.remove_private(self.spec.address)
        if self.api:
            self.api.close()

    def kubeconfig(self, name: str, user: str, *groups: str, server: str = "") -> Path:
        """Write <name>.kubeconfig for a user with a client certificate; `server`: a URL outside the VPC."""
        pair = self.authority.issue(user, pki.CLIENT, groups=groups)
        certificate, key = pair.write(self.folder / "pki", name)
        identity = {"client-certificate": str(certificate), "client-key": str(key)}
        cluster = {"server": server or self.url, "certificate-authority": self._pki("ca.crt")}
        entry = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": name, "user": identity}],
        }
        return pki.write_private(self.folder / f"{name}.kubeconfig", json.dumps(entry).encode())

    def _write_pki(self) -> None:
        folder = self.folder / "pki"
        folder.mkdir(parents=True, exist_ok=True)
        self.authority.pair.write(folder, "ca")
        namespaced = "kubernetes.default.svc"
        services = ("kubernetes", "kubernetes.default", namespaced, f"{namespaced}.{DOMAIN}")
        first = str(ip_network(self.spec.service_range)[1])  # the Service `kubernetes`
        names = (*services, first, self.spec.address, "localhost", "127.0.0.1")
        self.authority.issue("kube-apiserver", pki.SERVER, names=names).write(folder, "apiserver")
        to_kubelet = "kube-apiserver-kubelet-client"
        self.authority.issue(to_kubelet, pki.CLIENT, groups=("system:masters",)).write(
            folder, "kubelet-client"
        )
        public, private = pki.signing_keys()
        (folder / "service-accounts.pub").write_bytes(public)
        pki.write_private(folder / "service-accounts.key", private)

    def _open_relay(self) -> None:
        """From the machine's loopback into the VPC; the only such path."""
        address, namespace = (self.spec.address, PORT), self.vpc.namespace.path
        listener = sockets.listen(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        self._relay.start(listener, lambda _: sockets.connect(address, namespace))

    def _is_ready(self) -> bool:
        try:
            answer = self._probe.request("GET", f"https://{self.endpoint}/readyz", retries=False, timeout=5)
        except HTTPError:
            return False
        return answer.status == 200

    def _start(self, program: str, *arguments: str) -> Process:
        name = f"{self.spec.name}/{program}"
        argv = [*cgroups.entering(self._cgroup), str(self._programs / program), *arguments]
        return self._processes.start(name, argv, self.vpc.namespace.path, cwd=self.folder)

    def _pki(self, file: str) -> str:
        return str(self.folder / "pki" / file)

    def _etcd(self) -> list[str]:
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # a lab need not survive a crash of the machine
        ]

    def _api_server(self) -> list[str]:
        address = self.spec.address
        return [
            f"--etcd-servers={ETCD}",
            # Not 0.0.0.0: the VPC's public addresses belong to load balancers.
            f"--bind-address={address}",
            f"--advertise-address={address}",
            f"--secure-port={PORT}",
            f"--tls-cert-file={self._pki('apiserver.crt')}",
            f"--tls-private-key-file={self._pki('apiserver.key')}",
            f"--client-ca-file={self._pki('ca.crt')}",
            f"--service-account-key-file={self._pki('service-accounts.pub')}",
            f"--service-account-signing-key-file={self._pki('service-accounts.key')}",
            f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
            f"--service-cluster-ip-range={self.spec.service_range}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--feature-gates=MutatingAdmissionPolicy=true",  # lab/cluster/admission.yaml
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
            "--allow-privileged=true",
            f"--kubelet-certificate-authority={self._pki('ca.crt')}",
            f"--kubelet-client-certificate={self._pki('kubelet-client.crt')}",
            f"--kubelet-client-key={self._pki('kubelet-client.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
            *self._token_webhook(),
        ]

    def _token_webhook(self) -> list[str]:
        if not self.spec.token_webhook:
            return []
        file = self.folder / "token-webhook.json"
        pki.write_private(file, json.dumps(self.spec.token_webhook).encode())
        webhook = "--authentication-token-webhook"
        return [f"{webhook}-config-file={file}", f"{webhook}-version=v1"]

    def _controller_manager(self) -> list[str]:
        name = "kube-controller-manager"
        return [
            f"--kubeconfig={self.kubeconfig(name, f'system:{name}')}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--service-account-private-key-file={self._pki('service-accounts.key')}",
            f"--root-ca-file={self._pki('ca.crt')}",
            "--use-service-account-credentials=true",
            # Each controller requests a token at its start: 4 s at the usual 20 requests per second.
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
            # No --cluster-signing-cert-file: EKS does not sign client certificates either, and each of the
            # four signers would use an inotify instance.
            f"--flex-volume-plugin-dir={self.folder / 'volume-plugins'}",  # created; default: in /usr
            *self._node_ranges(),
            f"--service-cluster-ip-range={self.spec.service_range}",
            # On a busy machine a kubelet renews its lease late. After 50 s, all pods of the node would become
            # not ready and Envoy would have no healthy upstream, although the node is running.
            "--node-monitor-grace-period=10m",
        ]

    def _node_ranges(self) -> list[str]:
        pods = self.spec.pod_range
        return ["--allocate-node-cidrs=true", f"--cluster-cidr={pods}"] if pods else []

    def _scheduler(self) -> list[str]:
        name = "kube-scheduler"
        kubeconfig = self.kubeconfig(name, f"system:{name}")
        return [f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", "--leader-elect=false"]
