"""Google's load balancers of Services: packets to their address arrive at the node."""

from ipaddress import IPv4Address
from itertools import islice

from lab.cluster.service_controller import NodeOf, Service
from lab.errors import LabError
from lab.network import Vpc

# https://docs.cloud.google.com/kubernetes-engine/docs/concepts/service-load-balancer-parameters
_TYPES = "networking.gke.io/load-balancer-type", "cloud.google.com/load-balancer-type"  # the latter is older
_PREFIXES = "networking.gke.io/", "cloud.google.com/", "alpha.cloud.google.com/"
_FIRST = 16  # of the load balancers' private addresses; nodes and API server have lower ones


class AddressLoadBalancer:
    """An address, public or of the subnet, whose traffic arrives at the node and is handled by kube-proxy."""

    def __init__(self, vpc: Vpc) -> None:
        self._vpc = vpc
        self._addresses: dict[str, str] = {}

    def ensure(self, service: Service, node: NodeOf) -> list[dict[str, str]]:
        """If its type changes, the load balancer is replaced, as by GKE's controller."""
        refuse(service)
        uid, internal = service.metadata.uid, is_internal(service)
        if uid in self._addresses and internal != self._is_private(self._addresses[uid]):
            self.release(uid)
        if uid not in self._addresses:
            self._addresses[uid] = self._take_private() if internal else self._vpc.allocate_public()
        return [{"ip": self._addresses[uid]}]

    def _is_private(self, address: str) -> bool:
        return IPv4Address(address) in self._vpc.private

    def _take_private(self) -> str:
        taken = self._addresses.values()
        addresses = map(str, islice(self._vpc.private, _FIRST, None))
        address = next(one for one in addresses if one not in taken)
        self._vpc.add_private(address)
        return address

    def release(self, uid: str) -> None:
        if address := self._addresses.pop(uid, None):
            if self._is_private(address):
                self._vpc.remove_private(address)
            else:
                self._vpc.release_public(address)

    def close(self) -> None:
        for uid in list(self._addresses):
            self.release(uid)


def refuse(service: Service) -> None:
    """Raise LabError for an annotation that GKE supports and the lab does not."""
    for name, value in (service.metadata.annotations or {}).items():
        if name.startswith(_PREFIXES) and name not in _TYPES:
            raise LabError(f"the annotation {name}: {value}", "the lab does not offer it", "remove it")


def is_internal(service: Service) -> bool:
    """From the first of the two annotations that is set; a value that GKE does not know means external."""
    given = service.metadata.annotations or {}
    kinds = [given[name] for name in _TYPES if name in given]
    return kinds[:1] in (["Internal"], ["internal"])
