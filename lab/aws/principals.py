"""Who is who: the access keys that the lab knows, and what STS says of them."""

import re
from typing import NamedTuple

from flask import has_request_context, request
from moto.core.exceptions import InvalidClientTokenIdError
from moto.iam.models import IAMBackend, iam_backends
from moto.sts.models import STSBackend, sts_backends

from lab.aws.backends import Backed
from lab.aws.refusals import others as refusals
from lab.settings import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY


class Principal(NamedTuple):
    """An identity and the secret of the access key that was used; `session_token` of an assumed role."""

    arn: str
    user_id: str
    access_key_id: str
    secret: str
    session_token: str | None = None


def find(access_key_id: str) -> Principal | None:
    """The owner of an access key: the lab's own dummy user, a user of IAM, or an assumed role."""
    if access_key_id == ACCESS_KEY_ID:
        user_id = "AIDALABUSEREXAMPLE00"
        return Principal(f"arn:aws:iam::{ACCOUNT_ID}:user/lab", user_id, access_key_id, SECRET_ACCESS_KEY)
    role = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key_id)
    if role:
        secret, token = role.secret_access_key, role.session_token
        return Principal(role.arn, role.user_id, access_key_id, secret, token)
    for user in iam_backends[ACCOUNT_ID]["aws"].users.values():
        for key in user.access_keys:
            if key.access_key_id == access_key_id and key.status == "Active":
                return Principal(user.arn, user.id, access_key_id, key.secret_access_key)
    return None


def caller() -> Principal | None:
    """Who signed the API call that is being answered."""
    header = request.headers.get("Authorization", "") if has_request_context() else ""
    credential = re.search(r"Credential=([^/]+)/", header)
    return find(credential[1]) if credential else None


class TokenService(Backed, STSBackend):
    """STS, which does not make up a user for an access key that nobody has."""

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        principal = find(access_key_id)
        if principal is None:
            raise InvalidClientTokenIdError
        return principal.user_id, principal.arn, self.account_id


class Identities(Backed, IAMBackend):
    """IAM."""

    def delete_policy(self, policy_arn: str) -> None:
        refusals.delete_policy(self.get_policy(policy_arn))
        super().delete_policy(policy_arn)
