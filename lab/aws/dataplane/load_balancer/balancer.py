"""A load balancer: its listeners on its addresses."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from lab import event_loop, sockets
from lab.aws.dataplane.load_balancer import access_log
from lab.aws.dataplane.load_balancer.connection import Connection
from lab.aws.dataplane.load_balancer.forwarding import Exchange
from lab.aws.dataplane.load_balancer.listener import Listener
from lab.aws.dataplane.load_balancer.target_group import TargetGroup
from lab.aws.dataplane.load_balancer.tls import Certificate, Policy
from lab.errors import LabError

_TIMEOUT, _DRAIN = 30, 10.0  # seconds


class Balancer:
    """One Application Load Balancer.

    `name` is the resource id "app/<name>/<id>", `addresses` are one per subnet, in the network namespace
    `namespace` (None: the machine's own, for tests). Each request calls `log(address, line)` with the load
    balancer's address and the access log line, and `drop_invalid_headers()`: whether to drop headers whose
    names are not letters, digits and hyphens. Both run on the event loop of all load balancers: they must be
    fast.
    """

    def __init__(
        self,
        name: str,
        addresses: list[str],
        namespace: Path | None = None,
        log: Callable[[str, str], None] = lambda _address, _line: None,
        drop_invalid_headers: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name, self._addresses, self._namespace = name, addresses, namespace
        self._log_line, self._drop_invalid_headers = log, drop_invalid_headers
        self._listeners: dict[int, Listener] = {}
        self._lock = threading.RLock()

    def set_listener(
        self,
        port: int,
        protocol: str,
        target_group: TargetGroup,
        certificate: Callable[[], Certificate] | None = None,
        policy: Policy = Policy(),  # noqa: B008  # frozen
    ) -> None:
        """Listen on port (protocol "HTTP" or "HTTPS"), or change the existing listener.

        `certificate` is called at each handshake. Raises LabError if the port is not available,
        ssl.SSLError if the certificate does not match its key.
        """
        with self._lock:
            there = self._listeners.get(port)
            if there and there.protocol == protocol:
                there.update(target_group, certificate, policy)
                return
            listener = Listener(port, protocol, self._drop_invalid_headers, self._log)
            listener.update(target_group, certificate, policy)
            self.remove_listener(port)
            event_loop.run(listener.start(self._listen(port, self._addresses)), _TIMEOUT)
            self._listeners[port] = listener

    def remove_listener(self, port: int) -> None:
        """Delete the listener on port and its connections, if it exists."""
        with self._lock:
            if listener := self._listeners.pop(port, None):
                event_loop.run(listener.stop(self._addresses), _TIMEOUT)

    def set_addresses(self, addresses: list[str]) -> None:
        """Listen on exactly these addresses; connections to others end, once requests in flight are answered.

        Raises LabError if one is not available.
        """
        with self._lock:
            gone = [address for address in self._addresses if address not in addresses]
            new = [address for address in addresses if address not in self._addresses]
            for listener in self._listeners.values():
                event_loop.run(listener.start(self._listen(listener.port, new)), _TIMEOUT)
                event_loop.run(listener.stop(gone, _DRAIN), _TIMEOUT)
            self._addresses = addresses

    def close(self) -> None:
        """End every listener and connection."""
        for port in list(self._listeners):
            self.remove_listener(port)

    def _listen(self, port: int, addresses: list[str]) -> dict[str, socket.socket]:
        listening: dict[str, socket.socket] = {}
        try:
            for address in addresses:
                listening[address] = sockets.listen((address, port), self._namespace)
        except OSError as error:
            for one in listening.values():
                one.close()
            raise LabError(
                f"listening on {address}:{port} for the load balancer {self.name}", str(error)
            ) from error
        return listening

    def _log(self, connection: Connection, exchange: Exchange, status: int) -> None:
        self._log_line(connection.server, access_log.line(self.name, connection, exchange, status))
