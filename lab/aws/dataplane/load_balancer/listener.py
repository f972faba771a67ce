"""One port of a balancer, on all of its addresses."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import cast

from lab.aws.dataplane.load_balancer import forwarding
from lab.aws.dataplane.load_balancer.actions import Action
from lab.aws.dataplane.load_balancer.attributes import Attributes
from lab.aws.dataplane.load_balancer.connection import Connection, describe
from lab.aws.dataplane.load_balancer.events import Request, Response
from lab.aws.dataplane.load_balancer.forwarding import Exchange
from lab.aws.dataplane.load_balancer.http1 import Http1
from lab.aws.dataplane.load_balancer.http2 import Http2
from lab.aws.dataplane.load_balancer.tls import Certificate, Policy, server_context

CLIENT_GONE = 460


class Listener:
    """Lives on the event loop, but for `update`; calls `log(connection, exchange, status)` per request."""

    def __init__(
        self,
        port: int,
        protocol: str,
        attributes: Callable[[], Attributes],
        log: Callable[[Connection, Exchange, int], None],
    ) -> None:
        self.port, self.protocol, self.attributes, self.log = port, protocol, attributes, log
        self.clients: set[_Client] = set()
        self._servers: list[asyncio.Server] = []
        self._front: ssl.SSLContext | None = None
        self._contexts: dict[tuple[Certificate, bool], ssl.SSLContext] = {}  # with HTTP/2 and without

    def update(
        self, action: Callable[[], Action], certificate: Callable[[], Certificate] | None, policy: Policy
    ) -> None:
        """From now on: connections get this certificate and policy, requests this action."""
        if (certificate is None) == (self.protocol == "HTTPS"):
            raise ValueError("an HTTPS listener needs a certificate, an HTTP listener none")
        if certificate:
            front = server_context(certificate(), policy)
            if self._front is None:
                self._front = front
                self._front.sni_callback = self._hand_over
            policy.apply(self._front)
        self.action, self.certificate, self._policy, self._contexts = action, certificate, policy, {}

    async def start(self, sockets: list[socket.socket]) -> None:
        for one in sockets:
            server = await asyncio.get_running_loop().create_server(
                lambda: _Client(self), sock=one, ssl=self._front
            )
            self._servers.append(server)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for client in list(self.clients):
            client.transport.abort()

    def _hand_over(self, connection: ssl.SSLObject, name: str | None, _front: ssl.SSLContext) -> None:
        """A handshake gets the certificate of the moment, and HTTP/2 if that is enabled."""
        connection.context = self._context()
        connection.server_name = name  # type: ignore[attr-defined]

    def _context(self) -> ssl.SSLContext:
        """Loaded anew when the certificate was imported again."""
        assert self.certificate
        wanted = self.certificate(), self.attributes().http2
        if wanted not in self._contexts:
            former = {key: context for key, context in self._contexts.items() if key[0] == wanted[0]}
            self._contexts = {**former, wanted: server_context(wanted[0], self._policy, wanted[1])}
        return self._contexts[wanted]


class _Client(asyncio.Protocol):
    """A connection: speaks the version of HTTP that TLS agreed on."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        certificate = self._listener.certificate
        self._connection = describe(transport, certificate() if certificate else None)
        speak = Http2 if self._connection.http2 else Http1
        self._http = speak(self.transport, self._answer)
        self._listener.clients.add(self)
        self._loop = asyncio.get_running_loop()
        self._active = self._loop.time()
        self._idle_timeout = self._listener.attributes().idle_timeout
        self._timer = self._loop.call_later(self._idle_timeout, self._check_idle)

    def data_received(self, data: bytes) -> None:
        self._active = self._loop.time()
        self._http.receive(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._timer.cancel()
        self._listener.clients.discard(self)

    def _check_idle(self) -> None:
        left = self._active + self._idle_timeout - self._loop.time()
        if left <= 0 and not self._http.busy:
            self._http.expire()
            return
        self._timer = self._loop.call_later(max(left, 1), self._check_idle)

    async def _answer(self, request: Request) -> Response:
        listener, connection = self._listener, self._connection
        request.scheme, request.port = listener.protocol.lower(), listener.port
        request.client, request.client_port = connection.client, connection.client_port
        request.tls = (connection.tls_version, connection.cipher)
        exchange = await forwarding.answer(request, listener.action, listener.attributes())
        status = CLIENT_GONE if self.transport.is_closing() else exchange.response.status
        self._active = self._loop.time()
        with contextlib.suppress(OSError):  # a full disk must not cost the client its answer
            listener.log(connection, exchange, status)
        return exchange.response
