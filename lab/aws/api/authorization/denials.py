"""How services report a missing permission.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from lab.aws.api.authorization.policy import Need
from lab.aws.api.call import Call, Refusal

_LONG_NAMES = ("iam:CreateRole", "iam:PassRole", "iam:CreateServiceLinkedRole")


def denial(call: Call, principal: str, need: Need, why: str) -> Refusal:
    message = f"User: {principal} is not authorized to perform: {need.action}{_on(need)} {why}"
    if call.service == "eks" and ":role/aws-service-role/" in need.resource:
        return Refusal("InvalidRequestException", _eks(need), 400)
    if call.service == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
        return Refusal("UnauthorizedOperation", message, 403)
    if "json" in call.protocol or call.service == "resourcegroupstaggingapi":
        return Refusal("AccessDeniedException", message, 400 if call.protocol == "json" else 403)
    return Refusal("AccessDenied", message, 403)


def _on(need: Need) -> str:
    """Services omit the resource if the action has none; IAM shows the role's name."""
    if need.resource == "*":
        return ""
    service, _, action = need.action.partition(":")
    about_role = service == "iam" and action.endswith(("Role", "RolePolicy", "RolePolicies"))
    if about_role and need.action not in _LONG_NAMES:
        return f" on resource: role {need.resource.rpartition('/')[2]}"
    resource = f'"{need.resource}"' if service == "s3" else need.resource
    return f" on resource: {resource}"


def _eks(need: Need) -> str:
    """Seen in https://github.com/XenitAB/terraform-modules/pull/396 and
    https://github.com/terraform-aws-modules/terraform-aws-eks/issues/823
    """
    name = need.resource.rpartition("/")[2]
    if need.action == "iam:GetRole":
        why = f"{name} already exists due to missing permissions for 'iam:GetRole'"
        return f"Failed to validate if SLR: {why}"
    return f"Failed to create service linked role: {name} due to missing permissions for '{need.action}'"
