"""TLS of an HTTPS listener: its certificate and its security policy.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

import ssl
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class Handshake(ssl.SSLObject):
    """Sends a failed handshake's alert: asyncio would drop it when it learns of the failure."""

    server_name: str | None = None  # SNI
    arn = "-"  # of the presented certificate
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


@dataclass(frozen=True)
class Policy:
    """Protocols ("TLSv1.2") and ciphers, as DescribeSSLPolicies names them."""

    protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ciphers: tuple[str, ...] = ("ECDHE+AESGCM", "ECDHE+AES")

    def apply(self, context: ssl.SSLContext) -> None:
        """For new handshakes."""
        versions = [ssl.TLSVersion[name.replace(".", "_")] for name in self.protocols]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # some policies have TLS 1.0
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        level = "@SECLEVEL=0" if min(versions) < ssl.TLSVersion.TLSv1_2 else "@SECLEVEL=2"
        if older := [name for name in self.ciphers if not name.startswith("TLS_")]:  # than TLS 1.3
            context.set_ciphers(":".join([*older, level]))


class Handshakes:
    """An HTTPS listener's TLS: the current certificate, and the security policy."""

    def __init__(self) -> None:
        self.front = _context()  # used at the start of each handshake
        self.front.sni_callback = self._select_certificate  # type: ignore[assignment]

    def update(self, certificate: Callable[[], Certificate], policy: Policy) -> None:
        """For new handshakes. Raises ssl.SSLError if key and certificate do not match."""
        held = certificate()
        context = _presenting(held, policy)
        policy.apply(self.front)
        self._certificate, self._policy = certificate, policy
        self._ready = held, context

    def _select_certificate(self, connection: Handshake, name: str | None, _front: ssl.SSLContext) -> None:
        certificate = self._certificate()
        if certificate != self._ready[0]:
            self._ready = certificate, _presenting(certificate, self._policy)
        connection.context = self._ready[1]
        connection.server_name, connection.arn = name, certificate.arn


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Handshake
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _presenting(certificate: Certificate, policy: Policy) -> ssl.SSLContext:
    context = _context()
    policy.apply(context)
    # The ssl module reads keys from files only: a private one, deleted at once.
    with tempfile.TemporaryDirectory(prefix="lab-alb-") as directory:
        pem = Path(directory, "certificate.pem")
        pem.touch(0o600)
        pem.write_text("\n".join([certificate.private_key, certificate.certificate, certificate.chain]))
        context.load_cert_chain(pem)
    return context
