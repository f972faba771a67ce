"""All calls to AWS with boto3: errors become messages, and commands are printed."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import BotoCoreError, ClientError

from helpers.aws import command_line, denied
from helpers.base import changes, command
from helpers.base.errors import AlreadyExistsError, ApiError, UnreachableError
from helpers.base.settings import of_named_clouds
from helpers.base.tags import project_tags

_RETRIES = {"mode": "standard", "max_attempts": 8}  # throttling, 5xx, dropped connections
_SIGN_IN = (
    "sign in (aws sso login, aws login, or fresh keys in the environment), then run this again: it continues."
)
_TIMEOUTS = {"connect_timeout": 10, "read_timeout": 120}  # seconds
_ONCE = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 1}}
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


# Missing or expired credentials, which are no network problem.
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
    import boto3  # takes a quarter of a second, so it is imported by the first call
    from botocore.config import Config

    config = Config(**_ONCE) if once else Config(retries=_RETRIES, **_TIMEOUTS)
    session = boto3.Session(*keys, region_name=region)
    return session.client(service, endpoint_url=endpoint, config=config)


def client(service: str, region: str | None = None, once: bool = False) -> Any:
    """A boto3 client of that service, by the settings in force; with `once`, one that does not retry."""
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
    """The credentials in force, as botocore signs with; raises UnreachableError if there are none."""
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

    Raises ApiError with AWS's own error code, or Unreachable if there was no response.
    """
    with _translated(f"aws {service} {operation.replace('_', '-')}"):
        return getattr(client(service), operation)(**parameters)


def change(
    service: str, operation: str, *, show: str = "", document: str = "", **parameters: Any
) -> dict[str, Any]:
    """Like `call`, for what changes something; prints the complete command, and what it returned.

    `show` is the query (JMESPath) of what later commands need. A Path stands for the bytes of that file.
    `document` names the file for what is too deep for a word; see `command_line.render`.
    Raises also ChangeNeededError, in read-only mode.
    """
    line = command_line.render(service, operation, parameters, show=show, document=document)
    changes.begin(line.text)
    return _shown(line, service, operation, show, parameters)


def shown(service: str, operation: str, *, show: str, **parameters: Any) -> dict[str, Any]:
    """Like `call`, for a question of which later commands need the answer; prints it like a change."""
    line = command_line.render(service, operation, parameters, show=show)
    return _shown(line, service, operation, show, parameters)


def _shown(
    line: command_line.CommandLine, service: str, operation: str, show: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    read = {
        key: value.read_bytes() if isinstance(value, Path) else value for key, value in parameters.items()
    }
    answer = call(service, operation, **read)
    line.write_files()
    command.show_change(line.text, command_line.text(show, answer) if show else "")
    return answer


def waited(service: str, waiter: str, **parameters: Any) -> None:
    """Print the AWS CLI's command for a wait that is over, e.g. waited("eks", "cluster_active")."""
    command.show_change(command_line.render(service, f"wait {waiter}", parameters).text)


def ask_once(service: str, region: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Like `call`, in that region, for optional data: a few seconds, and no retry."""
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
    """Like `call`, but None if AWS returns one of these codes for "not found"."""
    try:
        return call(service, operation, **parameters)
    except ApiError as refused:
        if refused.code in codes:
            return None
        raise


def account_id() -> str:
    """The account that the credentials belong to."""
    return call("sts", "get_caller_identity")["Account"]


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
                _client.cache_clear()  # after a new sign-in, the new credentials are used
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
                "check that AWS_ENDPOINT_URL is right, what it names is running, and the network is up.",
            ) from error
