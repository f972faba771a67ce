"""One event loop for everything that serves sockets."""

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


def test_concurrent_threads_get_one_loop(monkeypatch):
    # A separate loop: others in this process still use the existing one.
    monkeypatch.setattr(event_loop, "_started", cache(event_loop._started.__wrapped__))
    together = Barrier(8)

    def ask(_: int) -> asyncio.AbstractEventLoop:
        together.wait()
        return event_loop.run(running())

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_exceptions_are_raised_and_slow_work_times_out():
    with pytest.raises(ValueError, match="of the work's own"):
        event_loop.run(failing())
    with pytest.raises(TimeoutError):
        event_loop.run(asyncio.sleep(60), timeout=0.1)
