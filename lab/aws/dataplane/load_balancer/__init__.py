"""An Application Load Balancer in front of Lambda functions: listeners, events, target health, access log."""

from lab.aws.dataplane.load_balancer.actions import Action, FixedResponse, Forward, Redirect
from lab.aws.dataplane.load_balancer.attributes import Attributes
from lab.aws.dataplane.load_balancer.balancer import Balancer
from lab.aws.dataplane.load_balancer.health import HealthCheck, TargetHealth
from lab.aws.dataplane.load_balancer.target_group import TargetGroup
from lab.aws.dataplane.load_balancer.tls import Certificate, Policy

__all__ = [
    "Action",
    "Attributes",
    "Balancer",
    "Certificate",
    "FixedResponse",
    "Forward",
    "HealthCheck",
    "Policy",
    "Redirect",
    "TargetGroup",
    "TargetHealth",
]
