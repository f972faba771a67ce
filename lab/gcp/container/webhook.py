"""GKE's way from a Google access token to a Kubernetes user: the API server asks this webhook.

authentication.k8s.io TokenReview,
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.wrappers import Request, Response

from lab.gcp.api.http import Server
from lab.gcp.api.oauth import CLOUD_PLATFORM, InvalidToken, Tokens
from lab.network import Vpc
from lab.sockets import listen

# IAM's container.admin may do everything in every cluster of its project; RBAC knows that as this group.
_ADMINISTRATORS = "system:masters"


class TokenWebhook:
    """Answers TokenReviews on the loopback of a VPC's namespace, out of reach for pods and readers."""

    def __init__(self, tokens: Tokens, vpc: Vpc) -> None:
        self._tokens = tokens
        listener = listen(("127.0.0.1", 0), vpc.namespace)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        self._server = Server(listener, self._application)

    @property
    def kubeconfig(self) -> dict[str, Any]:
        """For the API server's --authentication-token-webhook-config-file."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "google", "cluster": {"server": self.url}}],
            "users": [{"name": "api-server", "user": {}}],
            "contexts": [{"name": "google", "context": {"cluster": "google", "user": "api-server"}}],
            "current-context": "google",
        }

    def close(self) -> None:
        self._server.close()

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            review = json.loads(request.get_data())
            token = review["spec"]["token"]
        except (ValueError, KeyError, TypeError):
            return Response("not a TokenReview\n", 400)
        answer = {
            "apiVersion": review["apiVersion"],
            "kind": "TokenReview",
            "status": self._status(token),
        }
        return Response(json.dumps(answer), content_type="application/json")

    def _status(self, token: str) -> dict[str, Any]:
        try:
            known = self._tokens.verify(token)
        except InvalidToken as error:
            return {"authenticated": False, "error": str(error)}
        if CLOUD_PLATFORM not in known.scopes:
            return {"authenticated": False, "error": "the token lacks the scope cloud-platform"}
        user = {"username": known.email, "groups": [_ADMINISTRATORS]}
        return {"authenticated": True, "user": user}
