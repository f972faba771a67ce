import os
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from lab import sockets
from lab.network import Namespace
from lab.relay import Connect, Relay

LOCAL = ("127.0.0.1", 0)
MEGABYTE = bytes(range(256)) * 4096


@pytest.fixture
def far() -> Iterator[socket.socket]:
    """The listening socket to which the relays connect."""
    with sockets.listen(LOCAL) as listener:
        listener.settimeout(10)
        yield listener


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Relay, tuple[str, int]]]]:
    relays = []

    def start(connect: Connect) -> tuple[Relay, tuple[str, int]]:
        listener = sockets.listen(LOCAL)
        address = listener.getsockname()
        relays.append(Relay().start(listener, connect))
        return relays[-1], address

    yield start
    for relay in relays:
        relay.close()


@pytest.fixture
def pair(start, far) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a relayed connection."""
    _, address = start(lambda _: sockets.connect(far.getsockname()))
    with sockets.connect(address) as client:
        server, _ = far.accept()
        with server:
            for side in (client, server):
                side.settimeout(10)
            yield client, server


def read_all(side: socket.socket) -> bytes:
    return b"".join(iter(lambda: side.recv(65536), b""))


def send_all(side: socket.socket, data: bytes) -> threading.Thread:
    def send() -> None:
        side.sendall(data)
        side.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_a_megabyte_goes_in_both_directions_at_once(pair):
    client, server = pair
    there, back = MEGABYTE, MEGABYTE[::-1]
    threads = [send_all(client, there), send_all(server, back)]
    received = []
    reader = threading.Thread(target=lambda: received.append(read_all(server)))
    reader.start()
    assert read_all(client) == back
    for thread in (*threads, reader):
        thread.join()
    assert received == [there]


def test_one_direction_ends_and_the_other_continues(pair):
    client, server = pair
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == b"question"
    server.sendall(b"a late ")
    assert client.recv(100) == b"a late "
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == b"answer"


def test_a_refused_connection_closes_the_client_side(start, far):
    nobody = far.getsockname()
    far.close()
    _, address = start(lambda _: sockets.connect(nobody))
    with pytest.raises(ConnectionResetError), sockets.connect(address) as client:
        client.settimeout(10)
        client.recv(1)


def test_an_error_in_connect_ends_only_one_connection(start, far, caplog):
    answers = iter([KeyError("a mistake of the caller"), None])

    def connect(near: socket.socket) -> socket.socket:
        if error := next(answers):
            raise error
        return sockets.connect(far.getsockname())

    _, address = start(connect)
    with pytest.raises(ConnectionResetError), sockets.connect(address) as client:
        client.settimeout(10)
        client.recv(1)
    assert "a mistake of the caller" in caplog.text
    with sockets.connect(address) as client:
        client.sendall(b"x")
        with far.accept()[0] as server:
            assert server.recv(1) == b"x"


@pytest.mark.parametrize("broken", [0, 1])
def test_a_reset_is_forwarded(pair, broken):
    pair[broken].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    pair[broken].close()
    with pytest.raises(ConnectionResetError):
        pair[1 - broken].recv(1)


def test_close_ends_only_this_relays_listener_and_connections(start, far):
    relay, address = start(lambda _: sockets.connect(far.getsockname()))
    _, other_address = start(lambda _: sockets.connect(far.getsockname()))
    with (
        sockets.connect(address) as client,
        far.accept()[0] as server,
        sockets.connect(other_address) as other_client,
        far.accept()[0] as other_server,
    ):
        relay.close()
        relay.close()
        for side in (client, server):
            side.settimeout(10)
            with pytest.raises(ConnectionResetError):
                side.recv(1)
        with pytest.raises(ConnectionRefusedError):
            sockets.connect(address)
        other_client.sendall(b"still here")
        assert other_server.recv(100) == b"still here"


def test_close_does_not_wait_for_a_pending_connection(start, far):
    asked, go_on = threading.Event(), threading.Event()

    def connect(near: socket.socket) -> socket.socket:
        asked.set()
        go_on.wait(10)
        return sockets.connect(far.getsockname())

    relay, address = start(connect)
    with sockets.connect(address) as client:
        assert asked.wait(10)
        relay.close()
        client.settimeout(10)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        go_on.set()
        with far.accept()[0] as server:
            server.settimeout(10)
            assert server.recv(1) == b""


def test_concurrent_connections_are_not_mixed_up(start, far):
    _, address = start(lambda _: sockets.connect(far.getsockname()))
    clients = [sockets.connect(address) for _ in range(50)]
    for number, client in enumerate(clients):
        client.sendall(str(number).encode())
        client.shutdown(socket.SHUT_WR)
    for _ in clients:
        with far.accept()[0] as server:
            server.sendall(b"you are " + read_all(server))
    assert [read_all(client) for client in clients] == [f"you are {number}".encode() for number in range(50)]
    for client in clients:
        client.close()


@pytest.mark.skipif(os.getuid() != 0, reason="making network namespaces needs root")
def test_the_machine_reaches_a_namespace_through_it(start, tmp_path):
    namespace = Namespace(tmp_path / "inside").create()
    try:
        with sockets.listen(("127.0.0.1", 6443), namespace) as listener:
            listener.settimeout(10)
            _, address = start(lambda _: sockets.connect(("127.0.0.1", 6443), namespace))
            with sockets.connect(address) as client, listener.accept()[0] as server:
                client.sendall(b"hello")
                assert server.recv(100) == b"hello"
    finally:
        namespace.delete()
