"""Calls to Kubernetes' API servers: one door, where errors become messages; it waits while one is away.

An API server is away on a busy machine, or in GKE while the control plane of a zonal cluster is upgraded:
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

PATIENCE = 60.0  # seconds
# What the API server says when something behind it is away: etcd, or a webhook such as istiod's.
_PASSING = re.compile(r"etcdserver: |connection refused|timeout|deadline exceeded|EOF", re.I)

T = TypeVar("T")


def call(context: str, action: str, do: "Callable[[Client], T]", patience: float | None = None) -> T:
    """`do` with a client for that context, again for `patience` seconds while the API server is away.

    Raises ApiError with the API server's words, UnreachableError, PrerequisiteError for an unknown context.
    """
    # Here, since it takes a while, and a notebook that asks no cluster can do without.
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError
    from urllib3.exceptions import HTTPError

    from helpers.clusters import connection

    def is_away(error: BaseException) -> bool:
        return isinstance(error, HTTPError) or (isinstance(error, ApiException) and _passes(error))

    try:
        what = f"the API server of {context}"
        return retry_while(what, lambda: do(connection.of(context)), is_away, timeout=patience or PATIENCE)
    except ApiException as error:
        if error.status == 0:
            raise unreachable(context, action, error.reason) from error
        raise refusal(action, error.status, error.body) from error
    except ResourceNotFoundError as error:
        raise ApiError(action, "NotFound", str(error)) from error
    except HTTPError as error:
        raise unreachable(context, action, error) from error


def _passes(error: Any) -> bool:
    if error.status == 0:  # TLS: a handshake that was cut off passes, a wrong certificate does not
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
    """Nobody answered, or not as the cluster's API server would."""
    server = kubeconfig.server(context)
    hint = f"look whether {context} is still running, and whether the network is there."
    return UnreachableError(action, f"no answer from {server}: {reason}", hint)
