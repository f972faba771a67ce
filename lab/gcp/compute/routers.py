"""Compute Engine's Cloud Routers with Cloud NAT, which gives private hosts outbound connections.

https://cloud.google.com/nat/docs/overview
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any

from google.cloud.compute_v1.types import (
    AggregatedListRoutersRequest,
    Data,
    ListRoutersRequest,
    Operation,
    Router,
    RouterAggregatedList,
    RouterList,
    RoutersScopedList,
    Warning,
)

from lab.gcp.api import lists
from lab.gcp.api.errors import ComputeError, bad_value, no_resource, not_ready
from lab.gcp.api.locations import Location, Region
from lab.gcp.compute.region_operations import RegionOperations
from lab.gcp.compute.router_resources import check_router, described, nat_exists, with_nat_defaults
from lab.settings import GOOGLE_LOCATION

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass
class _Entry:
    region: Region
    router: Any  # a Router; mypy does not know proto-plus's fields
    busy: bool = True  # an operation is in progress
    works: bool = False  # from the end of its insertion to that of its deletion

    @property
    def path(self) -> str:
        return f"{self.region.path}/routers/{self.router.name}"


class Routers:
    """The project's routers. One is shown once it is inserted; its NAT works when the operation is DONE.

    `set_nat(region, open)` is called with each change.
    """

    def __init__(
        self, operations: RegionOperations, set_nat: Callable[[str, bool], None], compute_url: str
    ) -> None:
        self._operations, self._set_nat, self._url = operations, set_nat, compute_url
        self._entries: dict[tuple[str, str], _Entry] = {}  # by region and name
        self._lock = RLock()

    def insert(self, region: Region, asked: Router, request_id: str, user: str) -> Operation:
        """The router can be read at once; other calls are refused until the operation is DONE."""
        with self._lock:
            if known := self._repeated(request_id):
                return known
            check_router(asked, region)
            if existing := self._entries.get((region.name, asked.name)):
                if existing.works and existing.busy:
                    raise not_ready(existing.path)  # it is being deleted
                raise ComputeError(409, "alreadyExists", f"The resource '{existing.path}' already exists")
            if asked.nats and any(entry.router.nats for entry in self._in(region)):
                raise nat_exists(0)
            entry = _Entry(region, described(asked, region, self._url))
            self._entries[region.name, asked.name] = entry
            return self._start("insert", entry, request_id, user, lambda: self._finish_insert(entry))

    def patch(self, region: Region, name: str, asked: Any, request_id: str, user: str) -> Operation:
        """Replace its NATs and its description, if given: the lab has no other fields to change.

        https://cloud.google.com/compute/docs/reference/rest/v1/routers/patch
        """
        with self._lock:
            if known := self._repeated(request_id):
                return known
            entry = self._entry(region, name)
            if entry.busy:
                raise not_ready(entry.path)
            wanted: Any = Router(entry.router)
            wanted.name, wanted.network = asked.name or name, asked.network or wanted.network
            wanted.nats = asked.nats or wanted.nats
            wanted.description = asked.description or wanted.description
            check_router(wanted, region)
            if wanted.name != name:
                raise bad_value("resource.name", asked.name, f"Must be the router's name, '{name}'.")
            if wanted.nats and any(one.router.nats for one in self._in(region) if one is not entry):
                raise nat_exists(0)
            entry.busy = True
            return self._start("patch", entry, request_id, user, lambda: self._finish_patch(entry, wanted))

    def delete(self, region: Region, name: str, request_id: str, user: str) -> Operation:
        """Its NAT works until the operation is DONE."""
        with self._lock:
            if known := self._repeated(request_id):
                return known
            entry = self._entry(region, name)
            if entry.busy:
                raise not_ready(entry.path)
            entry.busy = True
            return self._start("delete", entry, request_id, user, lambda: self._forget(entry))

    def get(self, region: Region, name: str) -> Router:
        with self._lock:
            return Router(self._entry(region, name).router)

    def list(self, region: Region, asked: ListRoutersRequest) -> RouterList:
        with self._lock:
            routers = [entry.router for entry in self._in(region)]
        path = f"{region.path}/routers"
        return RouterList(kind="compute#routerList", **self._page(path, asked, routers, lambda found: found))

    def aggregated_list(self, project: str, asked: AggregatedListRoutersRequest) -> RouterAggregatedList:
        """In all regions. A region without routers has a warning instead; the lab shows its own region's."""
        with self._lock:
            routers = [entry.router for entry in self._entries.values()]

        def by_region(found: Sequence[Router]) -> dict[str, RoutersScopedList]:
            scopes: dict[str, list[Router]] = {f"regions/{Location(project, GOOGLE_LOCATION).region}": []}
            for router in found:
                scopes.setdefault(f"regions/{router.region.rpartition('/')[2]}", []).append(router)
            return {scope: _scoped(scope, routers) for scope, routers in scopes.items()}

        path = f"projects/{project}/aggregated/routers"
        parts = self._page(path, asked, routers, by_region)
        return RouterAggregatedList(kind="compute#routerAggregatedList", **parts)

    def _page(
        self, path: str, asked: Any, routers: Sequence[Router], arrange: Callable[[Sequence[Router]], Any]
    ) -> dict[str, Any]:
        """The members of all lists."""
        routers = sorted(routers, key=lambda router: router.self_link)
        found, following = lists.page(routers, asked.max_results, asked.page_token)
        parts = {"id": path, "self_link": f"{self._url}/{path}", "items": arrange(found)}
        return parts | ({"next_page_token": following} if following else {})

    def _start(
        self, kind: str, entry: _Entry, request_id: str, user: str, work: Callable[[], None]
    ) -> Operation:
        return self._operations.start(kind, entry.region, entry.path, entry.router.id, user, request_id, work)

    def _finish_insert(self, entry: _Entry) -> None:
        with self._lock:
            entry.works, entry.busy = True, False
            try:
                self._notify(entry.region)
            except Exception:
                self._forget(entry)
                raise

    def _finish_patch(self, entry: _Entry, router: Router) -> None:
        with self._lock:
            entry.router, entry.busy = with_nat_defaults(router), False
        self._notify(entry.region)

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            del self._entries[entry.region.name, entry.router.name]
        self._notify(entry.region)

    def _notify(self, region: Region) -> None:
        with self._lock:
            self._set_nat(region.name, any(one.works and one.router.nats for one in self._in(region)))

    def _in(self, region: Region) -> Iterator[_Entry]:
        return (entry for entry in self._entries.values() if entry.region == region)

    def _entry(self, region: Region, name: str) -> _Entry:
        entry = self._entries.get((region.name, name))
        if entry is None:
            raise no_resource(f"{region.path}/routers/{name}")
        return entry

    def _repeated(self, request_id: str) -> Operation | None:
        if request_id and not re.fullmatch(_UUID, request_id):
            raise bad_value("requestId", request_id, f"Must be a match of regex '{_UUID}'")
        return self._operations.of_request(request_id)


def _scoped(scope: str, routers: list[Router]) -> RoutersScopedList:
    if routers:
        return RoutersScopedList(routers=routers)
    message = f"There are no results for scope '{scope}' on this page."
    data = [Data(key="scope", value=scope)]
    return RoutersScopedList(warning=Warning(code="NO_RESULTS_ON_PAGE", message=message, data=data))
