"""Which settings of its Classic Load Balancer a Service may have, as annotations and fields.

https://github.com/kubernetes/cloud-provider-aws/blob/master/docs/service_controller.md
"""

from lab.cluster.service_controller import Service
from lab.errors import LabError

_PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
_INTERNAL = f"{_PREFIX}internal"
_CROSS_ZONE = f"{_PREFIX}cross-zone-load-balancing-enabled"
_PROXY_PROTOCOL = f"{_PREFIX}proxy-protocol"
_TYPE = f"{_PREFIX}type"
# Go's strconv.ParseBool, and a missing annotation.
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("", "0", "f", "F", "false", "FALSE", "False")


def refuse(service: Service) -> None:
    """Raise LabError for what Kubernetes' controller refuses, in its words, or the lab does not offer."""
    for name, value in _annotations(service).items():
        if name == _TYPE:
            raise LabError(
                f"the annotation {name}: {value}",
                "the lab has Classic Load Balancers only. A Network Load Balancer keeps the client's address;"
                " a Classic one tells it by the PROXY protocol",
                f'remove it; for the client\'s address add {_PROXY_PROTOCOL}: "*"',
            )
        if name.startswith(_PREFIX) and name not in (_INTERNAL, _CROSS_ZONE, _PROXY_PROTOCOL):
            raise LabError(f"the annotation {name}: {value}", "the lab does not offer it", "remove it")
    spec = service.spec
    if spec.session_affinity not in (None, "None"):
        raise LabError("load balancer", f"unsupported load balancer affinity: {spec.session_affinity}")
    for port in spec.ports:
        if port.protocol != "TCP":
            raise LabError(f"port {port.port}", f"Protocol {port.protocol} not supported by LoadBalancer")
    if spec.load_balancer_ip:
        raise LabError("load balancer", "LoadBalancerIP cannot be specified for AWS ELB")
    is_cross_zone(service)
    has_proxy_protocol(service)


def is_internal(service: Service) -> bool:
    """Any value but "" and "false" means true."""
    return _annotations(service).get(_INTERNAL, "") not in ("", "false")


def is_cross_zone(service: Service) -> bool:
    """Raises LabError if the value is not a boolean."""
    value = _annotations(service).get(_CROSS_ZONE, "")
    if value not in _TRUE + _FALSE:
        raise LabError("load balancer", f"error parsing service annotation: {_CROSS_ZONE}={value}")
    return value in _TRUE


def has_proxy_protocol(service: Service) -> bool:
    """Raises LabError if the value is not "*", all ports."""
    value = _annotations(service).get(_PROXY_PROTOCOL, "")
    if value not in ("", "*"):
        found = f'annotation "{_PROXY_PROTOCOL}"="{value}" detected'
        raise LabError("load balancer", f"{found}, but the only value supported currently is '*'")
    return value == "*"


def _annotations(service: Service) -> dict[str, str]:
    return service.metadata.annotations or {}
