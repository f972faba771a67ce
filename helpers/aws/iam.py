"""IAM roles that AWS services assume for the tutorial."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from helpers import aws
from helpers.aws import deletion
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, retry_while

T = TypeVar("T")
ROLES = ("function", "eks-cluster", "eks-nodes")  # what they are for
_LIMIT = 90  # seconds; a new role and its policies propagate within some ten seconds
_UNSEEN = (
    "cannot be assumed by Lambda",
    "could not be assumed because",  # EKS
    "doesn't have the Amazon EKS Managed Policies",
)


def name(purpose: str) -> str:
    """The role's name, e.g. istio-multicloud-function."""
    return f"{current().TUTORIAL_NAME}-{purpose}"


def find(purpose: str) -> dict[str, Any] | None:
    """The role for that purpose as IAM describes it, or None."""
    found = aws.found("NoSuchEntity", service="iam", operation="get_role", RoleName=name(purpose))
    return found["Role"] if found else None


def retry_until_propagated(role: str, do: Callable[[], T]) -> T:
    """Do what needs a new role, retried while the role has not propagated to the service.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """
    what = f"the role {role.rpartition('/')[2]} to propagate"
    return retry_while(
        what, do, lambda error: any(said in str(error) for said in _UNSEEN), timeout=_LIMIT, interval=1
    )


@resume_after_lost_answer
def ensure(purpose: str, service: str, *policies: str) -> str:
    """A role that `service` (e.g. "lambda") may assume, with AWS's managed policies; its ARN."""
    role = name(purpose)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    found = find(purpose)
    if found:
        print(f"Role {role} exists")
    else:
        found = aws.change(
            "iam",
            "create_role",
            show="Role.Arn",
            document=purpose,
            RoleName=role,
            AssumeRolePolicyDocument=json.dumps(trust),
            Tags=aws.tag_list(),
        )["Role"]
    attached = [policy["PolicyName"] for policy in _policies(role)]
    for policy in policies:
        if policy.rpartition("/")[2] not in attached:
            arn = f"arn:aws:iam::aws:policy/{policy}"
            aws.change("iam", "attach_role_policy", RoleName=role, PolicyArn=arn)
    return found["Arn"]


def delete(purpose: str) -> None:
    """Delete the role for that purpose, if it exists."""
    if not find(purpose):
        return
    role = name(purpose)
    for policy in _policies(role):
        deletion.undo("iam", "detach_role_policy", RoleName=role, PolicyArn=policy["PolicyArn"])
    deletion.delete("iam", "delete_role", RoleName=role)


def leftovers(*purposes: str) -> list[Resource]:
    """The existing ones of these roles."""
    return [Resource("AWS", "role", name(purpose)) for purpose in purposes if find(purpose)]


def _policies(role: str) -> list[dict[str, str]]:
    return aws.list_all("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)
