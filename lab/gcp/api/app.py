"""Google's REST APIs and token endpoint, with the checks that every request passes."""

import logging
from collections.abc import Iterable
from typing import Protocol
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from lab.gcp.api.authentication import Service, authenticate
from lab.gcp.api.errors import ApiError
from lab.gcp.api.messages import refusal, render
from lab.gcp.api.oauth import AccessToken, OAuthError, Tokens

log = logging.getLogger(__name__)


class Endpoint(Protocol):
    """The handler of a route."""

    @property
    def service(self) -> Service: ...

    def rules(self) -> list[Rule]: ...

    def respond(self, names: dict[str, str], request: Request, caller: AccessToken) -> Response:
        """`names` are those in the path."""


class Api:
    """A WSGI application: Google's APIs and the token endpoint."""

    def __init__(self, tokens: Tokens, endpoints: Iterable[Endpoint]) -> None:
        self._tokens = tokens
        rules = [rule for endpoint in endpoints for rule in endpoint.rules()]
        self._routes = Map([*rules, Rule("/token", methods=["POST"], endpoint="token")])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        return self._respond(request)(environ, start_response)

    def _respond(self, request: Request) -> Response:
        try:
            endpoint, names = self._routes.bind_to_environ(request.environ).match()
            return self._token(request) if endpoint == "token" else self._call(endpoint, dict(names), request)
        except HTTPException:
            return refusal(_not_served(request))
        except ApiError as error:
            return refusal(error)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return refusal(ApiError("INTERNAL", "Internal error in the lab; see the daemon's log."))

    def _call(self, endpoint: Endpoint, names: dict[str, str], request: Request) -> Response:
        caller = authenticate(self._tokens, endpoint.service, request)
        return endpoint.respond(names, request, caller)

    def _token(self, request: Request) -> Response:
        try:
            granted = self._tokens.exchange(
                request.form.get("grant_type", ""), request.form.get("assertion", "")
            )
        except OAuthError as error:
            return render({"error": error.error, "error_description": error.description}, 400)
        return render(granted)


def _not_served(request: Request) -> ApiError:
    return ApiError("UNIMPLEMENTED", f"The lab does not offer {request.method} {request.path}.")
