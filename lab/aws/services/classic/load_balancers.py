"""Classic Load Balancers in the ELB API: those of an EKS cluster's Services of type LoadBalancer.

They leave the same resources in the account as Kubernetes' cloud provider for AWS: a load balancer in the ELB
API, its security group, network interfaces in the VPC. They are deleted with the Service; if the cluster is
deleted before its Services, they remain.
https://docs.aws.amazon.com/eks/latest/userguide/delete-cluster.html
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.elb.exceptions import NoActiveLoadBalancerFoundError
from moto.elb.models import ELBBackend, FakeBackend, FakeHealthCheck, FakeListener, LoadBalancer

from lab.aws.context import LabBackend
from lab.aws.services.classic import annotations, groups
from lab.aws.services.classic.health import Health
from lab.aws.services.classic.relays import balancer_name
from lab.aws.services.ec2.lookups import interfaces
from lab.aws.services.ec2.networks import Networks
from lab.cluster.service_controller import Service

_PROXY_PROTOCOL = "k8s-proxyprotocol-enabled"  # the policy's name


class ClassicLoadBalancers(LabBackend, ELBBackend):
    """Classic Load Balancers of a region. Those that belong to no Service do not forward anything."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._stops: dict[str, Callable[[], None]] = {}  # by name: stops the real load balancer
        self._health: dict[str, Health] = {}

    def create_for(self, service: Service, subnets: list[str], cluster: str) -> list[NetworkInterface]:
        """Add the load balancer of a Service; returns its interfaces, one per subnet."""
        networks = self.peer(Networks)
        name, of = _names(service)
        owned = {f"kubernetes.io/cluster/{cluster}": "owned"}
        vpc_id = networks.get_subnet(subnets[0]).vpc_id
        group = groups.ensure(networks, name, of, vpc_id, owned)
        zones = [networks.get_subnet(subnet).availability_zone for subnet in subnets]
        scheme = "internal" if annotations.is_internal(service) else "internet-facing"
        balancer = self.create_load_balancer(name, zones, _listeners(service), scheme, subnets, [group])
        balancer.tags |= {**owned, "kubernetes.io/service-name": of}
        return [networks.create_managed_interface(subnet, f"ELB {name}", [group], name) for subnet in subnets]

    def started(self, name: str, host_name: str, health: Health, stop: Callable[[], None]) -> None:
        """The real load balancer runs; `stop` ends it."""
        self.load_balancers[name].dns_name = host_name
        self._health[name], self._stops[name] = health, stop

    def update_for(self, service: Service, nodes_group: str) -> None:
        """Update the ports, sources and attributes from the Service; `nodes_group` is the nodes' own."""
        balancer = self.load_balancers[_names(service)[0]]
        [group] = balancer.security_groups
        groups.set_rules(self.peer(Networks), group, service)
        groups.allow_into_nodes(self.peer(Networks), group, nodes_group)
        balancer.listeners = [
            FakeListener(port["LoadBalancerPort"], port["InstancePort"], port["Protocol"], None)
            for port in _listeners(service)
        ]
        self._set_proxy_protocol(balancer, annotations.has_proxy_protocol(service))
        cross_zone = annotations.is_cross_zone(service)
        balancer.attributes["cross_zone_load_balancing"] = {"enabled": cross_zone}

    def _set_proxy_protocol(self, balancer: LoadBalancer, wanted: bool) -> None:
        """A policy for each node port; once created, the policy stays, as with Kubernetes' controller."""
        if wanted:
            attributes = [{"AttributeName": "ProxyProtocol", "AttributeValue": "true"}]
            self.create_load_balancer_policy(
                balancer.name, _PROXY_PROTOCOL, "ProxyProtocolPolicyType", attributes
            )
        balancer.backends = [FakeBackend(listener.instance_port) for listener in balancer.listeners]
        for backend in balancer.backends:
            backend.policy_names = [_PROXY_PROTOCOL] if wanted else []

    def describe_load_balancers(self, names: list[str]) -> list[LoadBalancer]:
        """With its current instances and health check."""
        found = super().describe_load_balancers(names)
        for balancer in found:
            if health := self._health.get(balancer.name):
                balancer.instance_sparse_ids = [instance.id for instance in health.instances()]
                balancer.health_check = FakeHealthCheck(**asdict(health.check))
        return found

    def describe_instance_health(self, lb_name: str, instances: list[dict[str, str]]) -> list[dict[str, Any]]:
        """The states of all registered instances, with reason and description."""
        if lb_name not in self.load_balancers:
            raise NoActiveLoadBalancerFoundError(name=lb_name)
        health = self._health.get(lb_name)
        states = []
        for instance in health.instances() if health else []:
            code, description = instance.reason(health.check) if health else ("", "")
            state = "InService" if instance.in_service else "OutOfService"
            states.append(
                {"InstanceId": instance.id, "State": state, "ReasonCode": code, "Description": description}
            )
        return states

    def delete_load_balancer(self, load_balancer_name: str) -> None:
        """Also deletes its interfaces; the security group remains, as it is Kubernetes' and not ELB's."""
        self._health.pop(load_balancer_name, None)
        if stop := self._stops.pop(load_balancer_name, None):
            stop()
        networks = self.peer(Networks)
        for interface in interfaces(networks):
            if interface.description == f"ELB {load_balancer_name}":
                networks.delete_managed_interface(interface)
        super().delete_load_balancer(load_balancer_name)

    def delete_for(self, name: str, vpc_id: str) -> None:
        """Delete what the cloud provider deletes with a Service, if it exists."""
        self.delete_load_balancer(name)
        groups.delete(self.peer(Networks), name, vpc_id)

    def close(self) -> None:
        """Stop all load balancers; their descriptions in the API remain."""
        for stop in list(self._stops.values()):
            stop()
        self._stops.clear()


def _names(service: Service) -> tuple[str, str]:
    """The tags of the load balancer, and those of the Service."""
    return balancer_name(service.metadata.uid), f"{service.metadata.namespace}/{service.metadata.name}"


def _listeners(service: Service) -> list[dict[str, Any]]:
    return [
        {"Protocol": port.protocol, "LoadBalancerPort": port.port, "InstancePort": port.node_port}
        for port in service.spec.ports
    ]
