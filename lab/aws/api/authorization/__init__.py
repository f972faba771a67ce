"""IAM: every call needs permissions, and who makes it has to have them. WSGI middleware.

`needs.py` says which permissions a call needs, `policy.py` and `conditions.py` what policies say of them.
"""

import logging
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from lab.aws.api import principals
from lab.aws.api.authorization.needs import needs
from lab.aws.api.authorization.policy import Need, Verdict, verdict
from lab.aws.api.authorization.wording import denial
from lab.aws.api.call import Call, Unreadable, check, read, refusal
from lab.aws.api.principals import Principal
from lab.settings import ACCOUNT_ID

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)


@check
def authorized(environ: "WSGIEnvironment") -> Response | None:
    """Refuses calls that the caller's policies do not allow."""
    try:
        call = read(environ)
    except Unreadable:
        return None
    principal = principals.find(call.access_key_id) if call else None
    if call is None or principal is None:
        return None  # the authentication let only those pass that need no permission
    policies = principals.policies(principal)
    keys = _keys(call, principal)
    for need in needs(call):
        need.context = {**keys, **need.context}
        why = _why_not(policies, need)
        log.debug("%s %s on %s: %s", principal.arn, need.action, need.resource, why or "allowed")
        if why:
            code, message, status = denial(call, principal.arn, need, why)
            return refusal(call, code, message, status)
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
    """Why it is denied, in AWS's words; "" where it is allowed. Each of the sets has to allow it."""
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
