"""Requests that never end make room for others."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn

from levelpool.service import patience
from levelpool.service.patience import PatientProtocol


async def app(scope, receive, send):
    """Reads the body whole and answers with its length."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(str(size)))]})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
async def port():
    """A real server with this protocol."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=PatientProtocol, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def answer_to(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server closes the connection, or answers and would go on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        with contextlib.suppress(OSError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(pause)
    try:
        async with asyncio.timeout(10):
            return await reader.read(65536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_headers_that_do_not_come_are_told_so(port, monkeypatch):
    """Neither for a connection that says nothing nor for one that stops in the middle of them anybody waits."""
    monkeypatch.setattr(patience, "HEADERS_WITHIN", 0.1)

    for begun in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-a"):
        assert (await answer_to(port, begun)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_headers_of_a_further_request_have_their_time_too(port, monkeypatch):
    """From its first byte on."""
    monkeypatch.setattr(patience, "HEADERS_WITHIN", 0.1)
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(whole)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    await reader.readexactly(1)
    writer.write(whole[:20])
    assert (await reader.read(65536)).startswith(b"HTTP/1.1 408")
    writer.close()


async def test_body_that_comes_slowly_but_comes_is_taken(port, monkeypatch):
    """However long the whole takes."""
    monkeypatch.setattr(patience, "BODY_WINDOW", 0.5)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12000\r\n\r\n"

    assert (await answer_to(port, head, *[b"x" * 2000] * 6, pause=0.1)).endswith(b"12000")


async def test_body_that_does_not_come_on_ends_the_request(port, monkeypatch):
    """A byte now and then is not enough."""
    monkeypatch.setattr(patience, "BODY_WINDOW", 0.1)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12000\r\n\r\n"

    assert await answer_to(port, head, b"x", pause=0.05) == b""


async def test_connections_that_wait_make_room_when_descriptors_run_short(port, monkeypatch):
    """The one that has waited longest goes first, so that a probe always finds a place."""
    oldest = await asyncio.open_connection("127.0.0.1", port)
    oldest[1].write(b"GET / HT")
    await oldest[1].drain()
    await asyncio.sleep(0.05)
    monkeypatch.setattr(patience, "_descriptors_in_short_supply", lambda: 0)

    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        with contextlib.suppress(ConnectionError):
            assert await oldest[0].read() == b""
    writer.close()
    oldest[1].close()
