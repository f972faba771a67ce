"""Verifies EKS tokens, presigned calls of STS GetCallerIdentity, as aws-iam-authenticator and STS do.

The rules are in https://github.com/kubernetes-sigs/aws-iam-authenticator (pkg/token). STS checks the
signature; the lab does this itself, as it knows the secret of every access key.
"""

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from lab.aws.api.principals import Principal, find, without_session
from lab.aws.api.signatures import SKEW, signature, without_signature
from lab.cluster.token_review import UnauthenticatedError, User

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
VALID_FOR = timedelta(minutes=15)  # from X-Amz-Date on, whatever X-Amz-Expires says
_PARAMETERS = {
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
}


def user(token: str, cluster: str, own_endpoint: str, creator: str) -> User:
    """The Kubernetes user of a token, a cluster administrator.

    Only the principal that created the cluster (`creator`, its ARN) is accepted: there are no access entries.
    Raises UnauthenticatedError.
    """
    principal = verify(token, cluster, own_endpoint)
    if without_session(principal.arn) != without_session(creator):
        raise UnauthenticatedError(f"{principal.arn} has no access entry")
    return {
        "username": principal.arn,
        "uid": f"aws-iam-authenticator:{principal.user_id}",
        "groups": ["system:masters"],
        "extra": {"arn": [principal.arn], "accessKeyId": [principal.access_key_id]},
    }


def verify(token: str, cluster: str, own_endpoint: str, now: datetime | None = None) -> Principal:
    """The principal that created this token for this cluster. Raises UnauthenticatedError.

    `own_endpoint` is the lab's URL of the AWS API, which replaces STS's own.
    """
    url = _decode(token)
    if not _is_sts(url, own_endpoint):
        raise UnauthenticatedError(f"unexpected hostname {url.netloc!r} in pre-signed URL")
    parameters = _parameters(url)
    _check_date(parameters, now or datetime.now(UTC))
    key_id, _, region, service, _ = _credential(parameters)
    if service != "sts" or parameters["X-Amz-SignedHeaders"] != f"host;{CLUSTER_HEADER}":
        raise UnauthenticatedError(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    principal = find(key_id)
    if principal is None or parameters.get("X-Amz-Security-Token") != principal.session_token:
        raise UnauthenticatedError("the security token included in the request is invalid")
    expected = _signature(url, principal, region, parameters["X-Amz-Date"], cluster)
    if not hmac.compare_digest(expected, parameters["X-Amz-Signature"]):
        raise UnauthenticatedError(
            "the signature does not match: another cluster, another secret, or altered"
        )
    return principal


def _decode(token: str) -> SplitResult:
    if not token.startswith(PREFIX):
        raise UnauthenticatedError(f"token is missing expected {PREFIX!r} prefix")
    encoded = token.removeprefix(PREFIX)
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        return urlsplit(text)
    except ValueError as error:
        raise UnauthenticatedError(f"not a base64url-encoded URL: {error}") from None


def _is_sts(url: SplitResult, own_endpoint: str) -> bool:
    if url.path not in ("", "/") or url.fragment:
        return False
    own = urlsplit(own_endpoint)
    if (url.scheme, url.netloc) == (own.scheme, own.netloc):
        return True
    name = r"sts(-fips)?(\.[a-z0-9-]+)?\.(amazonaws\.com(\.cn)?|api\.aws)"
    return url.scheme == "https" and re.fullmatch(name, url.netloc) is not None


def _parameters(url: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(url.query, keep_blank_values=True)
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or not set(parameters) <= _PARAMETERS:
        raise UnauthenticatedError("a query parameter is repeated or not on the whitelist")
    if missing := _PARAMETERS - {"X-Amz-Security-Token"} - set(parameters):
        raise UnauthenticatedError(f"not signed: no {', '.join(sorted(missing))}")
    if parameters["Action"] != "GetCallerIdentity" or parameters["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
        raise UnauthenticatedError("unexpected action parameter in pre-signed URL")
    return parameters


def _check_date(parameters: dict[str, str], now: datetime) -> None:
    try:
        date = datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = int(parameters["X-Amz-Expires"])
    except ValueError:
        raise UnauthenticatedError("error parsing X-Amz-Date or X-Amz-Expires") from None
    if not 0 <= expires <= VALID_FOR.total_seconds():
        raise UnauthenticatedError(f"invalid X-Amz-Expires parameter in pre-signed URL: {expires}")
    if now > date + VALID_FOR:
        raise UnauthenticatedError("X-Amz-Date parameter is expired (15 minute expiration)")
    if date > now + SKEW:
        raise UnauthenticatedError("X-Amz-Date parameter is in the future")


def _credential(parameters: dict[str, str]) -> list[str]:
    scope = parameters["X-Amz-Credential"].split("/")
    if len(scope) != 5:
        raise UnauthenticatedError("X-Amz-Credential is not a credential scope")
    return scope


def _signature(url: SplitResult, principal: Principal, region: str, date: str, cluster: str) -> str:
    """The signature that the secret's owner would create for this cluster."""
    headers = {"host": url.netloc, CLUSTER_HEADER: cluster}
    presigned = without_signature(urlunsplit(url))
    return signature(principal, (region, "sts"), date, "GET", presigned, headers)
