"""Attributes of load balancers and target groups: those that take effect; all others are rejected."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.aws import front

NAME = "attributes"
DROP = "routing.http.drop_invalid_header_fields.enabled"
MULTI = "lambda.multi_value_headers.enabled"
SOURCE = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event), "multiValueHeaders": {}}
"""


class Site:
    """A load balancer with a function that returns its event."""

    def __init__(self, elb: Any, arn: str, target_group: str, curl: Callable[..., str]) -> None:
        self.elb, self.arn, self.target_group, self._curl = elb, arn, target_group, curl

    def set(self, values: dict[str, str]) -> None:
        attributes = [{"Key": key, "Value": value} for key, value in values.items()]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.arn, Attributes=attributes)

    def set_target_group(self, values: dict[str, str]) -> None:
        attributes = [{"Key": key, "Value": value} for key, value in values.items()]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=attributes)

    def shown(self) -> dict[str, str]:
        """The attributes of both."""
        of_balancer = self.elb.describe_load_balancer_attributes(LoadBalancerArn=self.arn)
        of_group = self.elb.describe_target_group_attributes(TargetGroupArn=self.target_group)
        return {each["Key"]: each["Value"] for each in of_balancer["Attributes"] + of_group["Attributes"]}

    def event(self, *headers: str) -> dict[str, Any]:
        return json.loads(self._curl(*(argument for line in headers for argument in ("-H", line))))


@pytest.fixture(scope="module")
def target_group(client, role, zip_of) -> Iterator[str]:
    functions = client("lambda")
    function = functions.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_of(SOURCE)},
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    with front.target_group(client, NAME, function) as arn:
        yield arn
    functions.delete_function(FunctionName=NAME)


@pytest.fixture(scope="module")
def site(aws, client, network, target_group) -> Iterator[Site]:
    elb = client("elbv2")
    with front.balancer(client, NAME, network.subnet_ids) as (arn, address):
        actions = [{"Type": "forward", "TargetGroupArn": target_group}]
        elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=actions)
        run = aws.vpcs[network.vpc_id].namespace.run
        yield Site(
            elb, arn, target_group, lambda *words: run("curl", "-sS", *words, f"http://{address}/").stdout
        )


def test_invalid_header_names_are_dropped_if_configured(site):
    sent = ("x_under_score: 1", "x.dot: 1", "x~: 1", "X-Valid-2: 1", "2: 1")
    valid = {"x-valid-2", "2", "host", "user-agent", "x-forwarded-for", "x-amzn-trace-id"}
    assert site.shown()[DROP] == "false"
    everything = site.event(*sent)["headers"]
    assert everything.keys() >= {"x_under_score", "x.dot", "x~", *valid}
    site.set({DROP: "true"})
    assert site.shown()[DROP] == "true"
    seen = site.event(*sent)["headers"]
    assert everything.keys() - seen.keys() == {"x_under_score", "x.dot", "x~"}
    assert seen.keys() >= valid
    site.set({DROP: "false"})


def test_multi_value_headers_of_a_target_group(site):
    assert site.shown()[MULTI] == "false"
    assert site.event("X-A: 1", "X-A: 2")["headers"]["x-a"] == "2"
    site.set_target_group({MULTI: "true"})
    assert site.shown()[MULTI] == "true"
    assert site.event("X-A: 1", "X-A: 2")["multiValueHeaders"]["x-a"] == ["1", "2"]
    site.set_target_group({MULTI: "false"})


@pytest.mark.parametrize(
    ("of", "key", "value", "code", "said"),
    [
        ("set", "idle_timeout.timeout_seconds", "60", "UnsupportedOperation",
         "The lab does not offer the load balancer attribute 'idle_timeout.timeout_seconds'"),
        ("set", "deletion_protection.enabled", "true", "UnsupportedOperation", "does not offer"),
        ("set", "routing.http3.enabled", "true", "UnsupportedOperation", "does not offer"),
        ("set", "access_logs.s3.enabled", "True", "ValidationError", "must be true or false"),
        ("set_target_group", MULTI, "yes", "ValidationError", "must be one of [true, false]"),
        ("set_target_group", "stickiness.enabled", "true", "InvalidConfigurationRequest",
         "A target group with target type 'lambda' does not support the attribute stickiness.enabled"),
        ("set_target_group", "no.such.attribute", "1", "InvalidConfigurationRequest", "does not support"),
    ],
)  # fmt: skip
def test_a_rejected_attribute_changes_nothing(site, of, key, value, code, said):
    former = site.shown()
    good = {"set": {DROP: "true"}, "set_target_group": {MULTI: "true"}}[of]
    with pytest.raises(ClientError) as refused:
        getattr(site, of)({**good, key: value})
    error = refused.value.response["Error"]
    assert error["Code"] == code and said in error["Message"]
    assert site.shown() == former
    assert former.keys() == {
        DROP,
        MULTI,
        *(f"access_logs.s3.{name}" for name in ("bucket", "enabled", "prefix")),
    }
