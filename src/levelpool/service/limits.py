"""How large a request may be: refused by its declared length before the body is read, and by counting when it lies."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levelpool.service.errors import Refusal, error_response

SMALL_BODY = 64 * 1024
"""Most bytes of a request that carries no file."""

OPTIONS_ROOM = 256 * 1024
"""What the correction record may take: some thousand columns, each with a name and a type."""

MULTIPART_ROOM = OPTIONS_ROOM + 16 * 1024
"""What the boundaries, part headers and fields around one file may take."""


LINGER = 10.0
"""Seconds for which the rest of a refused request is read and dropped."""
SILENCE = 1.0
"""Seconds without a byte of it after which nothing more is awaited."""


def too_large(declared: int | None, allowed: int, variable: str | None) -> Refusal:
    """The 413 that names limit, value (unknown: None) and variable."""
    value = f"its {declared:,} bytes are over" if declared is not None else "it is over"
    hint = f"; {variable} sets it" if variable else ""
    return Refusal(
        413,
        "too_large",
        f"The request is too large: {value} the limit of {allowed:,} bytes{hint}.",
        headers={"Connection": "close"},
        limit="bytes",
        value=declared,
        allowed=allowed,
        variable=variable,
    )


class BodyLimit:
    """Refuses a body over *limit_of(path)*; the file itself is counted again where it is written."""

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[str], tuple[int, str | None]]) -> None:
        self.app = app
        self.limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 at once when the declared length is over the limit, else pass the request on and count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        allowed, variable = self.limit_of(scope["path"])
        declared = _declared_length(scope)
        if declared is not None and declared > allowed:
            await error_response(too_large(declared, allowed, variable))(scope, receive, send)
            return

        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > allowed:
                raise too_large(None, allowed, variable)
            return message

        await self.app(scope, counted, send)


class Linger:
    """
    Reads on for a while, and drops what it reads, when an answer that closes the connection comes before its request has ended.

    To close at once would reset the connection while the client still sends, and a browser, or a proxy in between, would tell of that
    and not of the answer. RFC 9112, section 9.6.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = LINGER) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; the end of such an answer waits until the client has sent all, has gone, is silent, or *seconds* are over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_ended = closes = False

        async def listening() -> Message:
            nonlocal has_ended
            message = await receive()
            has_ended = has_ended or not message.get("more_body", False)
            return message

        async def answering(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                closes = (b"connection", b"close") in message.get("headers", ())
            elif closes and not has_ended and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await self._drop(listening, lambda: has_ended)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, listening, answering)

    async def _drop(self, receive: Receive, has_ended: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                while not has_ended():
                    await asyncio.wait_for(receive(), SILENCE)
        except TimeoutError:
            pass  # it sends nothing, or goes on for ever: now the connection is closed all the same


def _declared_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
