"""Target groups of type lambda.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

import re
from typing import Any

from moto.awslambda.models import LambdaBackend
from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import FakeTargetGroup

from lab.aws.services.elb.refusals.load_balancers import not_offered
from lab.aws.services.lambda_.refusals import allows

MULTI_VALUE_HEADERS = "lambda.multi_value_headers.enabled"


def create(settings: dict[str, Any]) -> None:
    if settings.get("target_type") != "lambda":
        raise not_offered(
            f"target groups of target type '{settings.get('target_type')}': targets are functions"
        )
    _check_health_check(
        settings.get("healthcheck_protocol"), settings.get("healthcheck_port"), settings.get("matcher")
    )


def create_again(former: FakeTargetGroup, settings: dict[str, Any]) -> None:
    """Creating an existing target group again is allowed; with other settings it is not."""
    given = {
        "healthcheck_enabled": former.health_check_enabled,
        "healthcheck_path": former.health_check_path,
        "healthcheck_interval_seconds": former.health_check_interval_seconds,
        "healthcheck_timeout_seconds": former.health_check_timeout_seconds,
    }
    for name, value in given.items():
        if settings.get(name) is not None and str(settings[name]).lower() != str(value).lower():
            message = f"A target group with the same name '{former.name}' exists, but with different settings"
            raise ELBClientError("DuplicateTargetGroupName", message)


def modify(group: FakeTargetGroup, settings: dict[str, Any]) -> None:
    matcher = {"HttpCode": settings.get("http_codes")}
    _check_health_check(settings.get("health_check_proto"), settings.get("health_check_port"), matcher)
    interval = settings.get("health_check_interval") or group.health_check_interval_seconds
    timeout = settings.get("health_check_timeout") or group.health_check_timeout_seconds
    if int(timeout) > int(interval):
        must = f"must be smaller than or equal to the interval '{interval}'"
        raise ELBClientError("ValidationError", f"Health check timeout '{timeout}' {must}")


def _check_health_check(protocol: str | None, port: str | None, matcher: dict[str, Any] | None) -> None:
    for name, value in (("protocol", protocol), ("port", port)):
        if value:
            message = f"Health check {name} cannot be specified for target groups with target type 'lambda'"
            raise ELBClientError("ValidationError", message)
    codes = (matcher or {}).get("HttpCode") or "200"
    code = "[2-4][0-9][0-9]"  # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    if not all(re.fullmatch(f"{code}(-{code})?", part) for part in codes.split(",")):
        message = f"Health check matcher HTTP code '{codes}' must be within '200-499' inclusive"
        raise ELBClientError("ValidationError", message)


def modify_attributes(attributes: dict[str, str]) -> None:
    for key, value in attributes.items():
        if key != MULTI_VALUE_HEADERS:
            message = f"A target group with target type 'lambda' does not support the attribute {key}"
            raise ELBClientError("InvalidConfigurationRequest", message)
        if value not in ("true", "false"):
            raise ELBClientError("ValidationError", f"'{key}' value '{value}' must be one of [true, false]")


def register(group: FakeTargetGroup, functions: LambdaBackend, targets: list[dict[str, Any]]) -> None:
    arns = {target["Id"] for target in targets}
    if len(arns | set(group.targets)) > 1:
        limit = f"You've reached the limit on the number of targets of {group.arn}"
        raise ELBClientError("TooManyTargets", limit)
    for arn in arns:
        if not arn.startswith("arn:"):
            raise ELBClientError("ValidationError", f"'{arn}' is not a valid target ARN")
        function = functions.get_function_by_arn(arn)
        if function is None:
            raise ELBClientError("InvalidTarget", f"The following targets do not exist: '{arn}'")
        if not allows(function, "elasticloadbalancing.amazonaws.com", group.arn):
            message = (
                f"elasticloadbalancing principal does not have permission to invoke {arn} "
                f"from target group {group.arn}"
            )
            raise ELBClientError("AccessDenied", message)
