"""An Application Load Balancer in front of Lambda functions: listeners, events, target health, access log."""

from lab.aws.dataplane.load_balancer.balancer import Balancer
from lab.aws.dataplane.load_balancer.health import HealthCheck, TargetHealth
from lab.aws.dataplane.load_balancer.target_group import TargetGroup
from lab.aws.dataplane.load_balancer.tls import Certificate, Policy

__all__ = ["Balancer", "Certificate", "HealthCheck", "Policy", "TargetGroup", "TargetHealth"]
