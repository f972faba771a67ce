"""Certificate revocation lists: which of its certificates a CA has revoked.

https://www.rfc-editor.org/rfc/rfc5280#section-5
"""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from helpers import pki
from helpers.base import changes, command, files

_DAYS = 30
_CONFIGURATION = """\
[ca]
default_ca = this
[this]
database = {database}
certificate = {certificate}
private_key = {key}
default_md = sha256
default_crl_days = {days}
"""


def issue(signer: Path, *revoked: Path) -> Path:
    """The list of a CA, valid for 30 days, with these certificates in it; its file is beside the CA's."""
    file, configuration, database = (signer.with_suffix(f".{kind}") for kind in ("crl", "cnf", "index"))
    paths = {"database": database, "certificate": signer, "key": signer.with_suffix(".key")}
    text = _CONFIGURATION.format(days=_DAYS, **{name: command.relative(path) for name, path in paths.items()})
    openssl: list[str | Path] = ["openssl", "ca", "-config", configuration]
    lines = []
    if not configuration.exists():
        words = command.shell_join(["printf", r"%s\n", *text.splitlines()])
        lines += [f"{words} > {command.relative(configuration)}", command.shell_join(["touch", database])]
    lines += [command.shell_join([*openssl, "-revoke", each]) for each in revoked]
    lines.append(command.shell_join([*openssl, "-gencrl", "-out", file]))
    changes.begin("\n".join(lines))
    files.write(configuration, text.encode(), 0o644)
    files.write(database, b"", 0o644)
    files.write(file, _signed(signer, revoked), 0o644)
    for line in lines:
        command.show_change(line)
    return file


def _signed(signer: Path, revoked: tuple[Path, ...]) -> bytes:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(pki.read(signer).subject)
    builder = builder.last_update(now - pki.SKEW).next_update(now + datetime.timedelta(days=_DAYS))
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(pki.read(each).serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now - pki.SKEW).build())
    return builder.sign(pki.read_key(signer.with_suffix(".key")), hashes.SHA256()).public_bytes(Encoding.PEM)
