"""Google's load balancers of Services: an address that arrives on the node."""

from lab.cluster.service_controller import NodeAddress, Service
from lab.network import Vpc


class AddressLoadBalancer:
    """A public address that arrives on the node, where kube-proxy takes its traffic."""

    def __init__(self, vpc: Vpc) -> None:
        self._vpc = vpc
        self._addresses: dict[str, str] = {}

    def ensure(self, service: Service, node: NodeAddress) -> list[dict[str, str]]:
        uid = service.metadata.uid
        if uid not in self._addresses:
            self._addresses[uid] = self._vpc.allocate_public()
        return [{"ip": self._addresses[uid]}]

    def release(self, uid: str) -> None:
        if address := self._addresses.pop(uid, None):
            self._vpc.release_public(address)

    def close(self) -> None:
        for uid in list(self._addresses):
            self.release(uid)
