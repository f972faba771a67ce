"""A small certificate authority: EC P-256 keys, names in subjectAltName, files in build/certs."""

import datetime
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from helpers import show
from helpers.base import changes, command, files, folding
from helpers.base.command import relative
from helpers.base.settings import current
from helpers.base.waiting import wait_until

SERVER, CLIENT = "lambda.external", "client.lambda.external"
_PEM = "-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n"
_CA_LIFETIME, _LEAF_LIFETIME = datetime.timedelta(days=3650), datetime.timedelta(days=365)
_LEFT = datetime.timedelta(days=1)  # reissued when less is left
_KINDS: dict[str, type[x509.DNSName | x509.UniformResourceIdentifier]] = {
    "DNS": x509.DNSName,
    "URI": x509.UniformResourceIdentifier,
}
_CN_LIMIT = 64  # characters of a common name, by X.509; the full name is in subjectAltName
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
SKEW = datetime.timedelta(minutes=5)  # clocks of clusters differ a little


@dataclass
class Certificates:
    """The files. The mTLS CA signs server and client; the other two CAs are unrelated.

    `alb_ca` verifies the load balancer's certificate; ACM keeps the key of one that it issued itself, so
    then `alb_cert` and `alb_key` do not exist.
    """

    mtls_ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    stranger_ca: Path
    stranger_cert: Path
    stranger_key: Path
    alb_ca: Path
    alb_cert: Path
    alb_key: Path

    def _ipython_display_(self) -> None: ...


@folding.step()
def ensure() -> Certificates:
    """Issue what is missing, does not match or expires within a day; keep the rest."""
    folder = _cert("server").parent
    if not folder.exists():
        changes.begin(line := f"mkdir -p {relative(folder)}")
        folder.mkdir(parents=True)
        command.show_change(line)
    kept = [
        _authority("mtls-ca", "Lambda external CA"),
        _leaf("server", SERVER, "mtls-ca", ExtendedKeyUsageOID.SERVER_AUTH),
        _leaf("client", CLIENT, "mtls-ca", ExtendedKeyUsageOID.CLIENT_AUTH),
        _authority("stranger-ca", "A stranger's CA"),
        _leaf("stranger", CLIENT, "stranger-ca", ExtendedKeyUsageOID.CLIENT_AUTH),
        *{"private-ca": _load_balancer, "acm": _acm_roots}[current().TUTORIAL_CERTIFICATE](),
    ]
    if any(kept):
        print(f"{sum(kept)} certificates in {relative(folder)} exist")
    pairs = {
        f"{name}_{kind}": path(name)
        for name in ("server", "client", "stranger", "alb")
        for kind, path in (("cert", _cert), ("key", _key))
    }
    authorities = {name: _cert(name.replace("_", "-")) for name in ("mtls_ca", "stranger_ca", "alb_ca")}
    return Certificates(**authorities, **pairs)


def another_client(
    host: str, *more: str, file: str = "", ca: str = "mtls-ca", seconds: int = 0
) -> tuple[Path, Path]:
    """Certificate and key of another client, in files named after it.

    `more` are names besides the host's, as OpenSSL writes them: "DNS:…", "URI:spiffe://…". `ca` is the
    signer's file; `seconds` is the lifetime, if not a year.
    """
    return _another(host, ExtendedKeyUsageOID.CLIENT_AUTH, more, file, ca, seconds)


def another_server(
    host: str = SERVER, *, file: str, ca: str = "mtls-ca", seconds: int = 0
) -> tuple[Path, Path]:
    """Like `another_client`, for a server."""
    return _another(host, ExtendedKeyUsageOID.SERVER_AUTH, (), file, ca, seconds)


def _another(
    host: str, purpose: x509.ObjectIdentifier, more: Sequence[str], file: str, ca: str, seconds: int
) -> tuple[Path, Path]:
    name = file or host
    _leaf(name, host, ca, purpose, more, datetime.timedelta(seconds=seconds) if seconds else None)
    return _cert(name), _key(name)


def another_ca(file: str, common_name: str) -> Path:
    """The certificate of another CA, which can sign."""
    _authority(file, common_name)
    return _cert(file)


def new_ca(name: str, common_name: str, *, signer: str = "", below: int = 0) -> Path:
    """The certificate of a new CA, signed by itself or another; `below` is how many may chain to it in a row.

    An intermediate is valid for a year.
    """
    lifetime = _LEAF_LIFETIME if signer else _CA_LIFETIME
    constraints, usage = f"CA:true,pathlen:{below}", "keyUsage=critical,keyCertSign,cRLSign"
    line = _openssl(name, common_name, lifetime, constraints, usage, ca=signer)
    changes.begin(line)
    key, above = _new_key(name), read(_cert(signer)) if signer else None
    subject = _subject(common_name)
    builder = _builder(subject, above.subject if above else subject, key, lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    if above:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(above))
        builder = builder.add_extension(identifier, critical=False)
    signed = builder.sign(read_key(_key(signer)) if signer else key, hashes.SHA256())
    files.write(_cert(name), signed.public_bytes(Encoding.PEM), 0o644)
    command.show_change(line)
    return _cert(name)


def bundle(file: str, *certificates: Path) -> Path:
    """One file with several certificates."""
    changes.begin(line := f"{command.shell_join(['cat', *certificates])} > {relative(_cert(file))}")
    files.write(_cert(file), b"".join(each.read_bytes() for each in certificates), 0o644)
    command.show_change(line)
    return _cert(file)


def wait_for_expiry(certificate: Path, before: float = 0) -> None:
    """Wait until the certificate has expired, or `before` seconds less."""
    end = read(certificate).not_valid_after_utc.timestamp() - before

    def left() -> float:
        return end - time.time()

    what = f"{relative(certificate)} to expire"
    wait_until(
        what,
        left,
        lambda seconds: seconds < 0,
        timeout=left() + 60,
        interval=0.1,
        state=lambda seconds: f"{seconds:.0f} s left",
    )


def delete(*certificates: Path) -> None:
    """Delete certificates of other clients with their keys, where they exist."""
    files.delete(*(file for each in certificates for file in (each, each.with_suffix(".key"))))


def read(certificate: Path) -> x509.Certificate:
    """The first certificate in a file."""
    return x509.load_pem_x509_certificate(certificate.read_bytes())


def serial(certificate: Path) -> str:
    """The certificate's serial number, as istioctl prints it."""
    return f"{read(certificate).serial_number:032x}"


def subject_names(certificate: x509.Certificate) -> list[str]:
    """Its subject alternative names, as OpenSSL writes them: "DNS:lambda.external"."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    kinds = {value: key for key, value in _KINDS.items()}
    return [f"{kinds[type(each)]}:{each.value}" for each in extension.value if type(each) in kinds]


def table() -> show.Table:
    """The certificates: subject, issuer, names and the days left."""
    now = datetime.datetime.now(datetime.UTC)
    rows = []
    for name in ("mtls-ca", "server", "client", "stranger-ca", "stranger", "alb-ca", "alb"):
        if not _cert(name).exists():  # ACM does not export its own
            continue
        certificate = read(_cert(name))
        rows.append(
            {
                "file": relative(_cert(name)),
                "subject": certificate.subject.rfc4514_string(),
                "signed by": certificate.issuer.rfc4514_string(),
                "names": ", ".join(each.removeprefix("DNS:") for each in subject_names(certificate)),
                "days left": (certificate.not_valid_after_utc - now).days,
            }
        )
    return show.table(rows)


def _load_balancer() -> list[bool]:
    return [
        _authority("alb-ca", "Private CA of the load balancer"),
        _leaf("alb", current().alb_host, "alb-ca", ExtendedKeyUsageOID.SERVER_AUTH),
    ]


def _acm_roots() -> list[bool]:
    """The roots that ACM's certificates chain to, and no others, from the system's trust store.

    https://docs.aws.amazon.com/acm/latest/userguide/acm-concepts.html#ACM-root-CAs
    """
    if own := current().TUTORIAL_ACM_ROOTS:
        roots = [own.read_bytes()]
    else:
        known = re.findall(_PEM, Path(certifi.where()).read_text(encoding="utf-8"), re.DOTALL)
        roots = [pem.encode() for pem in known if b"Amazon" in ssl.PEM_cert_to_DER_cert(pem)]
    delete(_cert("alb"))  # of a private CA, from an earlier run
    files.write(_cert("alb-ca"), b"".join(roots), 0o644)
    print(f"{relative(_cert('alb-ca'))}: the roots that ACM's certificates chain to")
    return []


def _authority(name: str, common_name: str) -> bool:
    """Whether it exists already; otherwise it is issued."""
    if _fits(name, name):
        return True
    new_ca(name, common_name)
    return False


def _leaf(
    name: str,
    host: str,
    ca: str,
    purpose: x509.ObjectIdentifier,
    more: Sequence[str] = (),
    lifetime: datetime.timedelta | None = None,
) -> bool:
    """Whether it exists already; otherwise it is issued."""
    names = [f"DNS:{host}", *more]
    if _fits(name, ca, names):
        return True
    uses = ("keyUsage=critical,digitalSignature", f"extendedKeyUsage={_PURPOSES[purpose]}")
    lifetime = lifetime or _LEAF_LIFETIME
    line = _openssl(name, host, lifetime, "CA:false", *uses, f"subjectAltName={','.join(names)}", ca=ca)
    changes.begin(line)
    key, authority = _new_key(name), read(_cert(ca))
    builder = _builder(_subject(host), authority.subject, key, lifetime)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([purpose]), False),
        # Only this is matched against the host name, not the common name (RFC 9525).
        (x509.SubjectAlternativeName([_general(each) for each in names]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(authority)), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signed = builder.sign(read_key(_key(ca)), hashes.SHA256())
    files.write(_cert(name), signed.public_bytes(Encoding.PEM), 0o644)
    command.show_change(line)
    return False


def _openssl(
    name: str,
    common_name: str,
    lifetime: datetime.timedelta,
    constraints: str,
    *extensions: str,
    ca: str = "",
) -> str:
    """The command that does the same, with OpenSSL 3; a lifetime in seconds requires 3.4, and GNU's date.

    https://docs.openssl.org/3.4/man1/openssl-req/
    """
    end = f"\"$(date -ud '+{lifetime.seconds} seconds' +%Y%m%d%H%M%SZ)\""
    validity = f"-days {lifetime.days}" if lifetime.days else f"-not_after {end}"
    words = ["-subj", f"/CN={common_name[:_CN_LIMIT]}"]
    words += ["-CA", str(_cert(ca)), "-CAkey", str(_key(ca))] if ca else []
    for extension in (f"basicConstraints=critical,{constraints}", *extensions):
        words += ["-addext", extension]
    rest = command.shell_join([*words, "-keyout", _key(name), "-out", _cert(name)])
    return f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc {validity} {rest}"


def _fits(name: str, ca: str, names: Sequence[str] = ()) -> bool:
    """Whether the certificate is valid, also tomorrow, and has this key, signer and these names."""
    try:
        certificate, authority = read(_cert(name)), read(_cert(ca))
        certificate.verify_directly_issued_by(authority)
        same_key = read_key(_key(name)).public_key() == certificate.public_key()
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    now = datetime.datetime.now(datetime.UTC)  # which is earlier than the first day if the clock was set back
    valid = all(
        each.not_valid_before_utc <= now and now + _LEFT < each.not_valid_after_utc
        for each in (certificate, authority)
    )
    return same_key and valid and set(names) <= set(subject_names(certificate))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - SKEW).not_valid_after(now + lifetime)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
    names += " key_cert_sign crl_sign encipher_only decipher_only"
    none = dict.fromkeys(names.split(), False)
    return x509.KeyUsage(**{**none, **allowed})


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_CN_LIMIT])])


def _general(name: str) -> x509.GeneralName:
    """A name as OpenSSL writes it: "DNS:lambda.external"."""
    kind, _, value = name.partition(":")
    return _KINDS[kind](value)


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _cert(name: str) -> Path:
    return current().TUTORIAL_BUILD_DIR / "certs" / f"{name}.crt"


def _key(name: str) -> Path:
    return _cert(name).with_suffix(".key")


def _new_key(name: str) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    files.write(_key(name), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return key


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key in a file. Raises ValueError if it is of another kind."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{relative(path)} is not an elliptic-curve key")
    return key
