"""What is read from captured packets, with real TLS handshakes."""

import io
import ssl
from contextlib import suppress

import dpkt
import hpack
import pytest

from helpers import captures, key_log, pki, wire
from helpers.base.errors import TutorialError

CLIENT, SERVER = (b"\x0a\x00\x00\x01", 40000), (b"\x0a\x00\x00\x02", 443)
HOST = "lambda.external"


def contexts(files: pki.Certificates) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The client's and the server's."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(files.server_cert, files.server_key)
    ours = ssl.create_default_context(cafile=files.mtls_ca)
    ours.set_alpn_protocols(["h2", "http/1.1"])
    return ours, theirs


def handshake(files: pki.Certificates, **client: object) -> list[tuple[bool, bytes]]:
    """What client (True) and server (False) send, in turn."""
    ours, theirs = contexts(files)
    for name, value in client.items():
        setattr(ours, name, value)
    return exchange(ours, theirs)[0]


def exchange(
    ours: ssl.SSLContext, theirs: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[list[tuple[bool, bytes]], ssl.SSLSession | None]:
    """What both send, in turn, from the handshake to the response, and the session that can be resumed."""
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    left = ours.wrap_bio(pipes[0], pipes[1], server_hostname=HOST, session=session)
    right = theirs.wrap_bio(pipes[2], pipes[3], server_side=True)
    sent = []
    for _ in range(4):
        for from_client, end, out, into in (
            (True, left, pipes[1], pipes[2]),
            (False, right, pipes[3], pipes[0]),
        ):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
            if data := out.read():
                into.write(data)
                sent.append((from_client, data))
    left.write(b"GET / HTTP/1.1\r\nX-Api-Key: secret\r\n\r\n")
    right.write(b"HTTP/1.1 200 OK\r\n\r\nHello")
    sent += [(True, pipes[1].read()), (False, response := pipes[3].read())]
    pipes[0].write(response)
    left.read()
    return sent, left.session


def pcap(
    sent: list[tuple[bool, bytes]],
    *,
    link: int = dpkt.pcap.DLT_EN10MB,
    again: bool = False,
    port: int = SERVER[1],
) -> bytes:
    """A capture of these segments; `again` has the last one twice, as after a retransmission."""
    accepting = (SERVER[0], port)
    file, positions = io.BytesIO(), {True: 1, False: 1}
    writer = dpkt.pcap.Writer(file, linktype=link)
    packets = []
    for from_client, data in sent:
        (source, port), (target, at) = (CLIENT, accepting) if from_client else (accepting, CLIENT)
        segment = dpkt.tcp.TCP(sport=port, dport=at, seq=positions[from_client], data=data)
        positions[from_client] += len(data)
        ip = dpkt.ip.IP(src=source, dst=target, p=dpkt.ip.IP_PROTO_TCP, data=segment)
        ip.len = len(ip)
        packets.append(
            dpkt.ethernet.Ethernet(data=ip) if link == dpkt.pcap.DLT_EN10MB else dpkt.sll2.SLL2(data=ip)
        )
    for packet in [*packets, *packets[-1:] * again]:
        writer.writepkt(bytes(packet))
    return file.getvalue()


@pytest.fixture
def files():
    return pki.ensure()


@pytest.mark.parametrize(
    ("most", "version"), [(ssl.TLSVersion.TLSv1_3, "TLS 1.3"), (ssl.TLSVersion.TLSv1_2, "TLS 1.2")]
)
@pytest.mark.parametrize("link", [dpkt.pcap.DLT_EN10MB, 276])
def test_a_handshake_shows_names_and_versions_and_no_content(files, most, version, link):
    capture = pcap(handshake(files, maximum_version=most), link=link)
    [reading] = wire.readings(capture, [HOST, "other.example"])
    assert (reading.protocol, reading.readable, reading.alpn) == (version, HOST, "h2, http/1.1")
    assert reading.cipher.startswith("TLS_")
    assert not wire.contains(capture, "secret")
    assert wire.readings(capture, ["other.example"]) == []


def test_plain_text_is_found_although_it_is_split_and_sent_twice():
    request = b"GET /hello-world HTTP/1.1\r\nHost: lambda.external\r\nX-Api-Key: sec"
    capture = pcap([(True, request), (True, b"ret\r\n\r\n")], again=True)
    assert wire.contains(capture, "X-Api-Key: secret\r\n")
    assert wire.readings(capture, [HOST]) == [wire.Reading("plain text", "GET /hello-world HTTP/1.1")]
    assert wire.readings(capture, ["other.example"]) == []


def test_a_client_hello_without_an_answer_is_reported_as_refused(files):
    [first, *_] = handshake(files)
    [reading] = wire.readings(pcap([first]), [HOST])
    assert (reading.protocol, reading.cipher) == ("TLS, refused", "")


def test_a_resumed_session_is_told_from_a_full_handshake(files):
    ours, theirs = contexts(files)
    full, session = exchange(ours, theirs)
    resumed, _ = exchange(ours, theirs, session)
    assert wire.resumptions(pcap(full), 443) == [False]
    assert wire.resumptions(pcap(resumed), 443) == [True]
    assert wire.resumptions(pcap(resumed), 8080) == []
    refused, _ = exchange(ours, contexts(files)[1], session)  # another server, with other ticket keys
    assert wire.resumptions(pcap(refused), 443) == [False]
    assert wire.resumptions(pcap(resumed[:1]), 443) == []  # without an answer
    older = pcap(handshake(files, maximum_version=ssl.TLSVersion.TLSv1_2))
    assert wire.resumptions(older, 443) == []


def test_an_empty_capture_and_other_protocols_contain_nothing():
    assert wire.readings(pcap([]), [HOST]) == []
    assert wire.readings(pcap([(True, b"\x16\x03\x01\x00"), (False, b"SSH-2.0-x")]), [HOST]) == []


def http2(*fields: tuple[str, str]) -> bytes:
    """What a client sends first: the preface, empty settings, and headers."""
    block = hpack.Encoder().encode(fields, huffman=True)
    headers = len(block).to_bytes(3) + b"\x01\x05" + (1).to_bytes(4) + block
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0" + headers


def test_a_header_that_http2_compresses_is_found():
    request = http2((":method", "GET"), ("x-api-key", "not-for-everyone"))
    assert b"not-for-everyone" not in request
    assert wire.contains(pcap([(True, request)]), "not-for-everyone")
    assert not wire.contains(pcap([(True, request[:-8])]), "not-for-everyone")  # incomplete


def test_segments_that_overlap_are_joined_once():
    whole = [(True, b"0123456789")]
    parts = [(True, b"0123"), (True, b"456789")]
    assert next(iter(wire.streams(pcap(whole)).values())) == b"0123456789"
    one, other = pcap(whole), pcap(parts)
    header = 24  # of a pcap file
    assert [*wire.streams(one + other[header:]).values()] == [b"0123456789"]


def test_only_tls_records_count_as_encrypted(files):
    accepting = wire.servers(pcap(handshake(files)), 443)
    assert accepting == {SERVER}
    assert wire.unencrypted(pcap(handshake(files)), accepting) == set()
    assert wire.unencrypted(pcap([(True, http2((":method", "GET")))]), accepting) == {"PRI * HTTP/2.0"}
    # A client that speaks TLS to a server that does not.
    [first, *_] = handshake(files)
    refused = pcap([first, (False, b"HTTP/1.1 400 Bad Request\r\n\r\n")])
    assert wire.unencrypted(refused, accepting) == {"HTTP/1.1 400 Bad Request"}
    assert wire.unencrypted(pcap([]), accepting) is None


def test_each_hop_needs_packets_and_tls(files):
    places = {place: handshake(files) for place in captures.PLACES}
    at = {"sleep pod": 8080, "egress gateway": 443, "ingress gateway": 8443}
    seen = captures.Captures({place: pcap(sent, port=at.get(place, 443)) for place, sent in places.items()})
    assert seen.unencrypted() == ["ingress gateway → load balancer"]
    assert [*seen.hops().rows[-1]] == ["ingress gateway → load balancer", "", "no packets"]
    seen["ingress gateway"] += pcap(places["ingress gateway"])[24:]
    assert seen.unencrypted() == []
    seen["sleep pod"] = pcap([(True, http2((":path", "/")))], port=8080)
    assert seen.unencrypted() == ["sidecar → egress gateway"]


def test_a_key_log_decrypts_its_own_connection_and_no_other(files, tmp_path):
    log = tmp_path / "keys.log"
    capture = pcap(handshake(files, keylog_filename=str(log)))
    [(request, response)] = key_log.decrypted(capture, log.read_text(), HOST)
    assert request == b"GET / HTTP/1.1\r\nX-Api-Key: secret\r\n\r\n"
    assert response == b"HTTP/1.1 200 OK\r\n\r\nHello"
    assert key_log.decrypted(capture, log.read_text(), "other.example") == []
    assert key_log.decrypted(pcap(handshake(files)), log.read_text(), HOST) == []


def test_a_capture_without_its_keys_says_so(files):
    seen = captures.Captures({"egress gateway": pcap(handshake(files))})
    with pytest.raises(TutorialError, match="no connection has its keys in the log"):
        seen.decrypted("")
