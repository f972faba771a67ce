"""Long-running operations: each runs in a thread, is polled by name, and ends with the lab."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Any

from lab.gcp.api.errors import ApiError


@dataclass
class Entry:
    """One operation: the API's message, its location, the path of its resource."""

    where: Any  # a Location or a Region
    target: str
    resource: Any  # an Operation; for mypy, proto-plus's enums are int
    done: Event = field(default_factory=Event)

    def copy(self) -> Any:
        return type(self.resource)(self.resource)


class LongRunning:
    """All operations of one API since the lab started, newest last."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._closing = Event()  # set once the lab stops
        self._threads: list[Thread] = []
        self._lock = RLock()  # held while an operation's message changes

    def close(self) -> None:
        """Start no more; running ones end as soon as they can. Returns when all have ended."""
        with self._lock:
            self._closing.set()
        for thread in self._threads:
            thread.join()

    def _begin(self, entry: Entry, work: Callable[[], None]) -> Any:
        """Do `work` in a thread; returns the operation's state before that. Raises `going_down`."""
        name = entry.resource.name
        with self._lock:
            if self._closing.is_set():
                raise going_down()
            thread = Thread(target=work, name=name, daemon=True)
            self._threads = [thread, *(other for other in self._threads if other.is_alive())]
            self._entries[name] = entry
            operation = entry.copy()
            thread.start()
        return operation

    def _find(self, where: Any, name: str) -> Entry | None:
        entry = self._entries.get(name)
        return entry if entry and entry.where == where else None

    def _change(self, entry: Entry, **fields: Any) -> None:
        with self._lock:
            for name, value in fields.items():
                setattr(entry.resource, name, value)


def going_down() -> ApiError:
    return ApiError("INTERNAL", "The lab is stopping.")
