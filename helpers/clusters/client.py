"""Kubernetes' API by its Python client: one for each context, with retries while the API server is away.

An API server is away on a busy machine, or in GKE while the control plane of a zonal cluster is upgraded:
https://cloud.google.com/kubernetes-engine/docs/concepts/cluster-upgrades
"""

import functools
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import load_kube_config_from_dict
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.discovery import LazyDiscoverer
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from urllib3.exceptions import HTTPError

from helpers.base.errors import ApiError, UnreachableError
from helpers.base.waiting import retry_while
from helpers.clusters import kubeconfig, tokens

PATIENCE = 60.0  # seconds
CONNECT_TIMEOUT = 10.0  # seconds, TLS included
_READ_TIMEOUT = 60.0  # seconds
# What the API server says when something behind it is away: etcd, or a webhook such as istiod's.
_PASSING = re.compile(r"etcdserver: |connection refused|timeout|deadline exceeded|EOF", re.I)
# Where a word is looked up, one request each; the last asks all groups.
_GROUPS: tuple[dict[str, str], ...] = (
    {"prefix": "api"},
    {"group": "apps"},
    {"group": "networking.istio.io"},
    {},
)
_LOOPBACK = ("localhost", "127.0.0.0/8", "::1")

T = TypeVar("T")


class _Discoverer(LazyDiscoverer):
    """Keeps what it learns in memory: the file in /tmp that it would write is anybody's."""

    def _write_cache(self) -> None: ...


class Client(DynamicClient):
    """A DynamicClient whose requests do not wait for ever."""

    def __init__(self, api: ApiClient) -> None:
        super().__init__(api, cache_file="/dev/null/none", discoverer=_Discoverer)

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """As in DynamicClient; raises ApiException, or urllib3's HTTPError where nobody answers."""
        timeouts = {"_request_timeout": (CONNECT_TIMEOUT, _READ_TIMEOUT)}
        return super().request(method, path, body, **(timeouts | params))

    def resource(self, noun: str) -> Any:
        """What kubectl knows by this word: "nodes", "deploy", "gateways.networking.istio.io".

        Raises ResourceNotFoundError.
        """
        name, _, group = noun.lower().partition(".")
        groups: tuple[dict[str, str], ...] = ({"group": group},) if group else _GROUPS
        for where in groups:
            for kind in self.resources.search(**where):
                if kind.preferred and name in (kind.name, kind.kind.lower(), *(kind.short_names or ())):
                    return kind
        raise ResourceNotFoundError(f'the server doesn\'t have a resource type "{noun}"')

    def kind(self, api_version: str, kind: str) -> Any:
        """The resource of an object's apiVersion and kind; raises ResourceNotFoundError."""
        try:
            return self.resources.get(api_version=api_version, kind=kind)
        except ResourceNotFoundError:
            message = f'no matches for kind "{kind}" in version "{api_version}"'
            raise ResourceNotFoundError(message) from None


def call(context: str, action: str, do: Callable[[Client], T], patience: float | None = None) -> T:
    """`do` with a client for that context, again for `patience` seconds while the API server is away.

    Raises ApiError with the API server's words, UnreachableError, PrerequisiteError for an unknown context.
    """
    try:
        what = f"the API server of {context}"
        return retry_while(what, lambda: do(of(context)), _is_away, timeout=patience or PATIENCE)
    except ApiException as error:
        if error.status == 0:
            raise unreachable(context, action, error.reason) from error
        raise refusal(action, error.status, error.body) from error
    except ResourceNotFoundError as error:
        raise ApiError(action, "NotFound", str(error)) from error
    except HTTPError as error:
        raise unreachable(context, action, error) from error


def of(context: str) -> Client:
    """The client for that context of the kubeconfig, connected already where it was used before."""
    cluster, user = kubeconfig.entries(context)
    return _connected(
        context, cluster["server"], cluster.get("certificate-authority-data", ""), user.get("token", "")
    )


@functools.lru_cache(maxsize=8)
def _connected(context: str, server: str, ca_data: str, token: str) -> Client:
    configuration = Configuration()
    cluster = {"server": server} | ({"certificate-authority-data": ca_data} if ca_data else {})
    config = {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": context}}],
        "clusters": [{"name": context, "cluster": cluster}],
    }
    load_kube_config_from_dict(config, client_configuration=configuration, persist_config=False)
    configuration.retries = False  # `call` does that, with words for the reader
    # As in Go's clients: whatever the environment says, there is no proxy on the way to this machine.
    configuration.no_proxy = ",".join(filter(None, (configuration.no_proxy, *_LOOPBACK)))
    renewed = None if token else tokens.of(context)

    def authorize(configuration: Configuration) -> None:
        text = renewed.text() if renewed else token
        configuration.api_key["BearerToken"] = f"Bearer {text}"

    configuration.refresh_api_key_hook = authorize  # type: ignore[assignment]
    authorize(configuration)
    return Client(ApiClient(configuration))


def _is_away(error: BaseException) -> bool:
    if isinstance(error, HTTPError):
        return True
    if not isinstance(error, ApiException):
        return False
    if (
        error.status == 0
    ):  # TLS: a handshake that was cut off passes, a certificate that does not fit does not
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
