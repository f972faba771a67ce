"""Captured TLS 1.3, decrypted with the keys that one end logged.

The log's format: https://www.rfc-editor.org/rfc/rfc9850
"""

from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from dpkt import ssl

from helpers import wire

_APPLICATION_DATA = 23
# The cipher, the key's length in bytes, and the hash: RFC 8446, appendix B.4
_Cipher = type[AESGCM | ChaCha20Poly1305]
_SUITES: dict[int, tuple[_Cipher, int, hashes.HashAlgorithm]] = {
    0x1301: (AESGCM, 16, hashes.SHA256()),
    0x1302: (AESGCM, 32, hashes.SHA384()),
    0x1303: (ChaCha20Poly1305, 32, hashes.SHA256()),
}


def decrypted(capture: bytes, keys: str, server_name: str) -> list[tuple[bytes, bytes]]:
    """What client and server sent on each connection to that name whose keys are in the log."""
    sent = wire.streams(capture)
    found = []
    for (source, port, target, at), data in sent.items():
        hello, answer = wire.hellos(data, received := sent.get((target, at, source, port), b""))
        if not hello or not answer or wire.server_name(hello) != server_name:
            continue
        secrets = _secrets(keys, hello.random)
        suite = _SUITES.get(answer.ciphersuite.code)
        if suite and len(secrets) == 2:
            client, server = secrets
            found.append((_plain(data, client, *suite), _plain(received, server, *suite)))
    return found


def _secrets(keys: str, random: bytes) -> list[bytes]:
    """The secrets of a connection, which is named by its client's random number: client's, server's."""
    logged = dict(
        line.split(f" {random.hex()} ") for line in keys.splitlines() if f" {random.hex()} " in line
    )
    labels = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
    return [bytes.fromhex(logged[label]) for label in labels if label in logged]


def _plain(
    stream: bytes,
    secret: bytes,
    cipher: _Cipher,
    length: int,
    digest: hashes.HashAlgorithm,
) -> bytes:
    """The application data of one direction: https://www.rfc-editor.org/rfc/rfc8446#section-5.2"""
    key, start = _expand(secret, b"key", length, digest), _expand(secret, b"iv", 12, digest)
    whole, number = b"", 0
    for header, record in _records(stream):
        nonce = (int.from_bytes(start) ^ number).to_bytes(12)
        try:
            inner = cipher(key).decrypt(nonce, record, header).rstrip(b"\0")
        except InvalidTag:  # a part of the handshake, which has keys of its own
            continue
        number += 1
        if inner[-1] == _APPLICATION_DATA:
            whole += inner[:-1]
    return whole


def _records(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The encrypted records, with their headers."""
    for record in ssl.tls_multi_factory(stream)[0]:
        if record.type == _APPLICATION_DATA:
            whole = bytes(record)
            yield whole[:5], whole[5:]


def _expand(secret: bytes, label: bytes, length: int, digest: hashes.HashAlgorithm) -> bytes:
    """HKDF-Expand-Label without context: https://www.rfc-editor.org/rfc/rfc8446#section-7.1"""
    name = b"tls13 " + label
    info = length.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(digest, length, info).derive(secret)
