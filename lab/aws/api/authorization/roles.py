"""IAM itself, and what other services need of it: roles that are handed over, or made for a service.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import request_tags, role
from lab.aws.api.call import Call
from lab.settings import ACCOUNT_ID

_NAMED = {"RoleName": "role", "UserName": "user", "GroupName": "group"}


def needs(call: Call) -> list[Need]:
    """What names a role, user, group or policy is about that; all else about "*"."""
    given, keys = call.parameters, request_tags(call.parameters.get("Tags"))
    resource = _resource(call)
    if call.operation == "CreateServiceLinkedRole":
        return [service_linked(given.get("AWSServiceName", "").removesuffix(".amazonaws.com"), "*")]
    if "PolicyArn" in given and resource != given["PolicyArn"]:
        keys = {**keys, "iam:policyarn": [given["PolicyArn"]]}
    found = [Need(call.action, resource, keys)]
    if call.operation == "CreateRole" and given.get("Tags"):
        found.append(Need("iam:TagRole", resource, keys))
    return found


def passed(role_arn: str, service: str) -> Need:
    """A role that is handed to a service: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
    return Need("iam:PassRole", role_arn, {"iam:passedtoservice": [f"{service}.amazonaws.com"]})


def service_linked(service: str, name: str, action: str = "iam:CreateServiceLinkedRole") -> Need:
    """The role that a service makes for itself the first time. In the lab every time is the first."""
    principal = f"{service}.amazonaws.com"
    resource = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{principal}/{name}"
    return Need(action, resource, {"iam:awsservicename": [principal]})


def _resource(call: Call) -> str:
    given = call.parameters
    for parameter, kind in _NAMED.items():
        if name := given.get(parameter):
            return role(name) if kind == "role" else f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{name}"
    if call.operation == "CreatePolicy":
        return f"arn:aws:iam::{ACCOUNT_ID}:policy{given.get('Path', '/')}{given.get('PolicyName')}"
    return str(given.get("PolicyArn") or "*")
