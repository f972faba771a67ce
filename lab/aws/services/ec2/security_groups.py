"""EC2: security groups are enforced for load balancers; for everything else they are stored and shown.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from collections.abc import Iterator
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from lab import packet_filter
from lab.aws.context import LabBackend
from lab.aws.services.ec2 import refusals
from lab.aws.services.ec2.egress import attaching
from lab.aws.services.ec2.lookups import interfaces_in
from lab.packet_filter import Admission

_BALANCER = "ELB "  # prefix of the description of a load balancer's interface
DETACHING = "detaching"  # the status of one that is being deleted


class SecurityGroups(LabBackend, EC2Backend):
    """After each change of rules or interfaces, update the packet filter of the VPC's namespace."""

    def create_security_group(
        self, name: str, description: str, vpc_id: str | None = None, *args: Any, **kwargs: Any
    ) -> SecurityGroup:
        is_default = kwargs.get("is_default")
        if vpc_id and not is_default:
            refusals.create_security_group(self, name, vpc_id)
        group = super().create_security_group(name, description, vpc_id, *args, **kwargs)
        if is_default:  # it admits its own members, which moto omits
            source = [{"GroupId": group.id}]
            super().authorize_security_group_ingress(group.id, "-1", "", "", [], source_groups=source)
        return group

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        refusals.delete_security_group(self, group_id)
        super().delete_security_group(name, group_id)

    def authorize_security_group_ingress(
        self, group_name_or_id: str, ip_protocol: str, from_port: str, to_port: str, *args: Any, **kwargs: Any
    ) -> tuple[list[SecurityGroupRule], SecurityGroup]:
        refusals.security_group_rule(ip_protocol, from_port, to_port)
        rules, group = super().authorize_security_group_ingress(
            group_name_or_id, ip_protocol, from_port, to_port, *args, **kwargs
        )
        self.set_filter(group.vpc_id)
        return rules, group

    def revoke_security_group_ingress(self, group_name_or_id: str, *args: Any, **kwargs: Any) -> None:
        super().revoke_security_group_ingress(group_name_or_id, *args, **kwargs)
        group = self.get_security_group_from_id(group_name_or_id)
        self.set_filter(group.vpc_id if group else None)

    def set_groups(self, interface: NetworkInterface, group_ids: list[str]) -> None:
        """Replaces the interface's security groups."""
        found = [self.get_security_group_from_id(group_id) for group_id in group_ids]
        interface._group_set = [group for group in found if group]
        self.set_filter(interface.vpc_id)

    def set_filter(self, vpc_id: str | None) -> None:
        """Let load balancers in this VPC accept exactly the connections that their groups currently admit."""
        with attaching:
            vpc = self.context.vpcs.get(vpc_id or "")
            if vpc and vpc_id in self.vpcs:
                packet_filter.apply(vpc.namespace, self._admitted(vpc_id))

    def _admitted(self, vpc_id: str) -> dict[str, list[Admission]]:
        admitted = {}
        for interface in interfaces_in(self, vpc_id):
            if interface.description.startswith(_BALANCER) and interface.status != DETACHING:
                rules = [rule for group in interface.group_set for rule in list(group.ingress_rules)]
                admissions = [one for rule in rules for one in self._admissions(vpc_id, rule)]
                for address in filter(None, (interface.private_ip_address, interface.public_ip)):
                    admitted[address] = admissions
        return admitted

    def _admissions(self, vpc_id: str, rule: SecurityGroupRule) -> Iterator[Admission]:
        """The ports of one rule; none for protocols without ports, which load balancers do not use."""
        if rule.ip_protocol == "-1":
            yield from (Admission(source) for source in self._sources(vpc_id, rule))
        elif rule.ip_protocol in ("tcp", "udp") and rule.from_port is not None and rule.to_port is not None:
            ports = (rule.from_port, rule.to_port)
            yield from (Admission(source, rule.ip_protocol, ports) for source in self._sources(vpc_id, rule))

    def _sources(self, vpc_id: str, rule: SecurityGroupRule) -> list[str]:
        """A CIDR range, or the private addresses of the source group's members."""
        if cidr := rule.ip_range.get("CidrIp"):
            return [cidr]
        members = [each for each in interfaces_in(self, vpc_id) if _in_group(each, rule.source_group)]
        return [one["PrivateIpAddress"] for each in members for one in each.private_ip_addresses]


def _in_group(interface: NetworkInterface, group: dict[str, str]) -> bool:
    return any(one.id == group.get("GroupId") for one in interface.group_set)
