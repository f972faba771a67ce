"""Listeners."""

from typing import Any

from moto.acm.models import acm_backends
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeLoadBalancer
from moto.elbv2.ssl_policies import SSL_POLICIES

from lab.aws.services.elb.refusals.load_balancers import known, not_offered

DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"


def create(
    elb: ELBv2Backend, lb_arn: str, protocol: str, port: str, certificate_arn: str | None, ssl_policy: str
) -> None:
    _check_port(known(elb, lb_arn), port)
    if ssl_policy not in SSL_POLICIES:
        raise ELBClientError("SSLPolicyNotFound", f"SSL policy '{ssl_policy}' not found")
    _check_tls(protocol, certificate_arn, ssl_policy != DEFAULT_POLICY)
    if certificate_arn:
        _check_certificate(elb, certificate_arn)


def modify(
    elb: ELBv2Backend,
    listener: FakeListener,
    port: str | None,
    protocol: str | None,
    ssl_policy: str | None,
    certificates: list[dict[str, Any]] | None,
) -> None:
    if port and int(port) != int(listener.port):
        _check_port(known(elb, listener.load_balancer_arn), port)
    arns = [given["CertificateArn"] for given in certificates or []]
    if len(arns) > 1:
        raise ELBClientError("ValidationError", "Only the default certificate can be specified")
    held = None if protocol == "HTTP" else listener.certificate
    _check_tls(protocol or listener.protocol, arns[0] if arns else held, bool(ssl_policy))
    for arn in arns:
        _check_certificate(elb, arn)


def _check_port(lb: FakeLoadBalancer, port: str) -> None:
    if any(int(listener.port) == int(port) for listener in list(lb.listeners.values())):
        message = f"A listener already exists on this port for this load balancer '{lb.arn}'"
        raise ELBClientError("DuplicateListener", message)


def _check_tls(protocol: str, certificate_arn: str | None, has_policy: bool) -> None:
    if protocol == "HTTPS" and not certificate_arn:
        raise ELBClientError("ValidationError", "A certificate must be specified for HTTPS listeners")
    if protocol == "HTTP" and certificate_arn:
        raise ELBClientError("ValidationError", "A certificate cannot be specified for HTTP listeners")
    if protocol == "HTTP" and has_policy:
        raise ELBClientError("ValidationError", "An SSL policy cannot be specified for HTTP listeners")


def _check_certificate(elb: ELBv2Backend, arn: str) -> None:
    if not arn.startswith("arn:aws:acm:"):
        raise not_offered("server certificates of IAM")
    if not elb._certificate_exists(arn):
        raise ELBClientError("CertificateNotFound", f"Certificate '{arn}' not found")
    if acm_backends[elb.account_id][elb.region_name].get_certificate(arn).status != "ISSUED":
        message = (
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size."
        )
        raise ELBClientError("UnsupportedCertificate", message)


def forward(elb: ELBv2Backend, lb_arn: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    """The only action of a listener, in the form in which AWS shows it: forward to one target group.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Action.html
    """
    for action in actions:
        if action["Type"] != "forward":
            raise not_offered(f"listeners with an action of type '{action['Type']}'")
    if len(actions) != 1:
        raise ELBClientError("InvalidLoadBalancerAction", "A listener must have exactly one forward action")
    arn = actions[0].get("TargetGroupArn")
    if arn not in elb.target_groups:
        raise ELBClientError("TargetGroupNotFound", f"Target group '{arn}' not found")
    if set(elb.target_groups[arn].load_balancer_arns) - {lb_arn}:
        message = "The following target groups cannot be associated with more than one load balancer: "
        raise ELBClientError("TargetGroupAssociationLimit", message + arn)
    shown = {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1}]}
    stickiness = {"TargetGroupStickinessConfig": {"Enabled": False}}
    return {"Type": "forward", "TargetGroupArn": arn, "ForwardConfig": {**shown, **stickiness}}
