"""Compute Engine's regional operations: an insert or delete returns one, and the caller polls it.

https://cloud.google.com/compute/docs/reference/rest/v1/regionOperations
"""

import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from google.cloud.compute_v1.types import Error, Errors, Operation

from lab.gcp.api.errors import no_resource
from lab.gcp.api.locations import Region
from lab.gcp.api.operations import Entry, LongRunning, going_down

log = logging.getLogger(__name__)

DURATION = 0.5  # seconds; Google: about ten
_WAIT = 120  # seconds, limit of a `wait` call, as on Google


class RegionOperations(LongRunning):
    """The operations of routers. Operations that have not started when the lab stops end without effect."""

    def __init__(self, compute_url: str) -> None:
        super().__init__()
        self._url = compute_url

    def start(
        self, kind: str, region: Region, target: str, target_id: int, user: str, request_id: str,
        work: Callable[[], None],
    ) -> Operation:  # fmt: skip
        """Do `work` on the resource of the path `target` after a delay; the operation is RUNNING until then.

        An exception becomes the operation's error.
        """
        now = timestamp()
        name = f"operation-{time.time_ns() // 1_000_000}-{secrets.token_hex(6)}-{secrets.token_hex(4)}"
        resource = Operation(
            kind="compute#operation",
            id=new_id(),
            name=name,
            operation_type=kind,
            status=Operation.Status.RUNNING,
            progress=0,
            user=user,
            insert_time=now,
            start_time=now,
            region=f"{self._url}/{region.path}",
            self_link=f"{self._url}/{region.path}/operations/{name}",
            target_link=f"{self._url}/{target}",
            target_id=target_id,
        )
        if request_id:
            resource.client_operation_id = request_id
        entry = Entry(region, target, resource)
        return self._begin(entry, lambda: self._run(entry, work))

    def get(self, region: Region, name: str) -> Operation:
        with self._lock:
            return self._entry(region, name).copy()

    def wait(self, region: Region, name: str) -> Operation:
        """Returns when it is DONE, or after two minutes."""
        with self._lock:
            done = self._entry(region, name).done
        done.wait(_WAIT)
        return self.get(region, name)

    def of_request(self, request_id: str) -> Operation | None:
        """The operation that the same request started before: Google executes each requestId once."""
        with self._lock:
            for entry in self._entries.values():
                if request_id and entry.resource.client_operation_id == request_id:
                    return entry.copy()
        return None

    def _entry(self, region: Region, name: str) -> Entry:
        entry = self._find(region, name)
        if entry is None:
            raise no_resource(f"{region.path}/operations/{name}")
        return entry

    def _run(self, entry: Entry, work: Callable[[], None]) -> None:
        error: Exception | None = None
        if self._closing.wait(DURATION):
            error = going_down()
        else:
            try:
                work()
            except Exception as failure:
                log.exception("%s of %s", entry.resource.operation_type, entry.target)
                error = failure
        with self._lock:
            if error:
                entry.resource.error = Error(errors=[Errors(code="INTERNAL_ERROR", message=str(error))])
                entry.resource.http_error_status_code = 500
                entry.resource.http_error_message = "INTERNAL SERVER ERROR"
            entry.resource.progress, entry.resource.end_time = 100, timestamp()
            entry.resource.status = Operation.Status.DONE
            entry.done.set()


def timestamp() -> str:
    """The current time in RFC 3339 with milliseconds and an offset, as in Compute Engine's answers."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_id() -> int:
    """A resource's id: an unsigned 64-bit number."""
    return secrets.randbits(63)
