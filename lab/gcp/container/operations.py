"""GKE's long-running operations: a create or delete call returns one, and the caller polls it."""

import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from google.cloud.container_v1.types import Operation, OperationProgress, StatusCondition

from lab.gcp.api.errors import ApiError, invalid, not_found
from lab.gcp.api.locations import Location
from lab.gcp.api.operations import Entry, LongRunning, going_down

log = logging.getLogger(__name__)

Step = Callable[[str], None]
_DOING = {
    Operation.Type.CREATE_CLUSTER: "creating",
    Operation.Type.DELETE_CLUSTER: "deleting",
}


class Operations(LongRunning):
    """Operations of clusters and node pools. One in progress when the lab stops ends at its next step."""

    def __init__(self, endpoint_url: str) -> None:
        super().__init__()
        self._endpoint_url = endpoint_url

    def start(
        self,
        kind: int,
        where: Location,
        target: str,
        stages: tuple[str, ...],
        work: Callable[[Step], None],
    ) -> Operation:
        """Run `work(step)` on the resource `target`; it calls step(stage) at the start of each of `stages`.

        An exception becomes the operation's error, as on GKE if a cluster does not start.
        """
        name = f"operation-{time.time_ns() // 1_000_000}-{uuid.uuid4()}"
        resource = Operation(
            name=name,
            operation_type=kind,
            status=Operation.Status.PENDING,
            zone=where.name,
            location=where.name,
            self_link=f"{self._endpoint_url}/v1/{where.path}/operations/{name}",
            target_link=f"{self._endpoint_url}/v1/{target}",
            start_time=timestamp(),
            progress=_progress(stages, 0),
        )
        entry = Entry(where, target, resource)
        return self._begin(entry, lambda: self._run(entry, stages, work))

    def get(self, where: Location, name: str) -> Operation:
        with self._lock:
            entry = self._find(where, name)
            if entry is None:
                raise not_found(f"{where.path}/operations/{name}")
            return entry.copy()

    def list(self, where: Location) -> list[Operation]:
        with self._lock:
            return [entry.copy() for entry in self._entries.values() if where.covers(entry.where)]

    def cancel(self, where: Location, name: str) -> None:
        """GKE cancels only what it can roll back, such as node pool upgrades; the lab has none."""
        kind = self.get(where, name).operation_type
        raise invalid(f"Operation {name} of type {kind.name} cannot be cancelled.")

    def refuse_while_busy(self, target: str, name: str) -> None:
        """FAILED_PRECONDITION while another operation on the cluster `name` (path: `target`) runs."""
        with self._lock:
            for entry in self._entries.values():
                operation = entry.resource
                if entry.target == target and operation.status != Operation.Status.DONE:
                    raise ApiError("FAILED_PRECONDITION", _busy(operation, name))

    def _run(self, entry: Entry, stages: tuple[str, ...], work: Callable[[Step], None]) -> None:
        def step(stage: str) -> None:
            if self._closing.is_set():
                raise going_down()
            self._change(entry, progress=_progress(stages, stages.index(stage)))

        self._change(entry, status=Operation.Status.RUNNING)
        try:
            work(step)
        except Exception as error:
            log.exception("%s of %s", entry.resource.operation_type.name, entry.target)
            self._change(entry, **_failure(error))
        else:
            self._change(entry, progress=_progress(stages, len(stages)))
        self._change(entry, status=Operation.Status.DONE, end_time=timestamp())


def timestamp() -> str:
    """The current time in RFC 3339 and UTC, as in Google's answers."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def condition(error: Exception) -> StatusCondition:
    """A failure in the form of clusters and operations."""
    code = error.grpc_code if isinstance(error, ApiError) else ApiError("INTERNAL", "").grpc_code
    return StatusCondition(canonical_code=code, message=str(error))


def _failure(error: Exception) -> dict:
    seen = condition(error)
    return {
        "detail": seen.message,
        "status_message": seen.message,
        "cluster_conditions": [seen],
        "error": {"code": int(seen.canonical_code), "message": seen.message},
    }


def _progress(stages: tuple[str, ...], done: int) -> OperationProgress:
    """GKE reports each stage as a pair of metrics: CLUSTER_DEPLOYING and CLUSTER_DEPLOYING_TOTAL."""
    metrics = []
    for number, stage in enumerate(stages):
        metrics.append({"name": stage, "int_value": int(number < done)})
        metrics.append({"name": f"{stage}_TOTAL", "int_value": 1})
    return OperationProgress(metrics=metrics)


def _busy(operation: Operation, cluster: str) -> str:
    action = _DOING.get(operation.operation_type)
    if action is None:
        return f"Cluster is running incompatible operation {operation.name}."
    return (
        f"Operation {operation.name} is currently {action} cluster {cluster}. "
        "Please wait and try again once it is done."
    )
