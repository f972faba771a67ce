"""Which service may assume which role, and from when on.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

import json
from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import Role, iam_backends

from lab.aws import delays


def find(account_id: str, arn: str) -> Role | None:
    """The role with that ARN."""
    roles = iam_backends[account_id]["aws"].roles.values()
    return next((role for role in list(roles) if role.arn == arn), None)


def assumable(account_id: str, arn: str, service: str) -> bool:
    """Whether `service`, e.g. "lambda.amazonaws.com", can see the role and is trusted by it."""
    role = find(account_id, arn)
    if role is None or (utcnow() - role.create_date).total_seconds() < delays.ROLE:
        return False
    return service in _trusted(role.assume_role_policy_document)


def _trusted(document: str | dict[str, Any]) -> set[str]:
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    trusted: set[str] = set()
    for statement in statements:
        services = statement.get("Principal", {}).get("Service", [])
        trusted.update(services if isinstance(services, list) else [services])
    return trusted
