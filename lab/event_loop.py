"""The event loop of relays and load balancers, in its own thread."""

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_starting = Lock()


def run(work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run it on that loop and return its result. Do not call it from the loop itself.

    Raises what `work` raises, TimeoutError after `timeout` seconds.
    """
    with _starting:  # @cache alone would let two threads at once start a loop each
        loop = _started()
    return asyncio.run_coroutine_threadsafe(work, loop).result(timeout)


@cache
def _started() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="event-loop", daemon=True).start()
    return loop
