"""A stream of events ends when whoever reads it may not do so any more."""

import asyncio
from types import SimpleNamespace

import pytest

from levelpool.errors import DatabaseError
from levelpool.service import guard
from levelpool.service.attempts import Attempts
from levelpool.service.guard import Guard
from levelpool.web.auth import Identity, Role

ANN = Identity("ann", Role.ADMIN)


class Credentials:
    """Lets a token in until it is revoked; a database that is away says so."""

    def __init__(self):
        self.answer = ANN

    async def of_token(self, _token, **_believed):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def credentials():
    return Credentials()


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A test does not wait two seconds for the next look."""
    monkeypatch.setattr(guard, "LOOK_AGAIN", 0.0)


async def answer(credentials, app, sent):
    """Send a request with a token through the guard to *app*; its messages are appended to *sent*."""
    scope = {
        "type": "http", "method": "GET", "path": "/api/system/stream", "query_string": b"", "headers": [(b"authorization", b"Bearer t")],
        "app": SimpleNamespace(state=SimpleNamespace(service=SimpleNamespace(credentials=credentials, attempts=Attempts()))),
    }  # fmt: skip

    async def send(message):
        sent.append(message)

    await Guard(app)(scope, None, send)


def stream(kind: bytes, begun: asyncio.Event):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        begun.set()
        await asyncio.Event().wait()

    return app


async def begun(credentials, kind: bytes):
    """An answer of that kind that has begun, and the messages that it has sent."""
    has_begun, sent = asyncio.Event(), []
    answering = asyncio.create_task(answer(credentials, stream(kind, has_begun), sent))
    await has_begun.wait()
    return answering, sent


async def goes_on(answering: asyncio.Task[None]) -> bool:
    """Whether it does so over many looks at its credentials; it is ended then."""
    for _ in range(50):
        await asyncio.sleep(0)
    has_ended = answering.done()
    answering.cancel()
    await asyncio.wait([answering])
    return not has_ended and answering.cancelled()


async def test_stream_of_a_revoked_token_ends_whole(credentials):
    """The reader gets an end, not a broken connection."""
    answering, sent = await begun(credentials, b"text/event-stream; charset=utf-8")
    credentials.answer = None
    async with asyncio.timeout(10):
        await answering

    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_stream_goes_on_while_the_database_is_away(credentials):
    """Nobody was found to be out."""
    answering, _ = await begun(credentials, b"text/event-stream")
    credentials.answer = DatabaseError("it is away")

    assert await goes_on(answering)


async def test_answer_that_has_an_end_is_not_cut(credentials):
    """A download that began while the token was valid comes whole."""
    answering, _ = await begun(credentials, b"text/csv")
    credentials.answer = None

    assert await goes_on(answering)
