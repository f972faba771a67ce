"""Elastic Load Balancing: a real balancer on real addresses behind each Application Load Balancer."""

import logging
import random
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from moto.elbv2.models import (
    FakeListener,
    FakeListenerRule,
    FakeLoadBalancer,
)
from moto.elbv2.ssl_policies import SSL_POLICIES

from lab.aws import delays
from lab.aws.dataplane.load_balancer import (
    Action,
    Attributes,
    Balancer,
    Certificate,
    FixedResponse,
    Forward,
    Policy,
    Redirect,
)
from lab.aws.dataplane.load_balancer.attributes import defaults
from lab.aws.services.acm.certificates import Certificates
from lab.aws.services.ec2.lookups import interfaces_in
from lab.aws.services.ec2.networks import Networks
from lab.aws.services.elb import refusals
from lab.aws.services.elb.access_logs import AccessLog
from lab.aws.services.elb.target_groups import TargetGroups
from lab.aws.services.s3.buckets import Buckets

log = logging.getLogger(__name__)
_provisioning = ThreadPoolExecutor(4, "load-balancer")


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
        scheme = scheme or "internet-facing"
        subnets = [*subnet_ids, *(mapping["SubnetId"] for mapping in subnet_mappings or [])]
        type_, groups = loadbalancer_type, security_groups
        networks = self.peer(Networks)
        refusals.create_load_balancer(networks, name, subnets, scheme, type_, groups)
        if not groups:
            default = networks.get_default_security_group(networks.get_subnet(subnets[0]).vpc_id)
            groups = [default.id] if default else []
        former = next((lb for lb in self.load_balancers.values() if lb.name == name), None)
        if former:
            refusals.same_load_balancer(former, subnets, scheme, groups)
            return former
        lb = super().create_load_balancer(
            name, groups, subnet_ids, subnet_mappings, scheme, type_, ip_address_type, tags
        )
        lb.dns_name = _host_name(lb, self.region_name)
        lb.activate = lambda: None  # type: ignore[method-assign]  # moto would call it active when it is described
        lb.attrs = defaults(scheme)
        self._access_logs[lb.arn] = AccessLog(lb, self.region_name, self.ground.peer(Buckets))
        self._balancers[lb.arn] = _provisioning.submit(self._provision, lb)
        return lb

    def _provision(self, lb: FakeLoadBalancer) -> Balancer:
        time.sleep(delays.BALANCER)
        try:
            vpc = self.peer(Networks).namespace(lb.vpc_id)
            public = lb.scheme == "internet-facing"
            for subnet in lb.subnets:
                interface = self.peer(Networks).create_managed_interface(
                    subnet.id,
                    f"ELB {_resource_id(lb)}",
                    lb.security_groups,
                    seed=lb.name,
                    public_ip=vpc.allocate_public() if public else None,
                )
                vpc.add_private(str(interface.private_ip_address))
            addresses = [
                str(eni.public_ip if public else eni.private_ip_address) for eni in self._interfaces(lb)
            ]
            access_log = self.ground.lab.data / "log" / "alb" / f"{lb.name}.log"
            access_log.parent.mkdir(parents=True, exist_ok=True)
            deliver = self._access_logs[lb.arn].write
            balancer = Balancer(
                _resource_id(lb),
                addresses,
                vpc.namespace.path,
                access_log,
                deliver=deliver,
                attributes=lambda: Attributes.of(lb.attrs),
            )
            self.ground.dns.publish(lb.dns_name, addresses)
            lb.state = "active"
            return balancer
        except Exception:
            log.exception("provisioning the load balancer %s", lb.name)
            lb.state = "failed"
            raise

    def _interfaces(self, lb: FakeLoadBalancer) -> list[Any]:
        description = f"ELB {_resource_id(lb)}"
        found = interfaces_in(self.peer(Networks), lb.vpc_id)
        return [interface for interface in found if interface.description == description]

    def delete_load_balancer(self, arn: str) -> None:
        lb = self.load_balancers.get(arn)
        if lb is None:  # AWS, too, is content
            return
        refusals.delete_load_balancer(lb)
        super().delete_load_balancer(arn)
        self._update_use()
        balancer = self._balancers.pop(arn)
        del self._access_logs[arn]
        if not balancer.exception():
            balancer.result().close()
        self.ground.dns.withdraw(lb.dns_name)
        delays.later(delays.INTERFACES, lambda: self._release(lb))

    def _release(self, lb: FakeLoadBalancer) -> None:
        vpc = self.ground.vpcs.get(lb.vpc_id)
        for interface in self._interfaces(lb):
            if vpc:
                vpc.remove_private(str(interface.private_ip_address))
                vpc.release_public(str(interface.public_ip))
            self.peer(Networks).delete_managed_interface(interface)

    def modify_load_balancer_attributes(self, arn: str, attrs: dict[str, Any]) -> dict[str, Any]:
        """moto does not know all of them, nor their values. Listeners obey at once."""
        attributes = super().describe_load_balancer_attributes(arn)
        refusals.modify_load_balancer_attributes(attrs)
        wanted = {**attributes, **attrs}
        if wanted["access_logs.s3.enabled"] == "true" and any(
            key.startswith("access_logs.") for key in attrs
        ):
            self._access_logs[arn].enable(wanted)
        attributes.update(attrs)
        return attributes

    def close(self) -> None:
        """End all balancers and health checks; the API's view is left as it is."""
        for balancer in self._balancers.values():
            if not balancer.exception():
                balancer.result().close()
        for group in self._groups.values():
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
        refusals.create_listener(self, load_balancer_arn, protocol, port, certificate, ssl_policy, actions)
        listener = super().create_listener(
            load_balancer_arn, protocol, port, ssl_policy, certificate, actions, alpn_policy, tags
        )
        if protocol == "HTTP":
            listener.ssl_policy = ""  # moto gives one to every listener
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
        refusals.listen(self, listener.load_balancer_arn, actions or [])
        for given in certificates or []:
            refusals.certificate(self, given["CertificateArn"])
        former = int(listener.port)
        listener = super().modify_listener(arn, port, protocol, ssl_policy, certificates, actions)
        self._listen(listener)
        if int(listener.port) != former:
            refusals.provisioned(self._balancers[listener.load_balancer_arn]).remove_listener(former)
        self._update_use()
        return listener

    def delete_listener(self, listener_arn: str) -> FakeListener:
        listener = super().delete_listener(listener_arn)
        refusals.provisioned(self._balancers[listener.load_balancer_arn]).remove_listener(int(listener.port))
        self._update_use()
        return listener

    def create_rule(self, *args: Any, **kwargs: Any) -> FakeListenerRule:
        refusals.create_rule(kwargs["listener_arn"])
        return super().create_rule(*args, **kwargs)

    def _listen(self, listener: FakeListener) -> None:
        certificate, policy = None, Policy()
        if listener.certificate and listener.protocol == "HTTPS":
            security = SSL_POLICIES[listener.ssl_policy]
            policy = Policy(tuple(security["ssl_protocols"]), tuple(security["ciphers"]))
            certificate = lambda: self._certificate(listener.certificate)  # noqa: E731
        balancer = refusals.provisioned(self._balancers[listener.load_balancer_arn])
        action = self._action_of(listener)
        balancer.set_listener(int(listener.port), listener.protocol, action, certificate, policy)

    def _certificate(self, arn: str) -> Certificate:
        bundle = self.peer(Certificates).get_certificate(arn)
        return Certificate(arn, bundle.cert.decode(), bundle.key.decode(), bundle.chain.decode())

    def _action_of(self, listener: FakeListener) -> Callable[[], Action]:
        return lambda: self._action(listener.default_actions[-1].data)

    def _action(self, action: dict[str, Any]) -> Action:
        """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html"""
        if action["Type"] == "forward":
            groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
            weights = [int(group.get("Weight", 1)) for group in groups]
            chosen = random.choices(groups, weights)[0] if any(weights) else groups[0]
            return Forward(self._groups[chosen["TargetGroupArn"]])
        if action["Type"] == "fixed-response":
            config = action["FixedResponseConfig"]
            content_type = config.get("ContentType", "text/plain")
            return FixedResponse(int(config["StatusCode"]), content_type, config.get("MessageBody", ""))
        config = action["RedirectConfig"]
        parts = {k.lower(): str(v) for k, v in config.items() if k != "StatusCode"}
        return Redirect(int(config["StatusCode"].removeprefix("HTTP_")), **parts)


def _resource_id(lb: FakeLoadBalancer) -> str:
    """app/<name>/<id>"""
    return lb.arn.rpartition(":loadbalancer/")[2]


def _host_name(lb: FakeLoadBalancer, region: str) -> str:
    """internal-<name>-<number>.<region>.elb.amazonaws.com; facing the internet, without the first word."""
    number = int(re.sub(r".*/", "", lb.arn), 16) % 10**10
    internal = "internal-" if lb.scheme == "internal" else ""
    return f"{internal}{lb.name}-{number}.{region}.elb.amazonaws.com".lower()
