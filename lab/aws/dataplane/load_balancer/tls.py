"""TLS of an HTTPS listener: its certificate and its security policy.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

import ssl
import tempfile
import warnings
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


@dataclass(frozen=True)
class Policy:
    """Protocols ("TLSv1.2") and ciphers, as DescribeSSLPolicies names them."""

    protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ciphers: tuple[str, ...] = ("ECDHE+AESGCM", "ECDHE+AES")

    def apply(self, context: ssl.SSLContext) -> None:
        """For handshakes from now on."""
        versions = [ssl.TLSVersion[name.replace(".", "_")] for name in self.protocols]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # some policies have TLS 1.0
            context.minimum_version, context.maximum_version = min(versions), max(versions)
        level = "@SECLEVEL=0" if min(versions) < ssl.TLSVersion.TLSv1_2 else "@SECLEVEL=2"
        if older := [name for name in self.ciphers if not name.startswith("TLS_")]:  # than TLS 1.3
            context.set_ciphers(":".join([*older, level]))


def server_context(certificate: Certificate, policy: Policy, http2: bool = True) -> ssl.SSLContext:
    """HTTP/1.1 over TLS, HTTP/2 too if that is enabled.

    Raises ssl.SSLError where key and certificate do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Handshake
    policy.apply(context)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    # The ssl module reads keys from files only: one that nobody else can open, gone at once.
    with tempfile.TemporaryDirectory(prefix="lab-alb-") as directory:
        pem = Path(directory, "certificate.pem")
        pem.touch(0o600)
        pem.write_text("\n".join([certificate.private_key, certificate.certificate, certificate.chain]))
        context.load_cert_chain(pem)
    return context
