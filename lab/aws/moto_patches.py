"""Parts of moto that the lab replaces, besides backends and their answers (see lab/aws/ground.py)."""

import sys
from typing import Any, NamedTuple

from moto import settings
from moto.acm.models import CertBundle
from moto.awslambda.models import LambdaFunction
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.elb.responses import ELBResponse
from moto.elbv2.models import FakeLoadBalancer
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from lab.aws import delays


class Patch(NamedTuple):
    """`name` of a class or module of moto, and what the lab puts there."""

    owner: Any
    name: str
    value: Any


_describe_certificate = CertBundle.describe


def _describe_certificate_later(bundle: CertBundle) -> dict[str, Any]:
    """A moment passes before ACM names the DNS records that it wants."""
    description = _describe_certificate(bundle)
    if (utcnow() - bundle.created_at).total_seconds() < delays.CERTIFICATE:
        for option in description["Certificate"].get("DomainValidationOptions", []):
            option.pop("ResourceRecord", None)
    return description


UPDATE_STATUS = "last_update_status"  # an attribute that services/lambda_ sets on moto's functions
_describe_function_at_once = LambdaFunction.get_configuration


def _describe_function(function: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
    description = _describe_function_at_once(function, on_create)
    if status := getattr(function, UPDATE_STATUS, None):
        description["LastUpdateStatus"] = status
    return description


def _describe_instance_health(answers: ELBResponse) -> ActionResult:
    """moto leaves out why an instance is out of service."""
    states = answers.elb_backend.describe_instance_health(answers._get_param("LoadBalancerName"), [])
    return ActionResult({"InstanceStates": states})


PATCHES = [
    # moto would issue a certificate after a while, whatever Route 53 says.
    Patch(settings, "ACM_VALIDATION_WAIT", sys.maxsize),
    Patch(CertBundle, "describe", _describe_certificate_later),
    # moto would call a load balancer active as soon as it is described.
    Patch(FakeLoadBalancer, "activate", lambda load_balancer: None),
    # moto has one class of answers for both of ELB's APIs, so `Backed.answers` would take the other's too.
    Patch(ELBResponse, "describe_instance_health", _describe_instance_health),
    # moto calls every update successful at once.
    Patch(LambdaFunction, "get_configuration", _describe_function),
    # moto reads bucket policies without their principals, and a condition that does not hold as a denial.
    Patch(FakeBucket, "get_permission", lambda bucket, action, resource: PermissionResult.NEUTRAL),
]


def apply() -> None:
    """For the rest of the process; twice is harmless."""
    for patch in PATCHES:
        setattr(patch.owner, patch.name, patch.value)
