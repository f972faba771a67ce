"""What is behind a Classic Load Balancer's host name: relays on a public address of the VPC."""

from collections.abc import Callable

from lab import sockets
from lab.cluster.service_controller import NodeAddress, Service
from lab.network import Vpc
from lab.relay import Relay


class HostnameLoadBalancer:
    """A host name; the balancer takes each TCP connection and makes another to the node port."""

    def __init__(
        self, vpc: Vpc, region: str,
        publish: Callable[[str, list[str]], object], withdraw: Callable[[str], object],
    ) -> None:  # fmt: skip
        """`publish(host name, addresses)` and `withdraw(host name)` keep the public DNS informed."""
        self._vpc, self._region = vpc, region
        self._publish, self._withdraw = publish, withdraw
        self._balancers: dict[str, _Balancer] = {}

    def ensure(self, service: Service, node: NodeAddress) -> list[dict[str, str]]:
        uid = service.metadata.uid
        if uid not in self._balancers:
            self._balancers[uid] = self._open(self._host_name(uid))
        balancer = self._balancers[uid]
        tcp = [port for port in service.spec.ports if port.protocol == "TCP"]
        balancer.set_ports({port.port: port.node_port for port in tcp if port.node_port}, node)
        return [{"hostname": balancer.host_name}]

    def _open(self, host_name: str) -> "_Balancer":
        balancer = _Balancer(self._vpc, host_name)
        try:
            self._publish(host_name, [balancer.address])
        except BaseException:
            balancer.close()
            raise
        return balancer

    def release(self, uid: str) -> None:
        if balancer := self._balancers.pop(uid, None):
            self._withdraw(balancer.host_name)
            balancer.close()

    def close(self) -> None:
        for uid in list(self._balancers):
            self.release(uid)

    def _host_name(self, uid: str) -> str:
        number = int(uid.replace("-", ""), 16) % 10**10
        return f"{balancer_name(uid)}-{number:010}.{self._region}.elb.amazonaws.com"


def balancer_name(uid: str) -> str:
    """As the AWS cloud provider names the balancer of a Service: `a` and the uid, 32 characters."""
    return f"a{uid.replace('-', '')}"[:32]


class _Balancer:
    """One public address with a relay per port."""

    def __init__(self, vpc: Vpc, host_name: str) -> None:
        self._vpc, self.host_name = vpc, host_name
        self.address = vpc.allocate_public()
        self._relays: dict[tuple[int, int], Relay] = {}

    def set_ports(self, ports: dict[int, int], node: NodeAddress) -> None:
        """`ports`: the balancer's port → the node port."""
        for pair in self._relays.keys() - ports.items():
            self._relays.pop(pair).close()
        for port, node_port in ports.items() - self._relays.keys():
            listener = sockets.listen((self.address, port), self._vpc.namespace.path)
            self._relays[port, node_port] = Relay().start(listener, self._connector(node_port, node))

    def _connector(self, node_port: int, node: NodeAddress):
        def connect():
            if address := node():
                return sockets.connect((address, node_port), self._vpc.namespace.path)
            raise ConnectionRefusedError("the cluster has no node")

        return connect

    def close(self) -> None:
        for relay in self._relays.values():
            relay.close()
        self._vpc.release_public(self.address)
