"""A TCP relay: copies between a listening socket's connections and connections made elsewhere."""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from lab import event_loop

_BUFFER = 128 * 1024  # bytes, per direction
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with time 0: closing sends RST instead of FIN
_log = logging.getLogger(__name__)
Connect = Callable[[socket.socket], socket.socket]


class Relay:
    """One listening socket, relayed."""

    def __init__(self) -> None:
        self._serving: asyncio.Task[None] | None = None

    def start(self, listener: socket.socket, connect: Connect) -> "Relay":
        """Relay every connection that `listener` accepts to the connected socket that `connect` returns.

        `connect` is called with the accepted connection, in a thread, and may block; if it fails, the
        accepted connection is reset. The relay owns both sockets from now on.
        """
        listener.setblocking(False)

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(_serve(listener, connect))

        self._serving = event_loop.run(begin())
        return self

    def close(self) -> None:
        """Close the listening socket and reset all connections, and wait for it. Idempotent."""
        serving, self._serving = self._serving, None
        if serving:
            event_loop.run(_cancel(serving))


@cache
def _connecting() -> ThreadPoolExecutor:
    """Threads for `connect`: many, as an unreachable destination blocks one until it times out."""
    return ThreadPoolExecutor(max_workers=64, thread_name_prefix="relay-connect")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _serve(listener: socket.socket, connect: Connect) -> None:
    loop = asyncio.get_running_loop()
    with listener:
        async with asyncio.TaskGroup() as connections:
            while True:
                try:
                    near, _ = await loop.sock_accept(listener)
                except OSError as error:
                    _log.warning("accepting a connection: %s", error)
                    if error.errno != errno.ECONNABORTED:  # out of file descriptors: some may be released
                        await asyncio.sleep(0.1)
                    continue
                connections.create_task(_relay_connection(near, connect))


async def _relay_connection(near: socket.socket, connect: Connect) -> None:
    """One connection: ends normally, or with a reset on both sides. Raises nothing but cancellation."""
    with near:
        try:
            with await asyncio.get_running_loop().run_in_executor(_connecting(), connect, near) as far:
                await _copy_both_directions(near, far)
        except asyncio.CancelledError:
            _reset(near)
            raise
        except (OSError, ExceptionGroup) as error:
            _log.debug("relayed connection: %r", error)
            _reset(near)
        except Exception:  # `connect` is the caller's
            _log.exception("relayed connection")
            _reset(near)


async def _copy_both_directions(near: socket.socket, far: socket.socket) -> None:
    for side in (near, far):
        side.setblocking(False)
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pump(near, far))
            directions.create_task(_pump(far, near))
    except BaseException:
        _reset(far)
        raise


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end of the stream, then forward the end; the other direction may go on (half-close)."""
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(_BUFFER))
    while size := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(sink, buffer[:size])
    sink.shutdown(socket.SHUT_WR)


def _reset(side: socket.socket) -> None:
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
