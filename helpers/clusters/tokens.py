"""Tokens for the API servers of both clouds, made in this process and renewed before they expire."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from helpers import aws
from helpers.base.settings import current

_MARGIN = timedelta(minutes=1)
_EKS_VALID_FOR = timedelta(minutes=15)

Made = tuple[str, datetime]  # the token and when it expires


class Token:
    """A token that is made anew shortly before it expires."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._text, self._expires = "", datetime.min.replace(tzinfo=UTC)

    def text(self) -> str:
        """The token, valid for a minute at least. Raises what the cloud's own calls raise."""
        if self._expires < datetime.now(UTC) + _MARGIN:
            self._text, self._expires = self._make()
        return self._text


def eks() -> Made:
    """A presigned GetCallerIdentity of STS, as `aws eks get-token` makes it.

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
    """An access token of Google's, as gke-gcloud-auth-plugin gives it."""
    from helpers.gcp import client

    return client.access_token()


def of(context: str) -> Token:
    """The token for the cluster of that context."""
    return Token({"eks": eks, "gke": gke}[context])
