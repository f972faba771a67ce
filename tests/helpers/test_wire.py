"""What is read from captured packets, with real TLS handshakes."""

import io
import ssl
from contextlib import suppress

import dpkt
import pytest

from helpers import pki, wire

CLIENT, SERVER = (b"\x0a\x00\x00\x01", 40000), (b"\x0a\x00\x00\x02", 443)
HOST = "lambda.external"


def handshake(files: pki.Certificates, **client: object) -> list[tuple[bool, bytes]]:
    """What client (True) and server (False) send, in turn."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(files.server_cert, files.server_key)
    ours = ssl.create_default_context(cafile=files.mtls_ca)
    ours.set_alpn_protocols(["h2", "http/1.1"])
    for name, value in client.items():
        setattr(ours, name, value)
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    left = ours.wrap_bio(pipes[0], pipes[1], server_hostname=HOST)
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
    return [*sent, (True, pipes[1].read())]


def pcap(sent: list[tuple[bool, bytes]], *, link: int = dpkt.pcap.DLT_EN10MB, again: bool = False) -> bytes:
    """A capture of these segments; `again` has the last one twice, as after a retransmission."""
    file, positions = io.BytesIO(), {True: 1, False: 1}
    writer = dpkt.pcap.Writer(file, linktype=link)
    packets = []
    for from_client, data in sent:
        (source, port), (target, at) = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
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


def test_an_empty_capture_and_other_protocols_contain_nothing():
    assert wire.readings(pcap([]), [HOST]) == []
    assert wire.readings(pcap([(True, b"\x16\x03\x01\x00"), (False, b"SSH-2.0-x")]), [HOST]) == []
