"""Parts of moto that the lab replaces, other than backends and response classes (lab/aws/context.py)."""

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
    """A member `name` of one of moto's classes or modules, and the lab's replacement."""

    owner: Any
    name: str
    value: Any


_describe_certificate = CertBundle.describe


def _describe_certificate_later(bundle: CertBundle) -> dict[str, Any]:
    """ACM names the DNS records that it needs after a moment."""
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
    """moto omits why an instance is out of service."""
    states = answers.elb_backend.describe_instance_health(answers._get_param("LoadBalancerName"), [])
    return ActionResult({"InstanceStates": states})


PATCHES = [
    # moto would issue a certificate after a while, without checking Route 53.
    Patch(settings, "ACM_VALIDATION_WAIT", sys.maxsize),
    Patch(CertBundle, "describe", _describe_certificate_later),
    # moto reports a load balancer as active at the first describe call.
    Patch(FakeLoadBalancer, "activate", lambda load_balancer: None),
    # moto has one response class for both ELB APIs, so `response_class` would replace the other's too.
    Patch(ELBResponse, "describe_instance_health", _describe_instance_health),
    # moto reports every update as successful at once.
    Patch(LambdaFunction, "get_configuration", _describe_function),
    # moto ignores the principals of bucket policies, and treats an unmet condition as a denial.
    Patch(FakeBucket, "get_permission", lambda bucket, action, resource: PermissionResult.NEUTRAL),
]


def apply() -> None:
    """For the rest of the process; idempotent."""
    for patch in PATCHES:
        setattr(patch.owner, patch.name, patch.value)
