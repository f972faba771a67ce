"""Classic Load Balancers: what an EKS cluster makes for its Services of type LoadBalancer.

It leaves the traces in the account that Kubernetes' cloud provider for AWS leaves there: a balancer in the
ELB API, its security group, network interfaces in the VPC. They go with the Service; a cluster that is
deleted before its Services leaves them behind.
https://docs.aws.amazon.com/eks/latest/userguide/delete-cluster.html
"""

from collections.abc import Callable
from typing import Any

from moto.elb.models import ELBBackend

from lab.aws.ground import Backed, Ground
from lab.aws.services.classic.relays import HostnameLoadBalancer, balancer_name
from lab.aws.services.ec2.lookups import interfaces
from lab.aws.services.ec2.networks import Networks
from lab.cluster.service_controller import NodeAddress, Service
from lab.network import Vpc

_PUBLIC = "kubernetes.io/role/elb"


class ClassicLoadBalancers(Backed, ELBBackend):
    """Classic balancers of a region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._stops: dict[str, Callable[[], None]] = {}  # by name: ends the real balancer

    def describe_service(
        self, service: Service, ingress: tuple[str, str], subnets: list[str], cluster: str,
        stop: Callable[[], None],
    ) -> None:  # fmt: skip
        """Show the balancer of a Service: `ingress` is host name and address, `stop` ends the real one."""
        networks = self.peer(Networks)
        name, (host_name, address) = balancer_name(service.metadata.uid), ingress
        of = f"{service.metadata.namespace}/{service.metadata.name}"
        owned = {f"kubernetes.io/cluster/{cluster}": "owned"}
        if name not in self.load_balancers:
            group = networks.create_security_group(
                _group_name(name),
                f"Security group for Kubernetes ELB {name} ({of})",
                vpc_id=networks.get_subnet(subnets[0]).vpc_id,
                tags=owned,
            )
            zones = [networks.get_subnet(subnet).availability_zone for subnet in subnets]
            ports = _listeners(service)
            balancer = self.create_load_balancer(
                name, zones, ports, subnets=subnets, security_groups=[group.id]
            )
            balancer.dns_name = host_name
            balancer.tags |= {**owned, "kubernetes.io/service-name": of}
            self._stops[name] = stop
            for subnet in subnets:
                public = address if subnet == subnets[0] else None
                description = f"ELB {name}"
                networks.create_managed_interface(subnet, description, [group.id], name, public)

    def delete_load_balancer(self, load_balancer_name: str) -> None:
        """With its interfaces; its security group stays, as it is Kubernetes' and not ELB's."""
        if stop := self._stops.pop(load_balancer_name, None):
            stop()
        networks = self.peer(Networks)
        for interface in interfaces(networks):
            if interface.description == f"ELB {load_balancer_name}":
                networks.delete_managed_interface(interface)
        super().delete_load_balancer(load_balancer_name)

    def delete_service(self, name: str) -> None:
        """What the cloud provider does when a Service goes; none is fine."""
        balancer = self.load_balancers.get(name)
        self.delete_load_balancer(name)
        if balancer:
            group = self.peer(Networks).get_security_group_from_name(_group_name(name), balancer.vpc_id)
            if group:
                self.peer(Networks).delete_security_group(group_id=group.id)

    def close(self) -> None:
        """End all balancers; the API's view is left as it is."""
        for stop in list(self._stops.values()):
            stop()
        self._stops.clear()


class ServiceBalancers(HostnameLoadBalancer):
    """The balancers of one cluster's Services, which the ELB API shows and can delete."""

    def __init__(self, vpc: Vpc, ground: Ground, region: str, cluster: Any) -> None:
        """`cluster` is the description that EKS gives."""
        super().__init__(vpc, region, ground.dns.publish, ground.dns.withdraw)
        self._api, self._networks = ground.peer(ClassicLoadBalancers, region), ground.peer(Networks, region)
        self._cluster = cluster

    def ensure(self, service: Service, node: NodeAddress) -> list[dict[str, str]]:
        ingress = super().ensure(service, node)
        uid = service.metadata.uid
        balancer = self._balancers[uid]
        where = balancer.host_name, balancer.address
        end = super().release
        self._api.describe_service(service, where, self._subnets(), self._cluster.name, lambda: end(uid))
        return ingress

    def release(self, uid: str) -> None:
        self._api.delete_service(balancer_name(uid))

    def close(self) -> None:
        """AWS keeps them, though nothing answers behind them, until somebody deletes them there."""

    def _subnets(self) -> list[str]:
        """The cluster's public subnets, by the tag that Kubernetes looks for, or all of them."""
        ids = self._cluster.resources_vpc_config["subnetIds"]
        subnets = [self._networks.get_subnet(id_) for id_ in ids]
        public = [s for s in subnets if any(tag["key"] == _PUBLIC for tag in s.get_tags())]
        by_zone = {subnet.availability_zone: subnet.id for subnet in public or subnets}
        return list(by_zone.values())


def _group_name(balancer: str) -> str:
    return f"k8s-elb-{balancer}"


def _listeners(service: Service) -> list[dict[str, Any]]:
    return [
        {"Protocol": "TCP", "LoadBalancerPort": port.port, "InstancePort": port.node_port}
        for port in service.spec.ports
        if port.protocol == "TCP"
    ]
