"""IAM: SimulatePrincipalPolicy, which moto has not got. Identity policies are looked at, conditions are not.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse

from lab.aws import principals
from lab.settings import ACCESS_KEY_ID

_ANYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def serve() -> None:
    """Add the call to those that moto serves; twice is harmless."""
    IamResponse.simulate_principal_policy = _simulate  # type: ignore[attr-defined]


def _simulate(self: IamResponse) -> ActionResult:
    policies = list(_policies(self.backend, self._get_param("PolicySourceArn")))
    resources = self._get_param("ResourceArns") or ["*"]
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": _decide(policies, action, resource),
        }
        for action in self._get_param("ActionNames")
        for resource in resources
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _policies(iam: IAMBackend, arn: str) -> Iterator[dict[str, Any]]:
    own = principals.find(ACCESS_KEY_ID)
    if own and arn == own.arn:  # the lab's own user, who may do everything
        yield _ANYTHING
        return
    entities: list[Any] = [*iam.users.values(), *iam.roles.values()]
    entity = next((entity for entity in entities if entity.arn == arn), None)
    if entity is None:
        raise NotFoundException(f"Policy source {arn} cannot be found.")
    documents = [*entity.policies.values()]
    documents += [policy.document for policy in entity.managed_policies.values()]
    for document in documents:
        yield json.loads(document) if isinstance(document, str) else document


def _decide(policies: list[dict[str, Any]], action: str, resource: str) -> str:
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if _matches(statement, "Action", action.lower(), str.lower)
        and _matches(statement, "Resource", resource)
    }
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if "Allow" in effects else "implicitDeny"


def _matches(statement: dict[str, Any], element: str, value: str, prepare: Any = str) -> bool:
    """Whether the statement is about the value: by its element, or by what Not… leaves over."""
    negated = f"Not{element}"
    patterns = _listed(statement.get(element, statement.get(negated, [])))
    found = any(fnmatchcase(value, prepare(pattern)) for pattern in patterns)
    return found != (negated in statement)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
