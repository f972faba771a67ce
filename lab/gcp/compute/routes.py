"""Compute Engine API v1 over REST, as far as the lab offers it: the method for each request.

Paths are those of google-cloud-compute's REST transport and of gcloud.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.cloud.compute_v1 import types
from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from lab.gcp.api.authentication import COMPUTE, Service
from lab.gcp.api.errors import ComputeError, not_offered
from lab.gcp.api.locations import Region
from lab.gcp.api.messages import answer, parse
from lab.gcp.api.oauth import AccessToken
from lab.gcp.api.offered import unoffered
from lab.gcp.compute.project import ProjectInfo
from lab.gcp.compute.region_operations import RegionOperations
from lab.gcp.compute.routers import Routers
from lab.settings import GOOGLE_PROJECT

PATH = "/compute/v1"

# gcloud adds it to lists; it is documented, but missing in google-cloud-compute's messages.
_UNDECLARED = frozenset({"returnPartialSuccess"})
_ROUTERS = "/regions/<region>/routers"
_ROUTER = f"{_ROUTERS}/<name>"
_OPERATION = "/regions/<region>/operations/<name>"


class Call(NamedTuple):
    """A call's input: names from the path ("" if not in the path), the message, the caller's e-mail."""

    region: Region
    name: str
    asked: Any
    user: str


class Method(NamedTuple):
    """A method of google.cloud.compute.v1; its paths are below a project."""

    http: str
    path: str
    permission: str
    request: type
    call: Callable[[Call], Any]
    resource: str = ""  # the field of `request` that is in the body

    @property
    def service(self) -> Service:
        return COMPUTE

    def rules(self) -> list[Rule]:
        path = f"{PATH}/projects/<project>{self.path}"
        return [Rule(path, methods=[self.http], endpoint=self)]

    def respond(self, names: dict[str, str], request: Request, caller: AccessToken) -> Response:
        asked = parse(self.request, request, self.resource, _UNDECLARED)
        if found := unoffered(self.request.pb(asked)):  # type: ignore[attr-defined]
            raise not_offered(found)
        region, name = Region(names["project"], names.get("region", "")), names.get("name", "")
        created = getattr(asked, self.resource).name if self.resource else ""
        self._check_project(region, name or created)
        if region.name:
            region.check()
        return answer(self.call(Call(region, name, asked, caller.email)), request)

    def _check_project(self, region: Region, name: str) -> None:
        """Refuse other projects than the lab's."""
        if region.project != GOOGLE_PROJECT:
            below = self.path.removesuffix("/wait").removesuffix("/<name>").replace("<region>", region.name)
            target = f"projects/{region.project}" + (f"{below}/{name}" if name else "")
            raise ComputeError(403, "forbidden", f"Required '{self.permission}' permission for '{target}'")


def compute_methods(routers: Routers, operations: RegionOperations, project: ProjectInfo) -> list[Method]:
    return [
        Method("GET", "", "compute.projects.get", types.GetProjectRequest, lambda to: project.get()),
        Method(
            "GET", "/global/networks/<name>", "compute.networks.get", types.GetNetworkRequest,
            lambda to: project.network(to.name),
        ),
        Method(
            "GET", "/regions/<region>", "compute.regions.get", types.GetRegionRequest,
            lambda to: project.region(to.region),
        ),
        Method(
            "POST", _ROUTERS, "compute.routers.create", types.InsertRouterRequest,
            lambda to: routers.insert(to.region, to.asked.router_resource, to.asked.request_id, to.user),
            resource="router_resource",
        ),
        Method(
            "GET", _ROUTERS, "compute.routers.list", types.ListRoutersRequest,
            lambda to: routers.list(to.region, to.asked),
        ),
        Method(
            "GET", _ROUTER, "compute.routers.get", types.GetRouterRequest,
            lambda to: routers.get(to.region, to.name),
        ),
        Method(
            "PATCH", _ROUTER, "compute.routers.update", types.PatchRouterRequest,
            lambda to: routers.patch(
                to.region, to.name, to.asked.router_resource, to.asked.request_id, to.user
            ),
            resource="router_resource",
        ),
        Method(
            "DELETE", _ROUTER, "compute.routers.delete", types.DeleteRouterRequest,
            lambda to: routers.delete(to.region, to.name, to.asked.request_id, to.user),
        ),
        Method(
            "GET", "/aggregated/routers", "compute.routers.list", types.AggregatedListRoutersRequest,
            lambda to: routers.aggregated_list(to.region.project, to.asked),
        ),
        Method(
            "GET", _OPERATION, "compute.regionOperations.get", types.GetRegionOperationRequest,
            lambda to: operations.get(to.region, to.name),
        ),
        Method(
            "POST", f"{_OPERATION}/wait", "compute.regionOperations.get", types.WaitRegionOperationRequest,
            lambda to: operations.wait(to.region, to.name),
        ),
    ]  # fmt: skip
