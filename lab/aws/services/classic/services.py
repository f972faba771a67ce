"""What Kubernetes' cloud provider for AWS does for the Services of one cluster.

https://github.com/kubernetes/cloud-provider-aws/blob/master/pkg/providers/v1/aws.go
"""

from ipaddress import IPv4Address
from typing import Any

from lab.aws.context import LabContext
from lab.aws.services.classic import annotations
from lab.aws.services.classic.health import HealthCheck
from lab.aws.services.classic.load_balancers import ClassicLoadBalancers
from lab.aws.services.classic.relays import HostnameLoadBalancer, Relays, balancer_name
from lab.aws.services.ec2.networks import Networks
from lab.cluster.service_controller import NodeOf, Service
from lab.network import Vpc

_ROLES = {True: "kubernetes.io/role/internal-elb", False: "kubernetes.io/role/elb"}  # key: internal?


class ServiceBalancers(HostnameLoadBalancer):
    """The load balancers of one cluster's Services, which the ELB API shows and can delete."""

    def __init__(self, vpc: Vpc, context: LabContext, region: str, cluster: Any) -> None:
        """`cluster` is EKS's description."""
        super().__init__(vpc, region, context.dns.publish, context.dns.withdraw)
        self._api, self._networks = context.peer(ClassicLoadBalancers, region), context.peer(Networks, region)
        self._cluster = cluster

    def ensure(self, service: Service, node: NodeOf) -> list[dict[str, str]]:
        ingress = super().ensure(service, node)
        self._api.update_for(service, self._cluster.resources_vpc_config["clusterSecurityGroupId"])
        return ingress

    def _open(self, service: Service, node: NodeOf, check: HealthCheck) -> tuple[str, Relays]:
        uid = service.metadata.uid
        end = super().release
        try:
            host_name, relays = super()._open(service, node, check)
        except BaseException:
            self.release(uid)
            raise
        self._api.started(balancer_name(uid), host_name, relays.health, lambda: end(uid))
        return host_name, relays

    def _allocate_addresses(self, service: Service) -> list[str]:
        """A public address in the first subnet; for an internal load balancer, its interfaces' addresses."""
        internal = annotations.is_internal(service)
        interfaces = self._api.create_for(service, self._subnets(_ROLES[internal]), self._cluster.name)
        if not internal:
            interfaces[0].public_ip = self._vpc.allocate_public()
            return [interfaces[0].public_ip]
        addresses = [str(interface.private_ip_address) for interface in interfaces]
        for address in addresses:
            self._vpc.add_private(address)
        return addresses

    def _release_addresses(self, addresses: list[str]) -> None:
        for address in addresses:
            if IPv4Address(address) in self._vpc.private:
                self._vpc.remove_private(address)
            else:
                self._vpc.release_public(address)

    def release(self, uid: str) -> None:
        self._api.delete_for(balancer_name(uid), self._cluster.resources_vpc_config["vpcId"])

    def close(self) -> None:
        """On AWS they remain, without a target, until you delete them."""

    def _subnets(self, role: str) -> list[str]:
        """The cluster's subnets with the tag that Kubernetes requires, or all of them: one in each zone."""
        ids = self._cluster.resources_vpc_config["subnetIds"]
        subnets = [self._networks.get_subnet(id_) for id_ in ids]
        tagged = [s for s in subnets if any(tag["key"] == role for tag in s.get_tags())]
        by_zone = {subnet.availability_zone: subnet.id for subnet in tagged or subnets}
        return list(by_zone.values())
