"""The threads of long-running operations, which end with the lab."""

from collections.abc import Callable
from threading import Event, RLock, Thread

from lab.gcp.api.errors import ApiError


class Workers:
    """Each operation runs in a thread of its own; `closing` is set once the lab goes down."""

    def __init__(self) -> None:
        self.closing = Event()
        self._threads: list[Thread] = []
        self._lock = RLock()

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Do `work` in a thread of that name. Raises `going_down` once the lab does."""
        with self._lock:
            if self.closing.is_set():
                raise going_down()
            thread = Thread(target=work, name=name, daemon=True)
            self._threads = [thread, *(other for other in self._threads if other.is_alive())]
            thread.start()

    def close(self) -> None:
        """Start none any more. Returns when all have ended."""
        with self._lock:
            self.closing.set()
        for thread in self._threads:
            thread.join()


def going_down() -> ApiError:
    return ApiError("INTERNAL", "The lab is going down.")
