"""What an eavesdropper reads in captured packets: TLS handshakes and plain text."""

import io
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dpkt
import hpack
from dpkt import http2, ssl, ssl_ciphersuites

_LINKS = {
    dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
    dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
    276: dpkt.sll2.SLL2,  # of `tcpdump -i any`
}
# https://www.iana.org/assignments/tls-extensiontype-values/
_SERVER_NAME, _ALPN, _PRE_SHARED_KEY, _SUPPORTED_VERSIONS = 0, 16, 41, 43
_RECORDS = {20, 21, 22, 23}  # https://www.rfc-editor.org/rfc/rfc8446#section-5.1
_TLS_1_3 = 0x0304
_VERSIONS = {_TLS_1_3: "TLS 1.3", 0x0303: "TLS 1.2"}
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ")

Endpoint = tuple[bytes, int]  # address and port
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
    found: dict[Direction, list[tuple[int, bytes]]] = {}
    for _, packet in reader:
        try:
            ip = link(packet).data
        except dpkt.UnpackError:  # of another protocol
            continue
        segment = getattr(ip, "data", None)
        if isinstance(segment, dpkt.tcp.TCP) and segment.data:
            direction = (ip.src, segment.sport, ip.dst, segment.dport)
            found.setdefault(direction, []).append((segment.seq, bytes(segment.data)))
    return {direction: _joined(segments) for direction, segments in found.items()}


def _joined(segments: list[tuple[int, bytes]]) -> bytes:
    """The bytes in order, each once: a node's interfaces show a segment several times, whole and in parts."""
    whole, first = b"", min(segments)[0]
    for number, data in sorted(segments):
        whole += data[max(0, first + len(whole) - number) :]
    return whole


def readings(capture: bytes, hosts: Iterable[str]) -> list[Reading]:
    """What can be read of connections to these hosts: by SNI, or by a request in plain text."""
    wanted, found = {*hosts}, set()
    for _, data, received in _conversations(capture):
        if data.startswith(_METHODS) and any(host.encode() in data for host in wanted):
            found.add(Reading("plain text", _first_line(data)))
            continue
        hello, answer = hellos(data, received)
        if hello and (name := server_name(hello)) in wanted:
            found.add(_tls(name, hello, answer))
    return sorted(found)


def _conversations(capture: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """For each direction of each connection: the port it leads to, what was sent, and what came back."""
    sent = streams(capture)
    for (source, port, target, at), data in sent.items():
        yield at, data, sent.get((target, at, source, port), b"")


def resumptions(capture: bytes, port: int) -> list[bool]:
    """For each TLS 1.3 handshake with this port: whether the server resumed a session, without certificates.

    https://www.rfc-editor.org/rfc/rfc8446#section-4.2.11
    """
    both = (hellos(data, received) for at, data, received in _conversations(capture) if at == port)
    answers = [answer for hello, answer in both if hello and answer and _version(answer) == _TLS_1_3]
    return [_PRE_SHARED_KEY in dict(answer.extensions) for answer in answers]


def contains(capture: bytes, text: str) -> bool:
    """Whether this text was sent unencrypted, also in a header that HTTP/2 compressed."""
    return any(text.encode() in data or text in http2_headers(data) for data in streams(capture).values())


def servers(capture: bytes, port: int) -> set[Endpoint]:
    """Who accepted connections on this port."""
    return {(target, at) for _, _, target, at in streams(capture) if at == port}


def unencrypted(capture: bytes, accepting: set[Endpoint]) -> set[str] | None:
    """What was sent to or by these servers that is not TLS: first lines; None if nothing was sent at all."""
    sent = {way: data for way, data in streams(capture).items() if {way[:2], way[2:]} & accepting}
    if not sent:
        return None
    plain = {way: data for way, data in sent.items() if not _is_tls(data)}
    asked = {_first_line(data) for way, data in plain.items() if way[2:] in accepting}
    return asked or {_first_line(data) for data in plain.values()}


def _first_line(data: bytes) -> str:
    return data.partition(b"\r\n")[0].decode(errors="replace")


def http2_headers(data: bytes) -> str:
    """The headers that a client sends on an HTTP/2 connection, a line each; "" if it is none."""
    if not data.startswith(http2.HTTP2_PREFACE):
        return ""
    decoder, lines = hpack.Decoder(), []
    try:
        for frame in http2.frame_multi_factory(data, preface=True)[0]:
            if isinstance(frame, http2.HeadersFrame):
                lines += [": ".join(map(str, field)) for field in decoder.decode(frame.block_fragment)]
    except (http2.HTTP2Exception, hpack.HPACKError):  # it is not whole
        pass
    return "\n".join(lines)


def _is_tls(data: bytes) -> bool:
    """Whether it is nothing but TLS records; the last one may be incomplete."""
    try:
        records, length = ssl.tls_multi_factory(data)
    except ssl.SSL3Exception:
        return False
    return {record.type for record in records}.union(data[length : length + 1]) <= _RECORDS


def hellos(sent: bytes, received: bytes) -> tuple[dpkt.Packet | None, dpkt.Packet | None]:
    """The first TLS messages of client and server, as far as they were captured."""
    return _handshake(sent, ssl.TLSClientHello), _handshake(received, ssl.TLSServerHello)


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
    version, code = _version(answer), answer.ciphersuite.code
    return Reading(_VERSIONS.get(version, hex(version)), name, ssl_ciphersuites.BY_CODE[code].name, alpn)


def _version(answer: dpkt.Packet) -> int:
    """The version that the server chose."""
    chosen = dict(getattr(answer, "extensions", [])).get(_SUPPORTED_VERSIONS, b"")
    return int.from_bytes(chosen, "big") if chosen else int(answer.version)


def server_name(hello: dpkt.Packet) -> str:
    """The SNI, or ""."""
    # A list with one entry: its length, its type, the name's length, the name (RFC 6066).
    return dict(getattr(hello, "extensions", [])).get(_SERVER_NAME, b"")[5:].decode(errors="replace")


def _listed(extension: bytes) -> Iterator[bytes]:
    """ALPN's names, each after its length in a byte (RFC 7301)."""
    rest = extension[2:]
    while rest:
        yield rest[1 : 1 + rest[0]]
        rest = rest[1 + rest[0] :]
