"""Authenticates callers of Google's services: bearer tokens, their audience and scopes."""

from dataclasses import dataclass, field

from werkzeug.wrappers import Request

from lab.gcp.api.errors import ApiError, auth_info
from lab.gcp.api.oauth import CLOUD_PLATFORM, AccessToken, InvalidTokenError, Tokens

_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


@dataclass(frozen=True)
class Service:
    """`scopes`: a token needs any of them, https://developers.google.com/identity/protocols/oauth2/scopes."""

    host: str
    scopes: frozenset[str] = field(default=frozenset({CLOUD_PLATFORM}))

    @property
    def audience(self) -> str:
        """The audience of a self-signed JWT (https://google.aip.dev/auth/4111)."""
        return f"https://{self.host}/"


CONTAINER = Service("container.googleapis.com")
COMPUTE = Service(
    "compute.googleapis.com", frozenset({CLOUD_PLATFORM, "https://www.googleapis.com/auth/compute"})
)

SERVICE_USAGE = Service("serviceusage.googleapis.com")


def authenticate(tokens: Tokens, service: Service, request: Request) -> AccessToken:
    """The caller, or the refusal of the front end that Google's APIs share."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        message = f"Request is missing required authentication credential. {_EXPECTED}"
        raise ApiError("UNAUTHENTICATED", message, [auth_info("CREDENTIALS_MISSING", service.host)])
    try:
        known = tokens.verify(token, service.audience)
    except InvalidTokenError as error:
        message = f"Request had invalid authentication credentials. {_EXPECTED}"
        raise ApiError(
            "UNAUTHENTICATED", message, [auth_info("ACCESS_TOKEN_EXPIRED", service.host)]
        ) from error
    if not known.scopes & service.scopes:
        message = "Request had insufficient authentication scopes."
        raise ApiError(
            "PERMISSION_DENIED", message, [auth_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", service.host)]
        )
    return known
