"""What an eavesdropper reads in captured packets: TLS handshakes and plain text."""

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dpkt
from dpkt import ssl, ssl_ciphersuites

_LINKS = {
    dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
    dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
    276: dpkt.sll2.SLL2,  # of `tcpdump -i any`
}
# https://www.iana.org/assignments/tls-extensiontype-values/
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43
_VERSIONS = {0x0304: "TLS 1.3", 0x0303: "TLS 1.2"}
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ")

Direction = tuple[bytes, int, bytes, int]  # from address and port, to address and port


class Reading(NamedTuple):
    """What can be read of a connection: its TLS handshake, or the first line of a request in plain text."""

    protocol: str  # "TLS 1.3", or "plain text"
    readable: str  # what names the destination
    cipher: str = ""
    alpn: str = ""  # what the client offers; in TLS 1.3 the choice is encrypted


def streams(capture: bytes) -> dict[Direction, bytes]:
    """What was sent in each direction of each TCP connection, in order."""
    reader = dpkt.pcap.Reader(io.BytesIO(capture))
    link = _LINKS[reader.datalink()]
    found: dict[Direction, dict[int, bytes]] = {}
    for _, packet in reader:
        try:
            ip = link(packet).data
        except dpkt.UnpackError:  # of another protocol
            continue
        segment = getattr(ip, "data", None)
        if isinstance(segment, dpkt.tcp.TCP) and segment.data:
            direction = (ip.src, segment.sport, ip.dst, segment.dport)
            found.setdefault(direction, {}).setdefault(segment.seq, bytes(segment.data))
    return {
        direction: b"".join(data for _, data in sorted(pieces.items())) for direction, pieces in found.items()
    }


def readings(capture: bytes, hosts: Iterable[str]) -> list[Reading]:
    """What can be read of connections to these hosts: by SNI, or by a request in plain text."""
    sent, wanted = streams(capture), {*hosts}
    found = set()
    for (source, port, target, at), data in sent.items():
        if data.startswith(_METHODS) and any(host.encode() in data for host in wanted):
            found.add(Reading("plain text", data.partition(b"\r\n")[0].decode(errors="replace")))
        elif (hello := _handshake(data, ssl.TLSClientHello)) and (name := _server_name(hello)) in wanted:
            answer = _handshake(sent.get((target, at, source, port), b""), ssl.TLSServerHello)
            found.add(_tls(name, hello, answer))
    return sorted(found)


def contains(capture: bytes, text: str) -> bool:
    """Whether this text was sent unencrypted."""
    return any(text.encode() in data for data in streams(capture).values())


def _handshake(data: bytes, kind: type[dpkt.Packet]) -> dpkt.Packet | None:
    """The first message of a TLS stream, if it is of that kind and complete."""
    try:
        records, _ = ssl.tls_multi_factory(data)
        message = ssl.TLSHandshake(records[0].data).data if records else None
    except (ssl.SSL3Exception, dpkt.UnpackError):
        return None
    return message if isinstance(message, kind) else None


def _tls(name: str, hello: dpkt.Packet, answer: dpkt.Packet | None) -> Reading:
    alpn = ", ".join(value.decode() for value in _listed(dict(hello.extensions).get(_ALPN, b"")))
    if answer is None:
        return Reading("TLS, refused", name, "", alpn)
    chosen = dict(getattr(answer, "extensions", [])).get(_SUPPORTED_VERSIONS, b"")
    version = int.from_bytes(chosen, "big") if chosen else answer.version
    code = answer.ciphersuite.code
    return Reading(_VERSIONS.get(version, hex(version)), name, ssl_ciphersuites.BY_CODE[code].name, alpn)


def _server_name(hello: dpkt.Packet) -> str:
    # A list with one entry: its length, its type, the name's length, the name (RFC 6066).
    return dict(getattr(hello, "extensions", [])).get(_SERVER_NAME, b"")[5:].decode(errors="replace")


def _listed(extension: bytes) -> Iterator[bytes]:
    """ALPN's names, each after its length in a byte (RFC 7301)."""
    rest = extension[2:]
    while rest:
        yield rest[1 : 1 + rest[0]]
        rest = rest[1 + rest[0] :]
