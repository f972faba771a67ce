import asyncio
import socket

from lab import event_loop, sockets


def test_asyncio_sends_small_segments_at_once():
    """With Nagle's algorithm, a TLS handshake waits for delayed acknowledgments."""

    async def accepted_has_nodelay() -> int:
        made = asyncio.get_running_loop().create_future()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport):
                made.set_result(transport.get_extra_info("socket"))

        listening = sockets.listen(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(Accepted, sock=listening)
        async with server:
            _, writer = await asyncio.open_connection(*listening.getsockname())
            connection = await made
            found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
        return found

    assert event_loop.run(accepted_has_nodelay())
