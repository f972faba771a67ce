"""Who signs what ACM issues: a root of the lab's own, in the place of Amazon's."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from moto.acm.models import CertBundle

_ROOT_DAYS = 3650
_DAYS = 198  # https://docs.aws.amazon.com/acm/latest/userguide/acm-concepts.html
_SKEW = datetime.timedelta(minutes=5)


class CertificateAuthority:
    """A root in memory; its certificate is in `file`, for those who want to trust it."""

    def __init__(self, file: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = "Root of the lab's ACM"
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        root = _builder(self._name, self._name, self._key.public_key(), _ROOT_DAYS)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._root = root.sign(self._key, hashes.SHA256())
        self.pem = self._root.public_bytes(Encoding.PEM)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.pem)

    def issue(self, request: CertBundle) -> x509.Certificate:
        """A certificate for the names and the key of a request."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)])
        names = [x509.DNSName(name) for name in request.sans]
        builder = _builder(subject, self._name, request._key.public_key(), _DAYS)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.SubjectAlternativeName(names), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False),
        ]
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int):
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - _SKEW)
    builder = builder.not_valid_after(now + datetime.timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
