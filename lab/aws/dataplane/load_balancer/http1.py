"""HTTP/1.1 on one connection, with h11."""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import h11

from lab.aws.dataplane.load_balancer import generated_responses
from lab.aws.dataplane.load_balancer.events import MAX_BODY, MAX_HEADERS, Headers, Request, Response, text


class Http1:
    """Reads bytes, calls `answer` for each request, writes the responses; one request at a time."""

    def __init__(
        self, transport: asyncio.Transport, answer: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._transport, self._answer = transport, answer
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS)
        self._request: Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task | None = None

    def expire(self) -> None:
        """End an idle client's connection: with 408 in the middle of a request."""
        if self._h11.their_state is h11.SEND_BODY or self._h11.trailing_data[0]:
            self._write("GET", generated_responses.page(408), "close")
        self._transport.close()

    @property
    def busy(self) -> bool:
        return self._task is not None

    def receive(self, data: bytes) -> None:
        try:
            self._h11.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError:
            self._refuse()

    def _advance(self) -> None:
        while self._task is None:
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                if event.http_version >= b"2":  # HTTP/2 without TLS, which the load balancer does not support
                    self._refuse()
                    return
                self._request, self._body = _request(event), bytearray()
            elif isinstance(event, h11.Data):
                if len(self._body) <= MAX_BODY:
                    self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._start()
            else:
                if self._h11.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))
                return

    def _start(self) -> None:
        assert self._request
        request = self._request
        request.too_large = len(self._body) > MAX_BODY
        request.body = bytes(self._body) if not request.too_large else b""
        self._task = asyncio.get_running_loop().create_task(self._respond(request))

    async def _respond(self, request: Request) -> None:
        response = await self._answer(request)
        if self._transport.is_closing():
            return
        again = self._h11.their_state is h11.DONE
        self._write(request.method, response, "keep-alive" if again else "close")
        self._task = None
        if not again:
            self._transport.close()
            return
        self._h11.start_next_cycle()
        try:
            self._advance()
        except h11.RemoteProtocolError:
            self._refuse()

    def _write(self, method: str, response: Response, connection: str) -> None:
        headers = complete(response, method)
        head = h11.Response(
            status_code=response.status,
            reason=response.reason.encode(),
            headers=[(n.encode(), v.encode()) for n, v in [*headers, ("Connection", connection)]],
        )
        body = [] if method == "HEAD" or not response.body else [h11.Data(data=response.body)]
        self._send(head, *body, h11.EndOfMessage())

    def _refuse(self) -> None:
        """The request is not valid HTTP."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write("GET", generated_responses.page(400), "close")
        self._transport.close()

    def _send(self, *events) -> None:
        self._transport.write(b"".join(self._h11.send(event) or b"" for event in events))


def complete(response: Response, method: str) -> Headers:
    """The response's headers with Date and, if allowed, Content-Length."""
    headers = list(response.headers)
    if not any(name.lower() == "date" for name, _ in headers):
        headers.append(("Date", formatdate(usegmt=True)))
    if response.status != 204 and not (response.status == 304 or 100 <= response.status < 200):
        headers.append(("Content-Length", str(len(response.body))))
    return headers


def _request(event: h11.Request) -> Request:
    target = text(event.target)
    if "://" in target.partition("?")[0]:  # absolute form, as sent to proxies
        target = "/" + target.partition("://")[2].partition("/")[2]
    return Request(
        method=event.method.decode(),
        target=target,
        headers=[(text(name), text(value)) for name, value in event.headers],
        version=f"HTTP/{event.http_version.decode()}",
    )
