"""TLS of an HTTPS listener, as the policy ELBSecurityPolicy-TLS13-1-2-2021-06 (the console's default) has it.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


class _Handshake(ssl.SSLObject):
    """Lets a failed handshake's alert out: asyncio, told of the failure, drops what is still to be sent."""

    _failed = False

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if self._failed:
                raise
            self._failed = True
            raise ssl.SSLWantReadError(*error.args) from error


@dataclass(frozen=True)
class Certificate:
    """An ACM certificate: its ARN and PEM texts."""

    arn: str
    certificate: str
    private_key: str = field(repr=False)
    chain: str = ""


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1. Raises ssl.SSLError where key and certificate do not match."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+AES")
    context.set_alpn_protocols(["h2", "http/1.1"])
    # The ssl module reads keys from files only: one that nobody else can open, gone at once.
    with tempfile.TemporaryDirectory(prefix="lab-alb-") as directory:
        pem = Path(directory, "certificate.pem")
        pem.touch(0o600)
        pem.write_text("\n".join([certificate.private_key, certificate.certificate, certificate.chain]))
        context.load_cert_chain(pem)
    return context
