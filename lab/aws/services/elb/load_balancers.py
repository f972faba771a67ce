"""Elastic Load Balancing: each Application Load Balancer listens on real addresses."""

import logging
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.subnets import Subnet
from moto.elbv2.models import AvailabilityZone, FakeListener, FakeLoadBalancer
from moto.elbv2.ssl_policies import SSL_POLICIES

from lab.aws import delays
from lab.aws.dataplane.load_balancer import Balancer, Certificate, Policy
from lab.aws.services.acm.certificates import Certificates
from lab.aws.services.ec2.lookups import interfaces_in
from lab.aws.services.ec2.networks import Networks
from lab.aws.services.ec2.security_groups import DETACHING
from lab.aws.services.elb.access_logs import AccessLog
from lab.aws.services.elb.refusals import listeners, load_balancers
from lab.aws.services.elb.target_groups import TargetGroups
from lab.aws.services.s3.buckets import Buckets

log = logging.getLogger(__name__)
_provisioning = ThreadPoolExecutor(4, "load-balancer")
_DROP_INVALID = "routing.http.drop_invalid_header_fields.enabled"


class LoadBalancers(TargetGroups):
    """Load balancers and listeners of a region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._balancers: dict[str, Future[Balancer]] = {}
        self._access_logs: dict[str, AccessLog] = {}

    def create_load_balancer(
        self,
        name: str,
        security_groups: list[str],
        subnet_ids: list[str],
        subnet_mappings: list[dict[str, str]] | None = None,
        scheme: str | None = None,
        loadbalancer_type: str | None = None,
        ip_address_type: str = "ipv4",
        tags: list[dict[str, str]] | None = None,
    ) -> FakeLoadBalancer:
        scheme, groups = scheme or "internet-facing", security_groups
        load_balancers.create(self.peer(Networks), name, subnet_ids, scheme, loadbalancer_type, groups)
        if not groups:
            default = self.peer(Networks).get_default_security_group(
                self.peer(Networks).get_subnet(subnet_ids[0]).vpc_id
            )
            groups = [default.id] if default else []
        former = next((lb for lb in list(self.load_balancers.values()) if lb.name == name), None)
        if former:
            load_balancers.create_again(former, subnet_ids, scheme, groups)
            return former
        lb = super().create_load_balancer(name, groups, subnet_ids, scheme=scheme, tags=tags)
        lb.dns_name = _host_name(lb, self.region_name)
        lb.attrs = {key: default for key, (default, _) in load_balancers.ATTRIBUTES.items()}
        self._access_logs[lb.arn] = AccessLog(lb, self.region_name, self.context.peer(Buckets))
        self._balancers[lb.arn] = _provisioning.submit(self._provision, lb)
        return lb

    def _provision(self, lb: FakeLoadBalancer) -> Balancer:
        time.sleep(delays.BALANCER)
        try:
            addresses = self._add_interfaces(lb, lb.subnets)
            balancer = Balancer(
                _resource_id(lb),
                addresses,
                self.peer(Networks).namespace(lb.vpc_id).namespace.path,
                log=self._access_logs[lb.arn].write,
                drop_invalid_headers=lambda: lb.attrs[_DROP_INVALID] == "true",
            )
            self.context.dns.publish(lb.dns_name, addresses)
            lb.state = "active"
            return balancer
        except Exception:
            log.exception("provisioning the load balancer %s", lb.name)
            lb.state = "failed"
            self._remove_interfaces(lb, self._interfaces(lb))
            raise

    def _add_interfaces(self, lb: FakeLoadBalancer, subnets: list[Subnet]) -> list[str]:
        """One in each subnet; returns the addresses of the load balancer, including existing ones."""
        vpc, public = self.peer(Networks).namespace(lb.vpc_id), lb.scheme == "internet-facing"
        for subnet in subnets:
            interface = self.peer(Networks).create_managed_interface(
                subnet.id, f"ELB {_resource_id(lb)}", lb.security_groups, seed=lb.name
            )
            if public:
                interface.public_ip = vpc.allocate_public()
                self.peer(Networks).set_filter(lb.vpc_id)
            vpc.add_private(str(interface.private_ip_address))
        return [_address(lb, interface) for interface in self._interfaces(lb)]

    def _remove_interfaces(self, lb: FakeLoadBalancer, interfaces: list[NetworkInterface]) -> None:
        """Their addresses are released at once, and removed from the API a moment later."""
        vpc = self.context.vpcs.get(lb.vpc_id)
        for interface in interfaces:
            if vpc:
                vpc.remove_private(str(interface.private_ip_address))
                vpc.release_public(str(interface.public_ip))
            interface.status = DETACHING
            delays.later(delays.INTERFACES, partial(self.peer(Networks).delete_managed_interface, interface))
        self.peer(Networks).set_filter(lb.vpc_id)

    def set_security_groups(self, arn: str, sec_groups: list[str]) -> None:
        """Applies to new connections at once."""
        networks, lb = self.peer(Networks), load_balancers.known(self, arn)
        load_balancers.set_security_groups(networks, lb, sec_groups)
        load_balancers.provisioned(self._balancers[arn])
        super().set_security_groups(arn, sec_groups)
        for interface in self._interfaces(lb):
            networks.set_groups(interface, sec_groups)

    def set_subnets(
        self, arn: str, subnets: list[str], subnet_mappings: list[dict[str, Any]]
    ) -> list[AvailabilityZone]:
        """Addresses are added and removed with the subnets; DNS follows."""
        lb = load_balancers.known(self, arn)
        load_balancers.set_subnets(self.peer(Networks), lb, subnets)
        balancer = load_balancers.provisioned(self._balancers[arn])
        former = {subnet.id for subnet in lb.subnets}
        added = [self.peer(Networks).get_subnet(each) for each in subnets if each not in former]
        try:
            self._add_interfaces(lb, added)
            kept = [each for each in self._interfaces(lb) if each.subnet.id in subnets]
            addresses = [_address(lb, each) for each in kept]
            balancer.set_addresses(addresses)
        except Exception:  # nothing is changed
            fresh = {subnet.id for subnet in added}
            self._remove_interfaces(lb, [each for each in self._interfaces(lb) if each.subnet.id in fresh])
            raise
        self.context.dns.publish(lb.dns_name, addresses)
        self._remove_interfaces(lb, [each for each in self._interfaces(lb) if each not in kept])
        return super().set_subnets(arn, subnets, [])

    def _interfaces(self, lb: FakeLoadBalancer) -> list[NetworkInterface]:
        mine = f"ELB {_resource_id(lb)}"
        all_ = interfaces_in(self.peer(Networks), lb.vpc_id)
        return [eni for eni in all_ if eni.description == mine and eni.status != DETACHING]

    def delete_load_balancer(self, arn: str) -> None:
        lb = self.load_balancers.get(arn)
        if lb is None:  # no error, as on AWS
            return
        super().delete_load_balancer(arn)
        self._update_use()
        balancer = self._balancers.pop(arn)
        del self._access_logs[arn]
        if not balancer.exception():
            balancer.result().close()
        self.context.dns.withdraw(lb.dns_name)
        self._remove_interfaces(lb, self._interfaces(lb))

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        """Applies to listeners at once."""
        attributes = load_balancers.known(self, arn).attrs
        load_balancers.modify_attributes(attrs)
        wanted = {**attributes, **attrs}
        if wanted["access_logs.s3.enabled"] == "true" and any(
            key.startswith("access_logs.") for key in attrs
        ):
            self._access_logs[arn].enable(wanted)
        attributes.update(attrs)
        return attributes

    def close(self) -> None:
        """Stop all load balancers and health checks; their descriptions in the API remain."""
        for balancer in list(self._balancers.values()):
            if not balancer.exception():
                balancer.result().close()
        for group in list(self._groups.values()):
            group.close()

    def create_listener(
        self,
        load_balancer_arn: str,
        protocol: str,
        port: str,
        ssl_policy: str,
        certificate: str | None,
        actions: list[dict[str, Any]],
        alpn_policy: list[str] | None = None,
        tags: list[dict[str, str]] | None = None,
    ) -> FakeListener:
        listeners.create(self, load_balancer_arn, protocol, port, certificate, ssl_policy)
        forward = listeners.forward(self, load_balancer_arn, actions)
        listener = super().create_listener(
            load_balancer_arn, protocol, port, ssl_policy, certificate, [forward], tags=tags
        )
        if protocol == "HTTP":
            listener.ssl_policy = ""  # moto sets one on every listener
        try:
            self._listen(listener)
        except BaseException:
            super().delete_listener(listener.arn)
            raise
        self._update_use()
        return listener

    def modify_listener(
        self,
        arn: str,
        port: str | None = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> FakeListener:
        listener = self.describe_listeners(None, [arn])[0]
        lb_arn, former = listener.load_balancer_arn, int(listener.port)
        listeners.modify(self, listener, port, protocol, ssl_policy, certificates)
        forward = [listeners.forward(self, lb_arn, actions)] if actions else []
        listener = super().modify_listener(arn, port, protocol, ssl_policy, certificates, forward)
        if listener.protocol == "HTTP":
            listener.ssl_policy, listener.certificate, listener.certificates = "", None, []
        elif not listener.ssl_policy:
            listener.ssl_policy = listeners.DEFAULT_POLICY
        self._listen(listener)
        if int(listener.port) != former:
            load_balancers.provisioned(self._balancers[lb_arn]).remove_listener(former)
        self._update_use()
        return listener

    def delete_listener(self, listener_arn: str) -> FakeListener:
        listener = super().delete_listener(listener_arn)
        load_balancers.provisioned(self._balancers[listener.load_balancer_arn]).remove_listener(
            int(listener.port)
        )
        self._update_use()
        return listener

    def _listen(self, listener: FakeListener) -> None:
        balancer = load_balancers.provisioned(self._balancers[listener.load_balancer_arn])
        group = self._groups[listener.default_actions[0].data["TargetGroupArn"]]
        port, arn = int(listener.port), listener.certificate
        if listener.protocol == "HTTP" or not arn:
            balancer.set_listener(port, "HTTP", group)
            return
        security = SSL_POLICIES[listener.ssl_policy]
        policy = Policy(tuple(security["ssl_protocols"]), tuple(security["ciphers"]))
        balancer.set_listener(port, "HTTPS", group, lambda: self._certificate(arn), policy)

    def _certificate(self, arn: str) -> Certificate:
        bundle = self.peer(Certificates).get_certificate(arn)
        return Certificate(arn, bundle.cert.decode(), bundle.key.decode(), bundle.chain.decode())


def _resource_id(lb: FakeLoadBalancer) -> str:
    """app/<name>/<id>"""
    return lb.arn.rpartition(":loadbalancer/")[2]


def _host_name(lb: FakeLoadBalancer, region: str) -> str:
    """internal-<name>-<number>.<region>.elb.amazonaws.com; without the prefix if internet-facing."""
    number = int(re.sub(r".*/", "", lb.arn), 16) % 10**10
    internal = "internal-" if lb.scheme == "internal" else ""
    return f"{internal}{lb.name}-{number}.{region}.elb.amazonaws.com".lower()


def _address(lb: FakeLoadBalancer, interface: NetworkInterface) -> str:
    """Its addresses."""
    return str(interface.public_ip if lb.scheme == "internet-facing" else interface.private_ip_address)
