"""Verifies AWS Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import Credentials

from lab.aws.api.principals import Principal

SKEW = timedelta(minutes=5)
# Matched as a whole: moto must read the same values from it.
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<Credential>[^,\s]+),\s*"
    r"SignedHeaders=(?P<SignedHeaders>[^,\s]+),\s*Signature=(?P<Signature>[^,\s]+)"
)


class SignatureError(Exception):
    """With AWS's message."""


def signature(
    principal: Principal,
    scope: tuple[str, str],
    date: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> str:
    """The signature that this secret gives. `scope`: region, service; `headers`: those signed."""
    region, service = scope
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["timestamp"] = date
    kind = _S3 if service == "s3" else _All
    signer = kind(Credentials(principal.access_key_id, principal.secret), service, region)
    return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def without_signature(url: str) -> str:
    """A presigned URL as it was when it was signed."""
    parts = urlsplit(url)
    query = urlencode([pair for pair in parse_qsl(parts.query, True) if pair[0] != "X-Amz-Signature"])
    return urlunsplit(parts._replace(query=query.replace("+", "%20")))


def verify(environ: dict[str, Any], principal: Principal, now: datetime | None = None) -> None:
    """Raises SignatureError. The body is `environ["wsgi.input"]`, which stays readable."""
    given = _given(environ)
    scope = given["Credential"].split("/")
    headers = {name: _header(environ, name) for name in given["SignedHeaders"].split(";")}
    date = given["X-Amz-Date"]
    body = environ["wsgi.input"].getvalue()
    _check_body(headers, body)
    url = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['REQUEST_URI']}"
    method, where = environ["REQUEST_METHOD"], (scope[2], scope[3])
    expected = signature(principal, where, date, method, without_signature(url), headers, body)
    same = hmac.compare_digest(expected, given["Signature"])
    if not same or given.get("X-Amz-Security-Token") != principal.session_token:
        raise SignatureError(
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details."
        )
    _check_date(date, timedelta(seconds=int(given.get("X-Amz-Expires", 0))), now or datetime.now(UTC))


def _given(environ: dict[str, Any]) -> dict[str, str]:
    """The fields of an Authorization header, or of a presigned URL's query."""
    if header := environ.get("HTTP_AUTHORIZATION"):
        match = _AUTHORIZATION.fullmatch(header)
        found = match.groupdict() if match else {}
        found["X-Amz-Date"] = environ.get("HTTP_X_AMZ_DATE", "")
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
        given = found | ({"X-Amz-Security-Token": token} if token else {})
    else:
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        given = query | {
            name.removeprefix("X-Amz-"): value for name, value in query.items() if name.startswith("X-Amz-")
        }
    if not {"Credential", "SignedHeaders", "Signature", "X-Amz-Date"} <= set(given):
        raise SignatureError("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.")
    return given


def _header(environ: dict[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    plain = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
    return str(environ.get(plain, ""))


def _check_body(headers: Mapping[str, str], body: bytes) -> None:
    claimed = headers.get("x-amz-content-sha256", "")
    if re.fullmatch("[0-9a-f]{64}", claimed) and claimed != hashlib.sha256(body).hexdigest():
        raise SignatureError("The provided 'x-amz-content-sha256' header does not match what was computed.")


def _check_date(date: str, expires: timedelta, now: datetime) -> None:
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("Date must be in ISO-8601 'basic format'.") from None
    if now - max(expires, SKEW) > signed:
        raise SignatureError(f"Signature expired: {date} is now earlier than {_basic(now - SKEW)}")
    if signed > now + SKEW:
        raise SignatureError(f"Signature not yet current: {date} is still later than {_basic(now + SKEW)}")


def _basic(when: datetime) -> str:
    return f"{when:%Y%m%dT%H%M%SZ} ({when + SKEW:%Y%m%dT%H%M%SZ} - 5 min.)"


class _SignedHeaders:
    """For a request without other headers: botocore omits some when it signs, other clients do not."""

    def headers_to_sign(self, request: AWSRequest) -> HeadersDict:
        return request.headers


class _All(_SignedHeaders, SigV4Auth): ...


class _S3(_SignedHeaders, S3SigV4Auth): ...
