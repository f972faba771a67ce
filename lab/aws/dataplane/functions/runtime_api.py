"""The runtime API: the four endpoints that a runtime client polls.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import queue
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

MAX_RESPONSE = 6_291_556  # bytes: 6 MB, as Lambda's own error message has it
INVOCATION = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")


@dataclass(frozen=True)
class Ready:
    """The runtime requested its first invocation: init is over."""


@dataclass(frozen=True)
class InitError:
    """The runtime could not load the handler."""

    payload: bytes


@dataclass(frozen=True)
class Answer:
    """What the handler returned, or the error that it raised."""

    request_id: str
    payload: bytes
    failed: bool


@dataclass(frozen=True)
class Invocation:
    """One event for the runtime; `deadline` in milliseconds since the epoch."""

    request_id: str
    payload: bytes
    deadline: int
    arn: str
    trace_id: str


class RuntimeApi:
    """Serves one environment on a listening socket. `invocations` go in, `events` come out.

    `admits` decides about each connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        invocations: "queue.SimpleQueue[Invocation | None]",
        events: queue.SimpleQueue,
        admits: Callable[[socket.socket], bool],
    ) -> None:
        self.invocations, self.events = invocations, events
        self.initialised = False
        self.address = "{}:{}".format(*listening.getsockname())
        self._listening, self._admits = listening, admits
        threading.Thread(target=self._accept, name="runtime-api", daemon=True).start()

    def close(self) -> None:
        """Accept no more connections; a runtime that waits for an invocation is released."""
        self.invocations.put(None)
        self._listening.shutdown(socket.SHUT_RDWR)  # wakes accept()

    def _accept(self) -> None:
        with self._listening:
            while True:
                try:
                    connection, address = self._listening.accept()
                except OSError:
                    return
                threading.Thread(
                    target=self._serve, args=(connection, address), name="runtime-api", daemon=True
                ).start()

    def _serve(self, connection: socket.socket, address) -> None:
        with connection, contextlib.suppress(OSError):  # the client is gone
            if self._admits(connection):
                _Handler(connection, address, self)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a warm invocation: 88 ms with Nagle's algorithm, under 1 ms without
    wbufsize = -1  # one segment per answer
    server: RuntimeApi  # type: ignore[assignment]

    def do_GET(self) -> None:
        api = self.server
        if self.path != "/2018-06-01/runtime/invocation/next":
            return self._reply(404)
        if not api.initialised:
            api.initialised = True
            api.events.put(Ready())
        invocation = api.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        self._reply(
            200,
            invocation.payload,
            {
                "Content-Type": "application/json",  # awslambdaric crashes without it
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_id,
            },
        )

    def do_POST(self) -> None:
        payload, events = self._body(), self.server.events
        if self.path == "/2018-06-01/runtime/init/error":
            events.put(InitError(payload))
        elif match := INVOCATION.fullmatch(self.path):
            request_id, kind = match.groups()
            if len(payload) > MAX_RESPONSE:
                payload, kind = _too_large(len(payload)), "error"
            events.put(Answer(request_id, payload, failed=kind == "error"))
        else:
            return self._reply(404)
        self._reply(202, b'{"status":"OK"}\n')

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:
        pass


def _too_large(size: int) -> bytes:
    return (
        f'{{"errorMessage": "Response payload size ({size} bytes) exceeded maximum allowed payload size '
        f'({MAX_RESPONSE} bytes).", "errorType": "Function.ResponseSizeTooLarge"}}'
    ).encode()
