"""HTTP/2 on one connection, with h2."""

import asyncio
from collections.abc import Awaitable, Callable

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from lab.aws.dataplane.load_balancer.events import MAX_BODY, MAX_HEADERS, Request, Response, text
from lab.aws.dataplane.load_balancer.http1 import complete

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html
MAX_STREAMS = 128


class Http2:
    """Reads bytes, calls `answer` for each request, writes the responses; requests run concurrently."""

    def __init__(
        self, transport: asyncio.Transport, answer: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._transport, self._answer = transport, answer
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._requests: dict[int, Request] = {}
        self._bodies: dict[int, bytearray] = {}
        self._tasks: dict[int, asyncio.Task] = {}
        self._unsent: dict[int, memoryview] = {}
        self._h2.local_settings.update(
            {
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
            }
        )
        self._h2.initiate_connection()
        self._flush()

    def expire(self) -> None:
        """End an idle client's connection."""
        self._transport.close()

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def receive(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError:
            self._flush()  # h2 has queued a GOAWAY
            self._transport.close()
            return
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._requests[event.stream_id] = _request(event.headers)
            self._bodies[event.stream_id] = bytearray()
        elif isinstance(event, h2.events.DataReceived):
            body = self._bodies.get(event.stream_id)
            if body is not None and len(body) <= MAX_BODY:
                body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._start(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            for of_streams in (self._requests, self._bodies, self._unsent):
                of_streams.pop(event.stream_id, None)  # type: ignore[attr-defined]
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream_id in list(self._unsent):
                self._send_body(stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._transport.close()

    def _start(self, stream_id: int) -> None:
        request, body = self._requests[stream_id], self._bodies.pop(stream_id)
        request.too_large = len(body) > MAX_BODY
        request.body = b"" if request.too_large else bytes(body)
        self._tasks[stream_id] = asyncio.get_running_loop().create_task(self._respond(stream_id, request))

    async def _respond(self, stream_id: int, request: Request) -> None:
        response = await self._answer(request)
        del self._tasks[stream_id]
        if self._requests.pop(stream_id, None) is None or self._transport.is_closing():
            return  # the client has reset the stream
        body = b"" if request.method == "HEAD" else response.body
        headers = [(name.lower(), value) for name, value in complete(response, request.method)]
        self._h2.send_headers(stream_id, [(":status", str(response.status)), *headers], end_stream=not body)
        if body:
            self._unsent[stream_id] = memoryview(body)
            self._send_body(stream_id)
        self._flush()

    def _send_body(self, stream_id: int) -> None:
        """As much as the client's flow control allows."""
        data = self._unsent[stream_id]
        while data and (window := self._h2.local_flow_control_window(stream_id)) > 0:
            size = min(window, self._h2.max_outbound_frame_size, len(data))
            self._h2.send_data(stream_id, bytes(data[:size]), end_stream=size == len(data))
            data = data[size:]
        if data:
            self._unsent[stream_id] = data
        else:
            del self._unsent[stream_id]

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._transport.write(data)


def _request(headers) -> Request:
    pairs = [(text(name), text(value)) for name, value in headers]
    pseudo = {name: value for name, value in pairs if name.startswith(":")}
    fields = [(name, value) for name, value in pairs if not name.startswith(":")]
    # Clients may split their cookies; but functions get one: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3
    if cookies := [value for name, value in fields if name == "cookie"]:
        fields = [field for field in fields if field[0] != "cookie"] + [("cookie", "; ".join(cookies))]
    if ":authority" in pseudo and not any(name == "host" for name, _ in fields):
        fields.insert(0, ("host", pseudo[":authority"]))
    return Request(pseudo[":method"], pseudo.get(":path", ""), fields, version="HTTP/2.0")
