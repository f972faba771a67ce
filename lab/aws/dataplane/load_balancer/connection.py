"""A client connection's addresses and TLS parameters."""

import asyncio
import secrets
from dataclasses import dataclass, field

from lab.aws.dataplane.load_balancer.tls import Handshake


@dataclass(frozen=True)
class Connection:
    """Addresses and TLS of one connection; "-" for missing values, as in the access log."""

    client: str
    client_port: str
    server: str
    cipher: str = "-"
    tls_version: str = "-"
    server_name: str = "-"
    certificate_arn: str = "-"
    http2: bool = False
    trace_id: str = field(default_factory=lambda: f"TID_{secrets.token_hex(16)}")


def describe(transport: asyncio.BaseTransport) -> Connection:
    client, port = transport.get_extra_info("peername")[:2]
    addresses = (client, f"{client}:{port}", transport.get_extra_info("sockname")[0])
    tls: Handshake | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return Connection(*addresses)
    cipher = tls.cipher()
    return Connection(
        *addresses,
        cipher=cipher[0] if cipher else "-",
        tls_version=tls.version() or "-",
        server_name=tls.server_name or "-",
        certificate_arn=tls.arn,
        http2=tls.selected_alpn_protocol() == "h2",
    )
