"""A load balancer: its listeners on its private addresses."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

from lab import sockets
from lab.aws.dataplane.load_balancer import access_log
from lab.aws.dataplane.load_balancer.actions import Action
from lab.aws.dataplane.load_balancer.attributes import Attributes
from lab.aws.dataplane.load_balancer.connection import Connection
from lab.aws.dataplane.load_balancer.forwarding import Exchange
from lab.aws.dataplane.load_balancer.listener import Listener
from lab.aws.dataplane.load_balancer.tls import Certificate, Policy
from lab.errors import LabError


class Balancer:
    """One Application Load Balancer.

    `name` is the resource id "app/<name>/<id>", `addresses` its private addresses (one per subnet), in the
    network namespace `namespace` (None: the machine's own, for tests). `attributes` is asked at each
    connection and at each request. Each request appends a line to `access_log`, calls
    `deliver(address, line)` with the private address that it came to, and `record(dict)`, which has the
    fields of AWS's access log and `traceparent` (None without one). All are called on the event loop that
    serves all balancers, so they must not take long.
    """

    def __init__(
        self,
        name: str,
        addresses: list[str],
        namespace: Path | None = None,
        access_log: Path | None = None,
        record: Callable[[dict], None] | None = None,
        deliver: Callable[[str, str], None] | None = None,
        attributes: Callable[[], Attributes] = Attributes,
    ) -> None:
        self.name, self._addresses, self._namespace = name, addresses, namespace
        self._attributes = attributes
        self._access_log, self._record, self._deliver = access_log, record, deliver
        self._listeners: dict[int, Listener] = {}

    def set_listener(
        self,
        port: int,
        protocol: str,
        action: Callable[[], Action],
        certificate: Callable[[], Certificate] | None = None,
        policy: Policy = Policy(),  # noqa: B008  # frozen
    ) -> None:
        """Listen on port (protocol "HTTP" or "HTTPS"), or change the listener that is there.

        `action` is asked at each request, `certificate` at each handshake. Raises LabError where the port
        cannot be listened on, ssl.SSLError where the certificate does not fit its key.
        """
        there = self._listeners.get(port)
        if there and there.protocol == protocol:
            there.update(action, certificate, policy)
            return
        listener = Listener(port, protocol, self._attributes, self._log)
        listener.update(action, certificate, policy)
        self.remove_listener(port)
        _run(listener.start(self._listen(port)))
        self._listeners[port] = listener

    def remove_listener(self, port: int) -> None:
        """Stop listening on port; connections end. Without such a listener: nothing."""
        if listener := self._listeners.pop(port, None):
            _run(listener.stop())

    def close(self) -> None:
        """End every listener and connection."""
        for port in list(self._listeners):
            self.remove_listener(port)

    def _listen(self, port: int) -> list:
        listening = []
        try:
            for address in self._addresses:
                listening.append(sockets.listen((address, port), self._namespace))
        except OSError as error:
            for one in listening:
                one.close()
            raise LabError(
                f"listening on {address}:{port} for the load balancer {self.name}", str(error)
            ) from error
        return listening

    def _log(self, connection: Connection, exchange: Exchange, status: int) -> None:
        fields = access_log.entry(self.name, connection, exchange, status)
        if self._access_log:
            access_log.append(self._access_log, fields)
        if self._deliver:
            self._deliver(connection.server, access_log.line(fields))
        if self._record:
            self._record(fields | {"traceparent": exchange.request.header("traceparent")})


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all balancers, in a thread of its own as long as the process lives."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="load-balancers", daemon=True).start()
    return loop


def _run(work: Coroutine) -> None:
    asyncio.run_coroutine_threadsafe(work, _loop()).result(30)
