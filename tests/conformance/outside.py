"""A host in the outside world, which no mesh has: `python -m lab exec outside -- python outside.py`.

The first line of its standard input has its certificates. A page over HTTP redirects to HTTPS; over HTTPS the
answer is what the request was; another port demands a client's certificate. TCP lines come back with a name.
"""

import contextlib
import json
import ssl
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer, ThreadingTCPServer
from threading import Thread

HTTP, HTTPS, MUTUAL, ONE, TWO = 8080, 8443, 9443, 9001, 9002  # ports
NAMES = {ONE: "one", TWO: "two"}


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # a refused handshake
            super().handle()

    def do_GET(self) -> None:
        encrypted = isinstance(self.connection, ssl.SSLSocket)
        client = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        seen = {"path": self.path, "host": self.headers["Host"], "tls": encrypted, "client": client}
        body = json.dumps(seen).encode()
        self.send_response(200 if encrypted else 301)
        if not encrypted:
            self.send_header("Location", f"https://{self.headers['Host']}{self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class Lines(ThreadingTCPServer):
    daemon_threads = True


class Line(StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            name = NAMES[self.server.server_address[1]]  # type: ignore[index]
            self.wfile.write(f"{name} {line.decode().strip()}\n".encode())


def main() -> None:
    given = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in given}
        for name, text in given.items():
            files[name].write_text(text)
        servers: list[TCPServer] = [Lines(("", port), Line) for port in NAMES]
        servers.append(ThreadingHTTPServer(("", HTTP), Page))
        for port, demand in ((HTTPS, ssl.CERT_NONE), (MUTUAL, ssl.CERT_REQUIRED)):
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files["ca"]))
            context.verify_mode = demand
            context.load_cert_chain(files["certificate"], files["key"])
            server = ThreadingHTTPServer(("", port), Page)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            servers.append(server)
    for each in servers:
        Thread(target=each.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()  # until the caller closes it


if __name__ == "__main__":
    main()
