"""Tokens for the API servers of both clouds, created in this process and renewed before they expire.

`python -m helpers.clusters.tokens eks` (or gke) is the credential plugin of kubectl and istioctl: it prints a
token as an ExecCredential. So kubectl signs in to both clouds as helpers do, and needs neither the AWS CLI
nor Google's gke-gcloud-auth-plugin.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from helpers import aws
from helpers.base.errors import for_people
from helpers.base.settings import current, settings_file

_MARGIN = timedelta(minutes=1)
_EKS_VALID_FOR = timedelta(minutes=15)
_API_VERSION = "client.authentication.k8s.io/v1"

Made = tuple[str, datetime]  # the token and when it expires


class Token:
    """A token that is renewed shortly before it expires."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._text, self._expires = "", datetime.min.replace(tzinfo=UTC)

    def text(self) -> str:
        """The token, valid for at least a minute. Raises the errors of the cloud's own calls."""
        if self._expires < datetime.now(UTC) + _MARGIN:
            self._text, self._expires = self._make()
        return self._text


def eks() -> Made:
    """A presigned GetCallerIdentity of STS, as `aws eks get-token` creates it.

    Signed for the region's own STS host even where AWS_ENDPOINT_URL is set: behind a proxy, the cluster
    refuses any other host.
    https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster
    """
    region = current().AWS_REGION
    url = f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", url, headers={"x-k8s-aws-id": current().TUTORIAL_NAME})
    expires = datetime.now(UTC) + _EKS_VALID_FOR
    SigV4QueryAuth(aws.credentials(), "sts", region, expires=60).add_auth(request)
    encoded = base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")
    return f"k8s-aws-v1.{encoded}", expires


def gke() -> Made:
    """A Google access token, as gke-gcloud-auth-plugin returns it."""
    from helpers.gcp import client

    return client.access_token()


_MAKERS = {"eks": eks, "gke": gke}
_DEPENDS_ON = {
    "eks": ("TUTORIAL_NAME", "AWS_REGION"),
    "gke": ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"),
}


def of(context: str) -> Token:
    """The token for the cluster of that context."""
    return Token(_MAKERS[context])


def plugin(context: str) -> dict[str, Any]:
    """The kubeconfig entry of this credential plugin; it works in any folder and from any shell.

    It includes the settings that the token depends on, because a shell may have others, but no secrets.
    """
    given = {name: getattr(current(), name) for name in _DEPENDS_ON[context]}
    # istioctl gets a home folder of its own, and sign-ins are in the reader's.
    environment = {"HOME": os.environ.get("HOME"), "TUTORIAL_SETTINGS": settings_file(), **given}
    return {
        "apiVersion": _API_VERSION,
        "interactiveMode": "Never",
        "command": sys.executable,
        "args": ["-I", "-m", __name__, context],  # -I: ignore the reader's modules
        "env": [{"name": name, "value": str(value)} for name, value in environment.items() if value],
    }


@for_people
def main() -> None:
    """Print the ExecCredential; exit code 1 and a message if there are no credentials."""
    token, expires = _MAKERS[sys.argv[1]]()
    status = {"token": token, "expirationTimestamp": f"{expires - _MARGIN:%Y-%m-%dT%H:%M:%SZ}"}
    print(json.dumps({"kind": "ExecCredential", "apiVersion": _API_VERSION, "status": status}))


if __name__ == "__main__":
    main()
