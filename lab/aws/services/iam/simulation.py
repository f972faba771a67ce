"""IAM: SimulatePrincipalPolicy, which moto lacks. Conditions are evaluated without any context.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

import json
from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend
from moto.iam.responses import IamResponse

from lab.aws.api import principals
from lab.aws.api.authorization.policy import Need, Verdict, verdict

_DECISIONS = {
    Verdict.ALLOW: "allowed",
    Verdict.SILENT: "implicitDeny",
    Verdict.DENY: "explicitDeny",
}
_ANYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


class Responses(IamResponse):
    """moto's responses, with this one."""

    def simulate_principal_policy(self) -> ActionResult:
        policies = list(_policies(self.backend, self._get_param("PolicySourceArn")))
        resources = self._get_param("ResourceArns") or ["*"]
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": _DECISIONS[verdict(policies, Need(action, resource))],
            }
            for action in self._get_param("ActionNames")
            for resource in resources
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _policies(iam: IAMBackend, arn: str) -> Iterator[dict[str, Any]]:
    if arn == principals.OWN.arn:  # the lab's own user, an administrator
        yield _ANYTHING
        return
    entities: list[Any] = [*list(iam.users.values()), *list(iam.roles.values())]
    entity = next((entity for entity in entities if entity.arn == arn), None)
    if entity is None:
        raise NotFoundException(f"Policy source {arn} cannot be found.")
    documents = [*entity.policies.values()]
    documents += [policy.document for policy in entity.managed_policies.values()]
    for document in documents:
        yield json.loads(document) if isinstance(document, str) else document
