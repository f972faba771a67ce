"""TCP sockets in a network namespace: a socket stays in the namespace in which it was created."""

import ctypes
import os
import socket
import sys
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from threading import Thread
from typing import TypeVar

from lab.errors import LabError

T = TypeVar("T")
Address = tuple[str, int]
NamespacePath = str | PathLike[str]

_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_libc = ctypes.CDLL(None, use_errno=True)


def in_namespace(path: NamespacePath, make: Callable[[], T]) -> T:
    """Call `make` inside the network namespace bound at `path` and return its result.

    It runs in its own thread (setns(2) moves a thread, not a process); its exceptions are raised here.
    OSError if the namespace does not exist or may not be entered.
    """
    result: list[T] = []
    error: list[BaseException] = []

    def run() -> None:
        try:
            _enter(path)
            result.append(make())
        except BaseException as failure:
            error.append(failure)

    thread = Thread(target=run, name="in-namespace")
    thread.start()
    thread.join()
    if error:
        raise error[0]
    return result[0]


def _enter(path: NamespacePath) -> None:
    """Move the calling thread; os.setns needs Python 3.12."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fspath(path))
    finally:
        os.close(descriptor)


def listen(
    address: Address, namespace: NamespacePath | None = None, family: int = socket.AF_INET
) -> socket.socket:
    """Create a listening, non-blocking TCP socket; port 0: any free one. OSError if the address is taken."""

    def make() -> socket.socket:
        # asyncio turns Nagle's algorithm off only if the protocol is given; with it, each new TLS connection
        # waits 40 ms for a delayed acknowledgment.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    return make() if namespace is None else in_namespace(namespace, make)


def listen_locally(port: int, what: str, setting: str) -> socket.socket:
    """Listen on 127.0.0.1; LabError, which names the setting that chose the port, if it is taken."""
    try:
        return listen(("127.0.0.1", port))
    except OSError as error:
        action = f"listening on 127.0.0.1:{port} for {what}"
        raise LabError(action, error.strerror or str(error), f"{setting}=0 uses a free port") from None


def connect(address: Address, namespace: NamespacePath | None = None, timeout: float = 10) -> socket.socket:
    """Return a connected, blocking TCP socket; OSError (TimeoutError after `timeout` seconds) otherwise."""

    def make() -> socket.socket:
        connection = socket.create_connection(address, timeout)
        connection.settimeout(None)
        return connection

    return make() if namespace is None else in_namespace(namespace, make)


def owner(local: Address, remote: Address, namespace: NamespacePath | None = None) -> int | None:
    """The uid of the owner of the connection (IPv4, TCP) from `local` to `remote`; None: there is none."""

    def read() -> int | None:
        rows = (line.split() for line in Path("/proc/thread-self/net/tcp").read_text().splitlines())
        wanted = [_in_proc(local), _in_proc(remote)]
        return next((int(row[7]) for row in rows if row[1:3] == wanted), None)

    return read() if namespace is None else in_namespace(namespace, read)


def _in_proc(address: Address) -> str:
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
