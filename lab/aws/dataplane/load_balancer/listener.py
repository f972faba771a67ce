"""One port of a load balancer, on all of its addresses."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import cast

from lab.aws.dataplane.load_balancer import forwarding
from lab.aws.dataplane.load_balancer.connection import Connection, describe
from lab.aws.dataplane.load_balancer.events import Request, Response
from lab.aws.dataplane.load_balancer.forwarding import Exchange
from lab.aws.dataplane.load_balancer.http1 import Http1
from lab.aws.dataplane.load_balancer.http2 import Http2
from lab.aws.dataplane.load_balancer.target_group import TargetGroup
from lab.aws.dataplane.load_balancer.tls import Certificate, Handshakes, Policy

CLIENT_GONE = 460
_JUST_ACCEPTED = 0.3  # seconds in which a connection that was just accepted sends its request
IDLE_TIMEOUT = 60.0  # seconds; the attribute idle_timeout.timeout_seconds has this default


class Listener:
    """Used on the event loop, except `update`; calls `log(connection, exchange, status)` per request."""

    def __init__(
        self,
        port: int,
        protocol: str,
        drop_invalid_headers: Callable[[], bool],
        log: Callable[[Connection, Exchange, int], None],
    ) -> None:
        self.port, self.protocol, self.log = port, protocol, log
        self.drop_invalid_headers = drop_invalid_headers
        self.clients: set[_Client] = set()
        self.handshakes = Handshakes() if protocol == "HTTPS" else None
        self._servers: dict[str, asyncio.Server] = {}

    def update(
        self, target_group: TargetGroup, certificate: Callable[[], Certificate] | None, policy: Policy
    ) -> None:
        """From now on, handshakes use this certificate and policy, and requests this target group."""
        if (certificate is None) != (self.handshakes is None):
            raise ValueError("an HTTPS listener needs a certificate, an HTTP listener none")
        if self.handshakes and certificate:
            self.handshakes.update(certificate, policy)
        self.target_group = target_group

    async def start(self, sockets: dict[str, socket.socket]) -> None:
        """Accept connections on these sockets, by address."""
        loop, tls = asyncio.get_running_loop(), self.handshakes.front if self.handshakes else None
        for address, one in sockets.items():
            self._servers[address] = await loop.create_server(lambda: _Client(self), sock=one, ssl=tls)

    async def stop(self, addresses: Iterable[str], drain: float = 0.0) -> None:
        """Stop accepting connections on these addresses, and end the open ones.

        Requests in flight are answered first, for up to `drain` seconds.
        """
        gone, loop = {*addresses}, asyncio.get_running_loop()
        for address in gone:
            self._servers.pop(address).close()
        end = loop.time() + drain
        if gone and drain:
            await asyncio.sleep(_JUST_ACCEPTED)
        while loop.time() < end and any(client.busy for client in self._clients_of(gone)):
            await asyncio.sleep(0.02)
        for client in self._clients_of(gone):
            client.transport.abort()

    def _clients_of(self, addresses: set[str]) -> "list[_Client]":
        return [client for client in self.clients if client.connection.server in addresses]


class _Client(asyncio.Protocol):
    """A connection, with the HTTP version negotiated by TLS."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.connection = describe(transport)
        speak = Http2 if self.connection.http2 else Http1
        self._http = speak(self.transport, self._answer)
        self._listener.clients.add(self)
        self._loop = asyncio.get_running_loop()
        self._active = self._loop.time()
        self._timer = self._loop.call_later(IDLE_TIMEOUT, self._check_idle)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._http.busy

    def data_received(self, data: bytes) -> None:
        self._active = self._loop.time()
        self._http.receive(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._timer.cancel()
        self._listener.clients.discard(self)

    def _check_idle(self) -> None:
        left = self._active + IDLE_TIMEOUT - self._loop.time()
        if left <= 0 and not self._http.busy:
            self._http.expire()
            return
        self._timer = self._loop.call_later(max(left, 1), self._check_idle)

    async def _answer(self, request: Request) -> Response:
        listener, connection = self._listener, self.connection
        request.scheme, request.port = listener.protocol.lower(), listener.port
        request.client = connection.client
        exchange = await forwarding.answer(request, listener.target_group, listener.drop_invalid_headers())
        status = CLIENT_GONE if self.transport.is_closing() else exchange.response.status
        self._active = self._loop.time()
        listener.log(connection, exchange, status)
        return exchange.response
