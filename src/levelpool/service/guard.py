"""The gate in front of every address: who is asking, may they at all, and does a change come from our own page."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from levelpool.errors import LevelpoolError
from levelpool.service.attempts import Attempts
from levelpool.service.errors import Refusal, error_response
from levelpool.service.tokens import Credentials
from levelpool.web.auth import AccessDenied, Role, bearer_token, unauthenticated

SESSION_COOKIE = "levelpool_session"
CSRF_HEADER = "x-csrf-token"
SIGN_IN = "/sign-in"

LOOK_AGAIN = 2.0
"""Seconds between two looks at the credentials of a stream, and for which an answer is believed there: together less than the 5 that are promised."""

_OPEN = frozenset({"/livez", "/readyz", SIGN_IN})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """
    Lets a request in when its credentials are valid; nothing is open unless it is named here.

    Leaves `identity` and, for a session, `csrf` on the request's state. The roles are checked by each address itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403 or (to a browser) 303 to the sign-in page."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        service = scope["app"].state.service
        credentials: Credentials = service.credentials
        answer: ASGIApp = self.app
        try:
            await _admit(request, credentials, service.attempts)
            answer = _EndedInTime(self.app, lambda: _is_still_in(request, credentials))
        except AccessDenied as error:
            answer = _refuse(request, error)
        except Refusal as error:  # too many wrong tokens
            answer = error_response(error)
        except LevelpoolError as error:  # the lane is full, the database is away: nobody is let in unchecked
            answer = error_response(error)
        await answer(scope, receive, send)


class _EndedInTime:
    """Ends an endless answer, a stream of events, when whoever reads it may not do so any more."""

    def __init__(self, app: ASGIApp, may_read: Callable[[], Awaitable[bool]]) -> None:
        self.app = app
        self.may_read = may_read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its answer is watched from its first byte on if it is a stream of events."""
        answering = asyncio.current_task()
        watcher: asyncio.Task[None] | None = None
        is_out = False

        async def watch() -> None:
            nonlocal is_out
            while await self.may_read():  # noqa: ASYNC110 (another process may revoke it: nobody tells)
                await asyncio.sleep(LOOK_AGAIN)
            if answering is not None:
                is_out = True
                answering.cancel()

        async def watched(message: Message) -> None:
            nonlocal watcher
            await send(message)
            if message["type"] == "http.response.start" and _is_stream(message):
                watcher = asyncio.create_task(watch(), name="levelpool stream guard")

        try:
            await self.app(scope, receive, watched)
        except asyncio.CancelledError:
            if not is_out or answering is None or answering.uncancel():
                raise  # somebody else has cancelled it, too
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if watcher is not None:
                watcher.cancel()


def _is_stream(message: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"])


async def _is_still_in(request: Request, credentials: Credentials) -> bool:
    """Whether the credentials of a request that was let in are still valid."""
    token = bearer_token(request)
    try:
        if token is not None:
            return await credentials.of_token(token, believed=LOOK_AGAIN) is not None
        return await credentials.of_session(request.cookies[SESSION_COOKIE], believed=LOOK_AGAIN) is not None
    except LevelpoolError:
        return True  # the database is away: nobody was found to be out, and it is asked again


def is_open(path: str) -> bool:
    """Whether *path* needs no credentials."""
    return path in _OPEN or path.startswith("/static/")


async def _admit(request: Request, credentials: Credentials, attempts: Attempts) -> None:
    token = bearer_token(request)
    secret = request.cookies.get(SESSION_COOKIE) if token is None else None
    session = await credentials.of_session(secret) if secret else None
    identity = session.identity if session else await credentials.of_token(token) if token else None
    if identity is None:
        if token is not None:
            attempts.wrong_token(request.client.host if request.client else "unknown", token)
        raise unauthenticated()
    if identity.role is Role.SCRAPE and request.url.path != "/metrics":
        raise AccessDenied(403, "role_too_low", "A scrape token opens /metrics only.")
    if session is not None:
        if request.method not in _SAFE_METHODS and not _from_our_page(request, session.csrf):
            raise AccessDenied(403, "csrf", "This change does not come from a page of this service: reload the page and try again.")
        request.state.csrf = session.csrf
    request.state.identity = identity


def _from_our_page(request: Request, csrf: str) -> bool:
    """The token proves it; a browser that says where the request comes from must not contradict."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode())


def _refuse(request: Request, error: AccessDenied) -> Response:
    if error.status_code != 401:
        return error_response(error)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{SIGN_IN}?next={quote(here, safe='/')}" if here != "/" else SIGN_IN, 303)
    response = error_response(error)
    if "hx-request" in request.headers:
        MutableHeaders(raw=response.raw_headers)["hx-redirect"] = SIGN_IN
    return response
