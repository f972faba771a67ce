"""Evaluates policies for one action on one resource.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lab.aws.api.authorization.conditions import Context, fill_in, hold, listed, matches_arn, matches_glob


@dataclass
class Need:
    """One permission that a call needs. `resource` is "*" if the action has no resources.

    `context` has the condition keys, in lower case.
    """

    action: str
    resource: str = "*"
    context: dict[str, list[str]] = field(default_factory=dict)


class Verdict(Enum):
    """An explicit Deny in any policy overrides every Allow."""

    ALLOW = "allow"
    SILENT = "no statement matches"
    DENY = "explicit deny"


def verdict(documents: Iterable[dict[str, Any]], need: Need) -> Verdict:
    """The decision of all these policies together."""
    found = {
        statement["Effect"]
        for document in documents
        for statement in _statements(document)
        if _applies(statement, need)
    }
    return Verdict.DENY if "Deny" in found else Verdict.ALLOW if "Allow" in found else Verdict.SILENT


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _applies(statement: dict[str, Any], need: Need) -> bool:
    if not (_about_action(statement, need.action) and _about_resource(statement, need)):
        return False
    holds = hold(statement.get("Condition", {}), need.context)
    return statement["Effect"] == "Deny" if holds is None else holds  # if unknown, deny


def _about_action(statement: dict[str, Any], action: str) -> bool:
    patterns = listed(statement.get("Action", statement.get("NotAction")))
    named = any(matches_glob(action.lower(), pattern.lower()) for pattern in patterns)
    return named == ("Action" in statement)


def _about_resource(statement: dict[str, Any], need: Need) -> bool:
    patterns = listed(statement.get("Resource", statement.get("NotResource")))
    named = any(_matches(need.resource, pattern, need.context) for pattern in patterns)
    return named == ("Resource" in statement)


def _matches(resource: str, pattern: str, context: Context) -> bool:
    return pattern == "*" or matches_arn(resource, fill_in(pattern, context))
