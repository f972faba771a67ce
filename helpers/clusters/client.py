"""All calls to Kubernetes' API servers: retried while one is unavailable, with errors as messages.

An API server can be unavailable on a busy machine, or while the control plane of a zonal cluster is upgraded:
https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-upgrades
"""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from helpers.base.errors import ApiError, UnreachableError
from helpers.base.waiting import retry_while
from helpers.clusters import kubeconfig

if TYPE_CHECKING:
    from helpers.clusters.connection import Client

RETRY_TIMEOUT = 60.0  # seconds
# The API server's messages while something behind it is unavailable: etcd, or a webhook such as istiod's.
_PASSING = re.compile(r"etcdserver: |connection refused|timeout|deadline exceeded|EOF", re.I)

T = TypeVar("T")


def call(context: str, action: str, do: "Callable[[Client], T]", retry_timeout: float | None = None) -> T:
    """`do` with a client for that context, retried for `retry_timeout` seconds while it is unavailable.

    Raises ApiError with the API server's message, UnreachableError, PrerequisiteError for an unknown context.
    """
    # Imported here, because it is slow and some notebooks use no cluster.
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError
    from urllib3.exceptions import HTTPError

    from helpers.clusters import connection

    def is_away(error: BaseException) -> bool:
        return isinstance(error, HTTPError) or (isinstance(error, ApiException) and _passes(error))

    try:
        what = f"the API server of {context}"
        return retry_while(
            what, lambda: do(connection.of(context)), is_away, timeout=retry_timeout or RETRY_TIMEOUT
        )
    except ApiException as error:
        if error.status == 0:
            raise unreachable(context, action, error.reason) from error
        raise refusal(action, error.status, error.body) from error
    except ResourceNotFoundError as error:
        raise ApiError(action, "NotFound", str(error)) from error
    except HTTPError as error:
        raise unreachable(context, action, error) from error


def _passes(error: Any) -> bool:
    if error.status == 0:  # TLS: an interrupted handshake is transient, a wrong certificate is not
        return "CERTIFICATE_VERIFY_FAILED" not in str(error.reason)
    passing = error.status == 500 and _PASSING.search(str(error.body))
    return error.status in (429, 503, 504) or bool(passing)


def refusal(action: str, status: int, body: Any) -> ApiError:
    """The API server's Status object as the tutorial's error."""
    try:
        said = json.loads(body)
        return ApiError(action, said["reason"], said["message"])
    except (KeyError, TypeError, ValueError):
        return ApiError(action, str(status), str(body))


def unreachable(context: str, action: str, reason: object) -> UnreachableError:
    """No response, or not one from the cluster's API server."""
    server = kubeconfig.server(context)
    hint = f"check that {context} is still running, and that the network is up."
    return UnreachableError(action, f"no answer from {server}: {reason}", hint)
