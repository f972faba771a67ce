"""Elastic Load Balancing, version 2 and Classic.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-permissions.html lists the EC2
permissions that a caller needs.
"""

from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import arn, request_tags, resource_tags
from lab.aws.api.authorization.roles import service_linked
from lab.aws.api.call import Call

SERVICE = "elasticloadbalancing"
_KINDS = {"application": "app", "network": "net", "gateway": "gwy"}
_NAMED = ("LoadBalancerArn", "TargetGroupArn", "ListenerArn")
_OF_EC2 = {
    "CreateLoadBalancer": "AccountAttributes Addresses InternetGateways SecurityGroups Subnets Vpcs",
    "CreateTargetGroup": "InternetGateways Vpcs",
    "RegisterTargets": "Instances InternetGateways Subnets Vpcs",
    "SetSecurityGroups": "SecurityGroups",
    "SetSubnets": "Subnets",
}


def needs(call: Call) -> list[Need]:
    """The API of 2015, for Application Load Balancers."""
    if call.operation.startswith("Describe"):
        return [Need(call.action)]
    found = _own(call)
    found += [Need(f"ec2:Describe{what}") for what in _OF_EC2.get(call.operation, "").split()]
    if call.operation == "CreateLoadBalancer":
        found.append(service_linked(SERVICE, "AWSServiceRoleForElasticLoadBalancing"))
    return found


def classic_needs(call: Call) -> list[Need]:
    """The API of 2012, for Classic Load Balancers."""
    name = call.parameters.get("LoadBalancerName")
    if call.operation.startswith("Describe") or not name:
        return [Need(call.action)]
    resource = arn(call, SERVICE, f"loadbalancer/{name}")
    return [Need(call.action, resource, resource_tags(call, resource))]


def _own(call: Call) -> list[Need]:
    given = call.parameters
    if call.operation in ("AddTags", "RemoveTags"):
        keys = request_tags(given.get("Tags"))
        named = given.get("ResourceArns", [])
        return [Need(call.action, one, {**resource_tags(call, one), **keys}) for one in named]
    if call.operation == "CreateLoadBalancer":
        kind = _KINDS.get(given.get("Type", "application"), "app")
        fresh = arn(call, SERVICE, f"loadbalancer/{kind}/{given.get('Name')}/*")
        return _created(call, fresh, fresh)
    if call.operation == "CreateTargetGroup":
        fresh = arn(call, SERVICE, f"targetgroup/{given.get('Name')}/*")
        return _created(call, fresh, fresh)
    named = [given[key] for key in _NAMED if key in given]
    resource = named[-1] if named else "*"
    if call.operation == "CreateListener":
        return _created(call, resource, resource.replace(":loadbalancer/", ":listener/") + "/*")
    return [Need(call.action, resource, resource_tags(call, resource) if named else {})]


def _created(call: Call, resource: str, fresh: str) -> list[Need]:
    keys = request_tags(call.parameters.get("Tags"))
    create = Need(call.action, resource, {**resource_tags(call, resource), **keys})
    on_creation = {**keys, f"{SERVICE}:createaction": [call.operation]}
    return [create, Need(f"{SERVICE}:AddTags", fresh, on_creation)] if keys else [create]
