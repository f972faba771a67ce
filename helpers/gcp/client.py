"""Calls to Google Cloud, by REST or with a client library: errors become messages."""

import functools
import re
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import google.auth
import google.auth.transport.requests
import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.oauth2 import service_account

from helpers import gcp
from helpers.base.errors import AlreadyExistsError, ApiError, UnreachableError
from helpers.base.settings import current

# Throttling, 5xx, dropped connections: as in AWS, where botocore has it. Seconds.
_PASSING = (
    api.TooManyRequests,
    api.ServerError,
    requests.ConnectionError,
    requests.Timeout,
    auth.TransportError,
)
_RETRY = {"initial": 0.5, "maximum": 20.0, "timeout": 60.0}
_ENDPOINT = "check that {} is right, and that what it names is running."
# An API that is not enabled. The project may be the credentials' own (quota_project_id).
_DISABLED = re.compile(r"in project (\S+) before or it is disabled.*?([a-z]+\.googleapis\.com)/", re.DOTALL)
_SIGN_IN = "gcloud auth application-default login, then run this again: it continues."

Client = TypeVar("Client")
T = TypeVar("T")


def identity() -> tuple[str, bool]:
    """The identity that calls Google, and whether it uses a key file; raises Unreachable without a token."""
    credentials = _signed_in()
    account = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
    return account or "your own sign-in", isinstance(credentials, service_account.Credentials)


def access_token() -> tuple[str, datetime]:
    """A fresh access token and when it expires; raises Unreachable if there is none."""
    credentials = _signed_in()
    return credentials.token, credentials.expiry.replace(tzinfo=UTC)


def _signed_in() -> Any:
    action = "Asking Google for a token"
    credentials = _asking(action, lambda: _credentials(_credentials_file()))
    _asking(action, lambda: credentials.refresh(google.auth.transport.requests.Request()))
    return credentials


def request(
    action: str, method: str, url: str, allowed: str, *, json: Any = None, once: float = 0, **query: str
) -> dict[str, Any]:
    """The JSON that one call by REST answers with. `allowed` and what it raises are as with `ask`.

    `once` is for optional data: seconds for the only attempt.
    """
    gcp.project()

    def call() -> dict[str, Any]:
        session = _session(_credentials_file())
        response = session.request(method, url, json=json, params=query, timeout=once or gcp.TIMEOUT)
        if not response.ok:
            raise api.from_http_response(response)
        return response.json()

    return _asking(action, call, allowed, patient=not once)


def ask(
    action: str,
    client: Callable[..., Client],
    endpoint: str | None,
    call: Callable[[Client], T],
    allowed: str,
) -> T:
    """`call` with a client of that kind, at the configured endpoint, if one is set.

    `allowed` is what to try if Google answers that it is forbidden. Raises SettingsError without a project,
    ApiError with the name of Google's error, or Unreachable if there was no response.
    """
    gcp.project()  # before google.auth, which would look for a project of its own
    return _asking(action, lambda: call(_client(client, endpoint, _credentials_file())), allowed)


def _asking(action: str, call: Callable[[], T], allowed: str = "", patient: bool = True) -> T:
    """Retries transient errors, and turns Google's exceptions into the tutorial's."""
    lost: list[BaseException] = []
    try:
        return Retry(_passes, on_error=lost.append, **_RETRY)(call)() if patient else call()
    except api.Conflict as error:
        kind = AlreadyExistsError if lost else ApiError
        raise kind(action, type(error).__name__, error.message) from error
    except api.RetryError as error:
        raise UnreachableError(action, str(error.cause), _where()) from error
    except api.GoogleAPIError as error:
        hint = _hint(error, allowed)
        if hint == _SIGN_IN:
            _forget_credentials()
        raise ApiError(action, type(error).__name__, getattr(error, "message", str(error)), hint) from error
    except (requests.RequestException, auth.TransportError) as error:
        raise UnreachableError(action, str(error), _where()) from error
    except (auth.GoogleAuthError, OSError) as error:
        _forget_credentials()
        raise UnreachableError(action, str(error), _SIGN_IN) from error


def _hint(error: api.GoogleAPIError, allowed: str) -> str:
    if disabled := _DISABLED.search(str(error)):
        project, service = disabled.groups()
        return f"gcloud services enable {service} --project {project}, and wait a minute."
    if _says(error, "quotaExceeded"):
        return "delete what is not needed there, or ask for a higher quota."
    return {"Unauthorized": _SIGN_IN, "Forbidden": allowed}.get(type(error).__name__, "")


def _passes(error: BaseException) -> bool:
    """Compute Engine reports rate limiting as a 403: https://cloud.google.com/compute/api-quota."""
    if "Connection refused" in str(error):
        return False  # nothing listens at an endpoint of one's own; Google's never refuse
    return isinstance(error, _PASSING) or _says(error, "rateLimitExceeded")


def _says(error: BaseException, reason: str) -> bool:
    return isinstance(error, api.Forbidden) and any(each.get("reason") == reason for each in error.errors)


def _where() -> str:
    given = gcp.overridden()
    return _ENDPOINT.format(" and ".join(given)) if given else "check that this machine is online."


@functools.lru_cache(maxsize=8)
def _client(kind: Callable[..., Any], endpoint: str | None, credentials_file: str | None) -> Any:
    options: dict[str, Any] = {"api_endpoint": endpoint} if endpoint else {}
    # REST, because a custom endpoint, as in gcloud's override, is a URL.
    return kind(transport="rest", credentials=_credentials(credentials_file), client_options=options)


@functools.lru_cache(maxsize=8)
def _session(credentials_file: str | None) -> requests.Session:
    return google.auth.transport.requests.AuthorizedSession(_credentials(credentials_file))


def _forget_credentials() -> None:
    """After a new sign-in, the new ones are used."""
    _client.cache_clear()
    _session.cache_clear()


def _credentials_file() -> str | None:
    file = current().GOOGLE_APPLICATION_CREDENTIALS
    return str(file) if file else None


def _credentials(file: str | None) -> Any:
    if not file:
        return google.auth.default(scopes=gcp.SCOPES)[0]
    with warnings.catch_warnings():
        # It warns of files from other sources; this one is the reader's.
        warnings.simplefilter("ignore", DeprecationWarning)
        return google.auth.load_credentials_from_file(file, scopes=gcp.SCOPES)[0]
