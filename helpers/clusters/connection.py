"""The Kubernetes client for a context. It is imported when it is first needed, because that is slow."""

import functools
from typing import Any

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config_from_dict
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.discovery import LazyDiscoverer
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from helpers.clusters import kubeconfig, tokens

CONNECT_TIMEOUT = 10.0  # seconds, TLS included
_READ_TIMEOUT = 60.0  # seconds
# Where a name is looked up, one request each; the last queries all groups.
_GROUPS: tuple[dict[str, str], ...] = (
    {"prefix": "api"},
    {"group": "apps"},
    {"group": "networking.istio.io"},
    {},
)


class _Discoverer(LazyDiscoverer):
    """Caches in memory: the default cache file in /tmp is open to other users."""

    def _write_cache(self) -> None: ...


class Client(DynamicClient):
    """A DynamicClient whose requests time out."""

    def __init__(self, api: ApiClient) -> None:
        super().__init__(api, cache_file="/dev/null/none", discoverer=_Discoverer)

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """As in DynamicClient; raises ApiException, or urllib3's HTTPError if there is no response."""
        timeouts = {"_request_timeout": (CONNECT_TIMEOUT, _READ_TIMEOUT)}
        return super().request(method, path, body, **(timeouts | params))

    def resource(self, noun: str) -> Any:
        """The resource that kubectl knows by this name: "nodes", "deploy", "gateways.networking.istio.io".

        Raises ResourceNotFoundError.
        """
        found = self._find(noun)
        if not found:  # a kind that was added to a group after the group was discovered
            self.resources.invalidate_cache()
            found = self._find(noun)
        if not found:
            raise ResourceNotFoundError(f'the server doesn\'t have a resource type "{noun}"')
        # One such as EnvoyFilter exists only in a version that its group does not prefer.
        return max(found, key=lambda kind: bool(kind.preferred))

    def _find(self, noun: str) -> list[Any]:
        name, _, group = noun.lower().partition(".")
        groups: tuple[dict[str, str], ...] = ({"group": group},) if group else _GROUPS
        for where in groups:
            found = [
                kind
                for kind in self.resources.search(**where)
                if name in (kind.name, kind.kind.lower(), *(kind.short_names or ()))
            ]
            if found:
                return found
        return []

    def kind(self, api_version: str, kind: str) -> Any:
        """The resource of an object's apiVersion and kind; raises ResourceNotFoundError."""
        try:
            return self.resources.get(api_version=api_version, kind=kind)
        except ResourceNotFoundError:
            message = f'no matches for kind "{kind}" in version "{api_version}"'
            raise ResourceNotFoundError(message) from None


def of(context: str) -> Client:
    """The client for that context of the kubeconfig, reused if it exists."""
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
    configuration.retries = False  # `call` does that, with messages for the reader
    renewed = None if token else tokens.of(context)

    def authorize(configuration: Configuration) -> None:
        text = renewed.text() if renewed else token
        configuration.api_key["BearerToken"] = f"Bearer {text}"

    configuration.refresh_api_key_hook = authorize  # type: ignore[assignment]
    authorize(configuration)
    return Client(ApiClient(configuration))
