"""The event loop on which relays and load balancers serve their sockets, in a thread of its own."""

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_starting = Lock()


def run(work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Run it on that loop and return its result; not to be called from the loop itself.

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
