"""IAM itself, and the IAM permissions for other services: passing roles and creating service-linked roles.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import request_tags, role
from lab.aws.api.call import Call
from lab.settings import ACCOUNT_ID

_NAMED = {"RoleName": "role", "UserName": "user", "GroupName": "group"}


def needs(call: Call) -> list[Need]:
    """The role, user, group or policy that a parameter names; otherwise "*"."""
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
    """Passing a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
    return Need("iam:PassRole", role_arn, {"iam:passedtoservice": [f"{service}.amazonaws.com"]})


def service_linked(service: str, name: str, action: str = "iam:CreateServiceLinkedRole") -> Need:
    """The role that a service creates for itself at first use. In the lab, every use counts as the first."""
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
