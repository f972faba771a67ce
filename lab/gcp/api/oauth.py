"""A service account, its key, and the access tokens that Google's token endpoint issues for it.

RFC 7523 (JWT bearer grant) as in https://developers.google.com/identity/protocols/oauth2/service-account,
and the self-signed JWTs of https://google.aip.dev/auth/4111.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
# Its own universe (https://google.aip.dev/auth/4111): in Google's, google-auth would also send the token to
# Google's real iamcredentials service, for the allowed origins of requests (Regional Access Boundary).
UNIVERSE = "lab.internal"
LIFETIME = 3600  # seconds: of an access token, and the maximum of an assertion
# google-auth signs this audience, whichever token_uri its key file has.
_GOOGLE_TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"


class OAuthError(Exception):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        self.error, self.description = error, description
        super().__init__(f"{error}: {description}")


class InvalidTokenError(Exception):
    """A bearer token that the lab did not issue, that is not signed by the account, or that has expired."""


@dataclass(frozen=True)
class AccessToken:
    """What the lab knows of a token: its owner, its expiry (seconds since the epoch), and its scopes."""

    email: str
    expires: float
    scopes: frozenset[str]


class ServiceAccount:
    """Your identity in Google Cloud, with a new RSA key."""

    def __init__(self, project: str, name: str = "tutorial") -> None:
        self.project = project
        self.email = f"{name}@{project}.iam.gserviceaccount.com"
        self.key_id = secrets.token_hex(20)
        self.client_id = str(10**20 + secrets.randbelow(10**20))
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._certificates = {self.key_id: public}

    def write_credentials(self, path: Path, token_uri: str, owner: tuple[int, int]) -> None:
        """Write the file for GOOGLE_APPLICATION_CREDENTIALS: mode 0600, with uid and gid `owner`."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        document = {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": self.key_id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": self.client_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": UNIVERSE,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchown(file.fileno(), *owner)
            json.dump(document, file, indent=2)

    def verify(self, token: str, audiences: list[str] | None = None) -> dict[str, Any]:
        """The claims of a valid JWT that this account signed. Raises InvalidTokenError with the reason."""
        try:
            claims = jwt.decode(token, certs=self._certificates, audience=audiences)
        except (ValueError, TypeError, GoogleAuthError) as error:
            raise InvalidTokenError(f"Invalid JWT: {error.args[0]}") from error
        if claims.get("iss") != self.email:
            raise InvalidTokenError("Invalid JWT: the issuer is not the owner of the key.")
        if claims["exp"] - claims["iat"] > LIFETIME:
            raise InvalidTokenError(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        return claims


class Tokens:
    """Issues and checks access tokens. `now` returns seconds since the epoch."""

    def __init__(self, account: ServiceAccount, token_uri: str, now: Callable[[], float] = time.time) -> None:
        self.account = account
        self._audiences = [token_uri, _GOOGLE_TOKEN_AUDIENCE]
        self._now = now
        self._issued: dict[str, AccessToken] = {}

    def exchange(self, grant_type: str, assertion: str) -> dict[str, Any]:
        """The token endpoint's answer to an assertion; OAuthError if Google would refuse it."""
        if grant_type != JWT_BEARER:
            raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        try:
            claims = self.account.verify(assertion, self._audiences)
        except InvalidTokenError as error:
            raise OAuthError("invalid_grant", str(error)) from error
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            raise OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = "ya29." + secrets.token_urlsafe(96)
        self._forget_expired()
        self._issued[token] = AccessToken(self.account.email, self._now() + LIFETIME, frozenset(scopes))
        return {"access_token": token, "expires_in": LIFETIME - 1, "token_type": "Bearer"}

    def verify(self, token: str, audience: str | None = None) -> AccessToken:
        """What a bearer token allows; InvalidTokenError if it is unknown, expired or for another service.

        It is an access token, or a JWT signed by the account itself (AIP-4111). Such a JWT has scopes, or one
        service as its audience: `audience` is that of this service.
        """
        if token.count(".") != 2:
            return self._access_token(token)
        claims = self.account.verify(token)
        if "aud" not in claims:
            scopes = frozenset(str(claims.get("scope", "")).split())
        elif claims["aud"] == audience:
            scopes = frozenset({CLOUD_PLATFORM})
        else:
            raise InvalidTokenError("Invalid JWT: it is for another audience.")
        return AccessToken(self.account.email, claims["exp"], scopes)

    def _access_token(self, token: str) -> AccessToken:
        known = self._issued.get(token)
        if known is None:
            raise InvalidTokenError("unknown access token")
        if known.expires <= self._now():
            raise InvalidTokenError("expired access token")
        return known

    def _forget_expired(self) -> None:
        # Expired tokens are refused anyway; without this, the table would only grow.
        now = self._now()
        self._issued = {token: known for token, known in self._issued.items() if known.expires > now}
