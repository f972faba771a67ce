"""One event loop for all that serves sockets."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import pytest

from lab import event_loop


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def failing() -> None:
    raise ValueError("of the work's own")


def test_threads_that_ask_at_once_get_one_loop(monkeypatch):
    # A loop of its own: those of other tests in this process still serve on the one that there is.
    monkeypatch.setattr(event_loop, "_started", cache(event_loop._started.__wrapped__))
    together = Barrier(8)

    def ask(_: int) -> asyncio.AbstractEventLoop:
        together.wait()
        return event_loop.run(running())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_what_the_work_raises_arrives_and_what_takes_too_long_is_given_up():
    with pytest.raises(ValueError, match="of the work's own"):
        event_loop.run(failing())
    with pytest.raises(TimeoutError):
        event_loop.run(asyncio.sleep(60), timeout=0.1)
