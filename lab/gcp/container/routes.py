"""The GKE API v1 over REST: the method for each request.

Paths are those of google-cloud-container's REST transport and of gcloud, including older ones with zones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.cloud.container_v1 import types
from google.protobuf.empty_pb2 import Empty
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from lab.gcp.api.authentication import CONTAINER, Service
from lab.gcp.api.errors import ApiError
from lab.gcp.api.locations import Location
from lab.gcp.api.messages import answer, parse
from lab.gcp.api.oauth import AccessToken
from lab.gcp.api.offered import unoffered
from lab.gcp.container import versions
from lab.gcp.container.clusters import Clusters
from lab.gcp.container.operations import Operations

_CLUSTER = "/clusters/<cluster>"
_POOL = f"{_CLUSTER}/nodePools/<pool>"
_OPERATION = "/operations/<operation>"


class Method(NamedTuple):
    """A method of google.container.v1.ClusterManager; its paths are below a location."""

    http: str
    path: str
    permission: str
    request: type
    call: Callable[[Location, dict[str, str], Any], Any]
    old_path: str = ""  # below a zone, where it differs

    def rules(self) -> list[Rule]:
        paths = {"locations": self.path, "zones": self.old_path or self.path}
        return [
            Rule(f"/v1/projects/<project>/{kind}/<location>{path}", methods=[self.http], endpoint=self)
            for kind, path in paths.items()
        ]

    @property
    def service(self) -> Service:
        return CONTAINER

    def respond(self, names: dict[str, str], request: Request, caller: AccessToken) -> Response:
        where = Location(names.pop("project"), names.pop("location"))
        where.check(self.permission)
        asked = parse(self.request, request)
        if found := unoffered(self.request.pb(asked)):  # type: ignore[attr-defined]
            raise ApiError("UNIMPLEMENTED", f"The lab does not offer {found}.")
        return answer(self.call(where, names, asked), request)


def container_methods(clusters: Clusters, operations: Operations) -> list[Method]:
    """The GKE API."""
    return [*_cluster_methods(clusters), *_pool_methods(clusters), *_operation_methods(operations)]


def _cluster_methods(clusters: Clusters) -> list[Method]:
    return [
        Method(
            "GET", "/serverConfig", "container.clusters.list", types.GetServerConfigRequest,
            lambda where, names, asked: versions.server_config(), old_path="/serverconfig",
        ),
        Method(
            "POST", "/clusters", "container.clusters.create", types.CreateClusterRequest,
            lambda where, names, asked: clusters.create(where, asked.cluster),
        ),
        Method(
            "GET", "/clusters", "container.clusters.list", types.ListClustersRequest,
            lambda where, names, asked: types.ListClustersResponse(clusters=clusters.list(where)),
        ),
        Method(
            "GET", _CLUSTER, "container.clusters.get", types.GetClusterRequest,
            lambda where, names, asked: clusters.get(where, names["cluster"]),
        ),
        Method(
            "DELETE", _CLUSTER, "container.clusters.delete", types.DeleteClusterRequest,
            lambda where, names, asked: clusters.delete(where, names["cluster"]),
        ),
        Method(
            "PUT", _CLUSTER, "container.clusters.update", types.UpdateClusterRequest,
            lambda where, names, asked: clusters.update(where, names["cluster"], asked.update),
        ),
        Method(
            "POST", f"{_CLUSTER}:setResourceLabels", "container.clusters.update", types.SetLabelsRequest,
            lambda where, names, asked: clusters.set_labels(
                where, names["cluster"], dict(asked.resource_labels), asked.label_fingerprint
            ),
            old_path=f"{_CLUSTER}/resourceLabels",
        ),
    ]  # fmt: skip


def _pool_methods(clusters: Clusters) -> list[Method]:
    return [
        Method(
            "GET", f"{_CLUSTER}/nodePools", "container.clusters.get", types.ListNodePoolsRequest,
            lambda where, names, asked: types.ListNodePoolsResponse(
                node_pools=clusters.get(where, names["cluster"]).node_pools
            ),
        ),
        Method(
            "GET", _POOL, "container.clusters.get", types.GetNodePoolRequest,
            lambda where, names, asked: clusters.get_pool(where, names["cluster"], names["pool"]),
        ),
        Method(
            "POST", f"{_CLUSTER}/nodePools", "container.clusters.update", types.CreateNodePoolRequest,
            lambda where, names, asked: clusters.create_pool(where, names["cluster"], asked.node_pool),
        ),
        Method(
            "DELETE", _POOL, "container.clusters.update", types.DeleteNodePoolRequest,
            lambda where, names, asked: clusters.delete_pool(where, names["cluster"], names["pool"]),
        ),
    ]  # fmt: skip


def _operation_methods(operations: Operations) -> list[Method]:
    def cancel(where: Location, names: dict[str, str], asked: types.CancelOperationRequest) -> Empty:
        operations.cancel(where, names["operation"])
        return Empty()

    return [
        Method(
            "GET", "/operations", "container.operations.list", types.ListOperationsRequest,
            lambda where, names, asked: types.ListOperationsResponse(operations=operations.list(where)),
        ),
        Method(
            "GET", _OPERATION, "container.operations.get", types.GetOperationRequest,
            lambda where, names, asked: operations.get(where, names["operation"]),
        ),
        Method(
            "POST", f"{_OPERATION}:cancel", "container.clusters.update", types.CancelOperationRequest, cancel,
        ),
    ]  # fmt: skip
