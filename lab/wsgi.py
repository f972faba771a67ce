"""A WSGI application on a listening socket, in its own threads."""

import logging
import socket
from threading import Thread
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

log = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # responses are written in parts

    def log(self, type: str, message: str, *args: object) -> None:
        # Not Werkzeug's own log, which goes to stderr; headers are never logged: they contain tokens.
        log.debug("%s " + message, self.address_string(), *args)


class Server:
    """Serves `application` from now on, in the network namespace in which `listener` was created."""

    def __init__(self, listener: socket.socket, application: WSGIApplication) -> None:
        host, port = listener.getsockname()[:2]
        self._listener = listener
        self._server = make_server(
            host, port, application, threaded=True, request_handler=_Handler, fd=listener.fileno()
        )
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.1,), name=f"http-{port}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop accepting connections; running requests are still answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._listener.close()
