"""EKS tokens: presigned calls of STS GetCallerIdentity, verified as aws-iam-authenticator and STS do it.

https://github.com/kubernetes-sigs/aws-iam-authenticator (pkg/token) has the rules; STS checks the signature,
which the lab can do itself, as it knows the secret of every access key.
"""

import base64
import hmac
import json
import logging
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from lab.aws.api.principals import Principal, find, without_session
from lab.aws.api.signatures import SKEW, signature, without_signature

log = logging.getLogger(__name__)

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


class InvalidToken(Exception):
    """Why a token is refused."""


def verify(token: str, cluster: str, own_endpoint: str, now: datetime | None = None) -> Principal:
    """Who made this token for this cluster. InvalidToken if nobody provably did.

    `own_endpoint` is the lab's URL of the AWS API, which stands in for STS's own.
    """
    url = _decode(token)
    if not _is_sts(url, own_endpoint):
        raise InvalidToken(f"unexpected hostname {url.netloc!r} in pre-signed URL")
    parameters = _parameters(url)
    _check_date(parameters, now or datetime.now(UTC))
    key_id, _, region, service, _ = _credential(parameters)
    if service != "sts" or parameters["X-Amz-SignedHeaders"] != f"host;{CLUSTER_HEADER}":
        raise InvalidToken(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    principal = find(key_id)
    if principal is None or parameters.get("X-Amz-Security-Token") != principal.session_token:
        raise InvalidToken("the security token included in the request is invalid")
    expected = _signature(url, principal, region, parameters["X-Amz-Date"], cluster)
    if not hmac.compare_digest(expected, parameters["X-Amz-Signature"]):
        raise InvalidToken("the signature does not match: another cluster, another secret, or altered")
    return principal


def _decode(token: str) -> SplitResult:
    if not token.startswith(PREFIX):
        raise InvalidToken(f"token is missing expected {PREFIX!r} prefix")
    encoded = token.removeprefix(PREFIX)
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        return urlsplit(text)
    except ValueError as error:
        raise InvalidToken(f"not a base64url-encoded URL: {error}") from None


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
        raise InvalidToken("a query parameter is repeated or not on the whitelist")
    if missing := _PARAMETERS - {"X-Amz-Security-Token"} - set(parameters):
        raise InvalidToken(f"not signed: no {', '.join(sorted(missing))}")
    if parameters["Action"] != "GetCallerIdentity" or parameters["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
        raise InvalidToken("unexpected action parameter in pre-signed URL")
    return parameters


def _check_date(parameters: dict[str, str], now: datetime) -> None:
    try:
        date = datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = int(parameters["X-Amz-Expires"])
    except ValueError:
        raise InvalidToken("error parsing X-Amz-Date or X-Amz-Expires") from None
    if not 0 <= expires <= VALID_FOR.total_seconds():
        raise InvalidToken(f"invalid X-Amz-Expires parameter in pre-signed URL: {expires}")
    if now > date + VALID_FOR:
        raise InvalidToken("X-Amz-Date parameter is expired (15 minute expiration)")
    if date > now + SKEW:
        raise InvalidToken("X-Amz-Date parameter is in the future")


def _credential(parameters: dict[str, str]) -> list[str]:
    scope = parameters["X-Amz-Credential"].split("/")
    if len(scope) != 5:
        raise InvalidToken("X-Amz-Credential is not a credential scope")
    return scope


def _signature(url: SplitResult, principal: Principal, region: str, date: str, cluster: str) -> str:
    """What the owner of the secret would have signed, for this cluster."""
    headers = {"host": url.netloc, CLUSTER_HEADER: cluster}
    presigned = without_signature(urlunsplit(url))
    return signature(principal, (region, "sts"), date, "GET", presigned, headers)


class TokenWebhook:
    """Answers a cluster's API server who a token belongs to (TokenReview of authentication.k8s.io/v1).

    Plain HTTP: `listener` is a listening socket on the loopback of the VPC's own network namespace. Only the
    principal that created the cluster is let in, as a cluster administrator; there are no access entries.
    """

    def __init__(self, listener: socket.socket, check: Callable[[str], Principal], creator: str) -> None:
        self._check, self._creator = check, creator
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(webhook.review(review)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                log.debug(format, *args)

        self._server = ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="token-webhook", daemon=True).start()
        host, port = listener.getsockname()
        self.kubeconfig = _kubeconfig(f"http://{host}:{port}/authenticate")

    def review(self, review: dict) -> dict:
        """A TokenReview with its status; a token that is not let in is unauthenticated, as on EKS (401)."""
        try:
            principal = self._check(review["spec"]["token"])
        except InvalidToken as reason:
            return _review(authenticated=False, error=str(reason))
        if without_session(principal.arn) != without_session(self._creator):
            return _review(authenticated=False, error=f"{principal.arn} has no access entry")
        user = {
            "username": principal.arn,
            "uid": f"aws-iam-authenticator:{principal.user_id}",
            "groups": ["system:masters"],
            "extra": {"arn": [principal.arn], "accessKeyId": [principal.access_key_id]},
        }
        return _review(authenticated=True, user=user)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _review(**status: object) -> dict:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


def _kubeconfig(server: str) -> dict:
    """For --authentication-token-webhook-config-file."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "authenticator", "cluster": {"server": server}}],
        "users": [{"name": "api-server", "user": {}}],
        "contexts": [{"name": "webhook", "context": {"cluster": "authenticator", "user": "api-server"}}],
        "current-context": "webhook",
    }
