"""AWS's errors for a missing permission, and the statement of policies/aws.json that grants it."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

from helpers.base.settings import ROOT

FILE = "policies/aws.json"
_MISSING = re.compile(
    r"not authorized to perform: ([\w-]+:\w+)"
    r'(?: on resource: "?(.+?)"?)?(?: because| with|$)'  # S3 puts it in quotes
)
_FAILED = re.compile(r"missing permissions for '([\w-]+:\w+)'")  # EKS's own wording


def denied(message: str) -> tuple[str, str] | None:
    """The action in AWS's error, and its resource or ""; None for any other error."""
    if found := _MISSING.search(message):
        return found[1], found[2] or ""
    if found := _FAILED.search(message):
        return found[1], ""
    return None


def advice(message: str) -> str:
    """What to try after a denial: the action, the resource, and which statement of the policy allows it."""
    found = denied(message)
    if found is None:
        return ""
    action, resource = found
    what = action + (f" on {resource}" if resource else "")
    names = " or ".join(_statements(action))
    if not names:
        return f"ask for {what}, which {FILE} does not allow."
    compare = "Compare your role with: python -m helpers.aws.policy"
    return f"allow {what}: statement {names} of {FILE} does. {compare}"


def _statements(action: str) -> list[str]:
    """The names of those that allow it."""
    statements = json.loads((ROOT / FILE).read_text(encoding="utf-8"))["Statement"]
    return [one["Sid"] for one in statements if any(fnmatchcase(action, known) for known in actions(one))]


def actions(statement: dict[str, Any]) -> list[str]:
    """A statement's actions, which may be one without a list."""
    given = statement["Action"]
    return [given] if isinstance(given, str) else given
