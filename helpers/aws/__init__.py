"""Calls to AWS by boto3: one door, where errors become messages and commands are shown."""

import functools
import re
from collections.abc import Iterator
from typing import Any

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError, ClientError

from helpers.aws import denied
from helpers.base import changes
from helpers.base.errors import AlreadyExistsError, ApiError, UnreachableError
from helpers.base.settings import of_named_clouds
from helpers.base.tags import project_tags

_RETRIES = {"mode": "standard", "max_attempts": 8}  # throttling, 5xx, dropped connections
_SIGN_IN = (
    "sign in (aws sso login, aws login, or fresh keys in the environment), then run this again: it goes on."
)
_TIMEOUTS = {"connect_timeout": 10, "read_timeout": 120}  # seconds
_ONCE = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 1}}
_READS = re.compile("(describe|filter|get|invoke|list|simulate)(_|$)")
_MADE = re.compile("Already|Duplicate|Conflict|Exists|InUse")
_HINTS = {
    # Each service has its own name for it.
    "ExpiredToken": _SIGN_IN,
    "ExpiredTokenException": _SIGN_IN,
    "RequestExpired": _SIGN_IN,
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY, and the machine's clock.",
    "InvalidSignatureException": "check AWS_SECRET_ACCESS_KEY, and the machine's clock.",
    "UnrecognizedClientException": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "InvalidClientTokenId": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
}


# No credentials, or none that are valid any more: not a question of the network.
_NO_CREDENTIALS = (
    botocore_exceptions.NoCredentialsError,
    botocore_exceptions.PartialCredentialsError,
    botocore_exceptions.CredentialRetrievalError,
    botocore_exceptions.ProfileNotFound,
    botocore_exceptions.SSOError,
    botocore_exceptions.LoginError,
    botocore_exceptions.TokenRetrievalError,
)


@functools.lru_cache(maxsize=64)
def _client(service: str, endpoint: str | None, region: str, once: bool, *keys: str | None) -> Any:
    import boto3  # takes a quarter of a second, so it waits for the first call
    from botocore.config import Config

    config = Config(**_ONCE) if once else Config(retries=_RETRIES, **_TIMEOUTS)
    session = boto3.Session(*keys, region_name=region)
    return session.client(service, endpoint_url=endpoint, config=config)


def client(service: str, region: str | None = None, once: bool = False) -> Any:
    """A boto3 client of that service, by the settings in force; with `once`, one that does not insist."""
    settings = of_named_clouds()
    return _client(
        service,
        settings.AWS_ENDPOINT_URL,
        region or settings.AWS_REGION,
        once,
        settings.AWS_ACCESS_KEY_ID,
        settings.AWS_SECRET_ACCESS_KEY,
        settings.AWS_SESSION_TOKEN,
    )


def credentials() -> Any:
    """The credentials in force, as botocore signs with; raises UnreachableError where there are none."""
    import boto3
    from botocore.exceptions import NoCredentialsError

    settings = of_named_clouds()
    keys = (settings.AWS_ACCESS_KEY_ID, settings.AWS_SECRET_ACCESS_KEY, settings.AWS_SESSION_TOKEN)
    with _translated("Looking for AWS credentials"):
        found = boto3.Session(*keys, region_name=settings.AWS_REGION).get_credentials()
        if found is None:
            raise NoCredentialsError
        return found


def call(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """One call, e.g. call("ec2", "create_vpc", CidrBlock=…).

    Raises ApiError with AWS's own error code, or Unreachable when there was no answer.
    """
    line = f"aws {service} {operation.replace('_', '-')}"
    if not _READS.match(operation):
        changes.begin(line)
    with _translated(line):
        return getattr(client(service), operation)(**parameters)


def ask_once(service: str, region: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Like `call`, in that region, for what one can do without: a few seconds, and no second attempt."""
    with _translated(f"aws {service} {operation.replace('_', '-')}"):
        return getattr(client(service, region, once=True), operation)(**parameters)


def list_all(service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
    """All entries under `key` of a listing, over all of its pages. Raises like `call`."""
    with _translated(f"aws {service} {operation.replace('_', '-')}"):
        api = client(service)
        if api.can_paginate(operation):
            pages: Iterator[dict] = api.get_paginator(operation).paginate(**parameters)
            return [entry for page in pages for entry in page.get(key, [])]
        return getattr(api, operation)(**parameters).get(key, [])


def found(*codes: str, service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
    """Like `call`, but None where AWS answers with one of these codes for "there is none"."""
    try:
        return call(service, operation, **parameters)
    except ApiError as refused:
        if refused.code in codes:
            return None
        raise


def account_id() -> str:
    """The account that the credentials belong to."""
    return call("sts", "get_caller_identity")["Account"]


def said(command: str, answer: str = "") -> None:
    """Print the AWS CLI command that a call stands for, and what came back."""
    print(f"aws {command}" + (f"  → {answer}" if answer else ""))


def tag_list(**more: str) -> list[dict[str, str]]:
    """The project's tags and others, in the form that most services take."""
    return [{"Key": key, "Value": value} for key, value in {**project_tags(), **more}.items()]


class _translated:
    """Turns botocore's exceptions into the tutorial's."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __enter__(self) -> None: ...

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        from botocore.parsers import ResponseParserError

        if isinstance(error, ClientError):
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if _HINTS.get(code) == _SIGN_IN:
                _client.cache_clear()  # who has signed in again is asked for the new credentials
            if _MADE.search(code) and error.response["ResponseMetadata"].get("RetryAttempts"):
                raise AlreadyExistsError(self.action, code, message) from error
            hint = denied.advice(message) or _HINTS.get(code, "")
            raise ApiError(self.action, code, message, hint) from error
        if isinstance(error, _NO_CREDENTIALS):
            _client.cache_clear()
            raise UnreachableError(self.action, f"no AWS credentials: {error}", _SIGN_IN) from error
        if isinstance(error, BotoCoreError | ResponseParserError):
            raise UnreachableError(
                self.action,
                str(error),
                "look whether AWS_ENDPOINT_URL is right, what it names is running, and the network is there.",
            ) from error
