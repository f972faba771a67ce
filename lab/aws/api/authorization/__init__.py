"""IAM: every call needs permissions, which the caller's policies must allow.

`needs.py` lists the permissions of each call; `policy.py` and `conditions.py` evaluate the policies.
"""

import logging
from collections.abc import Iterable

from lab.aws.api import principals
from lab.aws.api.authorization.denials import denial
from lab.aws.api.authorization.needs import needs
from lab.aws.api.authorization.policy import Need, Verdict, verdict
from lab.aws.api.call import Call, Refusal
from lab.aws.api.principals import Principal
from lab.settings import ACCOUNT_ID

log = logging.getLogger(__name__)


def authorized(call: Call) -> Refusal | None:
    """Refuses calls that the caller's policies do not allow."""
    return lacking(call, needs(call))


def lacking(call: Call, wanted: Iterable[Need]) -> Refusal | None:
    """The refusal for the first permission that the caller lacks; None if the policies allow all."""
    principal = principals.find(call.access_key_id)
    assert principal  # authentication comes first
    policies = principals.policies(principal)
    keys = _keys(call, principal)
    for need in wanted:
        need.context = {**keys, **need.context}
        why = _why_not(policies, need)
        log.debug("%s %s on %s: %s", principal.arn, need.action, need.resource, why or "allowed")
        if why:
            return denial(call, principal.arn, need, why)
    return None


def _keys(call: Call, principal: Principal) -> dict[str, list[str]]:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html"""
    keys = {
        "aws:principalaccount": [ACCOUNT_ID],
        "aws:principalarn": [principals.without_session(principal.arn)],
        "aws:requestedregion": [call.region],
        "aws:userid": [principal.user_id],
    }
    user = principal.arn.partition(":user/")[2]
    return keys | ({"aws:username": [user]} if user else {})


def _why_not(policies: principals.Policies, need: Need) -> str:
    """Why it is denied, in AWS's words; "" if it is allowed. Every set of policies must allow it."""
    verdicts = {kind: verdict(documents, need) for kind, documents in policies.items()}
    for kind, given in verdicts.items():
        if given is Verdict.DENY:
            return f"with an explicit deny in {_article(kind)} {kind}"
    for kind, given in verdicts.items():
        if given is Verdict.SILENT:
            return f"because no {kind} allows the {need.action} action"
    return ""


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"
