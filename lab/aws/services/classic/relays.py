"""Forwards a Classic Load Balancer's connections: relays from its addresses to the instance in service."""

import socket
from collections.abc import Callable

from lab import sockets
from lab.aws.services.classic import annotations
from lab.aws.services.classic.health import Health, HealthCheck
from lab.cluster.service_controller import NodeOf, Service
from lab.errors import LabError
from lab.network import Vpc
from lab.relay import Connect, Relay


class Relays:
    """A relay for each port on each address. Connections are reset while no instance is in service."""

    def __init__(self, vpc: Vpc, addresses: list[str], node: NodeOf, check: HealthCheck) -> None:
        self._vpc, self.addresses = vpc, addresses
        self.health = Health(vpc.namespace.path, node, check)
        self._relays: dict[tuple[str, int, int, bool], Relay] = {}

    def set_ports(self, ports: dict[int, int], proxy_protocol: bool) -> None:
        """`ports`: the load balancer's port → the node port, which gets the client's address on request."""
        wanted = {(address, *pair, proxy_protocol) for address in self.addresses for pair in ports.items()}
        for key in self._relays.keys() - wanted:
            self._relays.pop(key).close()
        for key in wanted - self._relays.keys():
            address, port, node_port, with_header = key
            listener = sockets.listen((address, port), self._vpc.namespace.path)
            self._relays[key] = Relay().start(listener, self._connector(node_port, with_header))

    def _connector(self, node_port: int, proxy_protocol: bool) -> Connect:
        def connect(client: socket.socket) -> socket.socket:
            machine = self.health.in_service()
            if machine is None:
                raise ConnectionRefusedError("no instance is in service")
            header = _proxy_header(client) if proxy_protocol else b""
            node = sockets.connect((machine.address, node_port), self._vpc.namespace.path)
            try:
                node.sendall(header)
            except OSError:
                node.close()
                raise
            return node

        return connect

    def close(self) -> None:
        self.health.close()
        for relay in self._relays.values():
            relay.close()


class HostnameLoadBalancer:
    """The load balancers of one cluster's Services: each with a host name and relays."""

    def __init__(
        self, vpc: Vpc, region: str,
        publish: Callable[[str, list[str]], object], withdraw: Callable[[str], object],
    ) -> None:  # fmt: skip
        """`publish(host name, addresses)` and `withdraw(host name)` update the public DNS."""
        self._vpc, self._region = vpc, region
        self._publish, self._withdraw = publish, withdraw
        self._balancers: dict[str, tuple[str, Relays]] = {}  # by the Service's uid, with the host name

    def ensure(self, service: Service, node: NodeOf) -> list[dict[str, str]]:
        annotations.refuse(service)
        uid, check = service.metadata.uid, health_check(service)
        if uid not in self._balancers:
            self._balancers[uid] = self._open(service, node, check)
        host_name, relays = self._balancers[uid]
        if host_name != self._host_name(service):
            raise LabError(
                f"changing the scheme of {host_name}",
                "Kubernetes' controller for AWS never changes the scheme of a load balancer",
                "delete the Service and create it again",
            )
        relays.health.check = check
        ports = {port.port: port.node_port for port in service.spec.ports}
        relays.set_ports(ports, annotations.has_proxy_protocol(service))
        return [{"hostname": host_name}]

    def _open(self, service: Service, node: NodeOf, check: HealthCheck) -> tuple[str, Relays]:
        host_name, addresses = self._host_name(service), self._allocate_addresses(service)
        try:
            self._publish(host_name, addresses)
        except BaseException:
            self._release_addresses(addresses)
            raise
        return host_name, Relays(self._vpc, addresses, node, check)

    def _allocate_addresses(self, service: Service) -> list[str]:
        return [self._vpc.allocate_public()]

    def _release_addresses(self, addresses: list[str]) -> None:
        for address in addresses:
            self._vpc.release_public(address)

    def release(self, uid: str) -> None:
        if uid in self._balancers:
            host_name, relays = self._balancers.pop(uid)
            self._withdraw(host_name)
            relays.close()
            self._release_addresses(relays.addresses)

    def close(self) -> None:
        for uid in list(self._balancers):
            self.release(uid)

    def _host_name(self, service: Service) -> str:
        uid = service.metadata.uid
        number = int(uid.replace("-", ""), 16) % 10**10
        scheme = "internal-" if annotations.is_internal(service) else ""
        return f"{scheme}{balancer_name(uid)}-{number:010}.{self._region}.elb.amazonaws.com"


def _proxy_header(client: socket.socket) -> bytes:
    """Version 1 of the PROXY protocol, which Classic Load Balancers send.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/enable-proxy-protocol.html
    """
    (source, source_port), (address, port) = client.getpeername(), client.getsockname()
    return f"PROXY TCP4 {source} {address} {source_port} {port}\r\n".encode()


def balancer_name(uid: str) -> str:
    """The load balancer's name, as from the AWS cloud provider: `a` and the Service's uid, 32 characters."""
    return f"a{uid.replace('-', '')}"[:32]


def health_check(service: Service) -> HealthCheck:
    """The health check that Kubernetes' controller configures: TCP to the node port of the first port.

    With `externalTrafficPolicy: Local`, a separate port of kube-proxy reports whether the node has a pod.
    """
    if port := service.spec.health_check_node_port:
        return HealthCheck(f"HTTP:{port}/healthz")
    return HealthCheck(f"TCP:{service.spec.ports[0].node_port}")
