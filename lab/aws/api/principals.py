"""Principals: the owner of an access key, and the policies that apply to it."""

import json
import re
import secrets
from typing import Any, NamedTuple

from flask import has_request_context, request
from moto.iam.models import Group, ManagedPolicy, Role, User, iam_backends
from moto.sts.models import sts_backends

from lab.aws.api.call import read
from lab.settings import ACCOUNT_ID


class Principal(NamedTuple):
    """An identity and the secret access key that was used; `session_token` for an assumed role."""

    arn: str
    user_id: str
    access_key_id: str
    secret: str
    session_token: str | None = None


# The lab's own user. As moto keeps its state in modules, a process has one AWS; so each lab has its own
# secret, which is only available through the control socket.
OWN = Principal(
    f"arn:aws:iam::{ACCOUNT_ID}:user/lab",
    "AIDALABUSEREXAMPLE00",
    "LABACCESSKEYEXAMPLE0",
    secrets.token_urlsafe(30),
)


def find(access_key_id: str) -> Principal | None:
    """The owner of an access key: the lab's own user, an IAM user, or an assumed role."""
    if access_key_id == OWN.access_key_id:
        return OWN
    role = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key_id)
    if role:
        secret, token = role.secret_access_key, role.session_token
        return Principal(role.arn, role.user_id, access_key_id, secret, token)
    for user in list(iam_backends[ACCOUNT_ID]["aws"].users.values()):
        for key in user.access_keys:
            if key.access_key_id == access_key_id and key.status == "Active":
                return Principal(user.arn, user.id, access_key_id, key.secret_access_key)
    return None


def caller() -> Principal | None:
    """The principal that signed the API call that is being answered."""
    call = read(request.environ) if has_request_context() else None
    return find(call.access_key_id) if call else None


Policies = dict[str, list[dict[str, Any]]]


def policies(principal: Principal) -> Policies:
    """The policy documents by kind, with AWS's names; each kind must allow the action.

    The lab's own user has AdministratorAccess, although IAM does not list it.
    """
    iam = iam_backends[ACCOUNT_ID]["aws"]
    if principal == OWN:
        administrator = iam.get_policy("arn:aws:iam::aws:policy/AdministratorAccess")
        return {"identity-based policy": _documents(administrator)}
    if principal.session_token is None:
        user = iam.get_user(principal.arn.rpartition("/")[2])
        owners: list[User | Group] = [user, *iam.get_groups_for_user(user.name)]
        return {"identity-based policy": [one for owner in owners for one in _attached(owner)]}
    session = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(principal.access_key_id)
    assert session
    role = next((role for role in list(iam.roles.values()) if role.arn == session.role_arn), None)
    found = {"identity-based policy": _attached(role) if role else []}
    if role and role.permissions_boundary_arn:
        found["permissions boundary"] = _documents(iam.get_policy(role.permissions_boundary_arn))
    if session.policy:
        found["session policy"] = [json.loads(session.policy)]
    return found


def _attached(owner: User | Group | Role) -> list[dict[str, Any]]:
    """Inline and managed policies of a user, a group or a role."""
    inline = [json.loads(document) for document in list(owner.policies.values())]
    return inline + [one for policy in list(owner.managed_policies.values()) for one in _documents(policy)]


def _documents(policy: ManagedPolicy) -> list[dict[str, Any]]:
    return [
        json.loads(one.document) for one in policy.versions if one.version_id == policy.default_version_id
    ]


def without_session(arn: str) -> str:
    """The role of an assumed-role session, as in access entries and aws:PrincipalArn."""
    return re.sub(r":sts::(\d+):assumed-role/(.+)/[^/]+$", r":iam::\1:role/\2", arn)
