"""The webhook by which an API server has the cloud verify a bearer token.

TokenReview of authentication.k8s.io/v1,
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.wrappers import Request, Response

from lab import sockets
from lab.network import Namespace
from lab.wsgi import Server

User = dict[str, Any]  # a UserInfo: username, groups, …


class UnauthenticatedError(Exception):
    """Why a token is not accepted."""


class TokenWebhook:
    """Serves on the loopback of a VPC's namespace, which pods cannot reach.

    `authenticate(token)` returns the token's user or raises UnauthenticatedError.
    """

    def __init__(self, namespace: Namespace | None, authenticate: Callable[[str], User]) -> None:
        """`namespace`: None for the machine's own, in tests."""
        self._authenticate = authenticate
        listener = sockets.listen(("127.0.0.1", 0), namespace)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self._server = Server(listener, self._application)

    @property
    def kubeconfig(self) -> dict[str, Any]:
        """For the API server's --authentication-token-webhook-config-file."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cloud", "cluster": {"server": self.url}}],
            "users": [{"name": "api-server", "user": {}}],
            "contexts": [{"name": "webhook", "context": {"cluster": "cloud", "user": "api-server"}}],
            "current-context": "webhook",
        }

    def close(self) -> None:
        self._server.close()

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            review = json.loads(request.get_data())
            version, token = review["apiVersion"], review["spec"]["token"]
        except (ValueError, KeyError, TypeError):
            return Response("not a TokenReview\n", 400)
        answer = {"apiVersion": version, "kind": "TokenReview", "status": self._status(token)}
        return Response(json.dumps(answer), content_type="application/json")

    def _status(self, token: str) -> dict[str, Any]:
        try:
            return {"authenticated": True, "user": self._authenticate(token)}
        except UnauthenticatedError as reason:
            return {"authenticated": False, "error": str(reason)}
