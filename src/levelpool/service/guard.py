"""The gate in front of every address: who is asking, may they at all, and does a change come from our own page."""

import hmac
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from levelpool.errors import LevelpoolError
from levelpool.service.errors import error_response
from levelpool.service.tokens import Credentials
from levelpool.web.auth import AccessDenied, Role, bearer_token, unauthenticated

SESSION_COOKIE = "levelpool_session"
CSRF_HEADER = "x-csrf-token"
SIGN_IN = "/sign-in"

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
        credentials: Credentials = scope["app"].state.service.credentials
        answer: ASGIApp = self.app
        try:
            await _admit(request, credentials)
        except AccessDenied as error:
            answer = _refuse(request, error)
        except LevelpoolError as error:  # the lane is full, the database is away: nobody is let in unchecked
            answer = error_response(error)
        await answer(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether *path* needs no credentials."""
    return path in _OPEN or path.startswith("/static/")


async def _admit(request: Request, credentials: Credentials) -> None:
    token = bearer_token(request)
    secret = request.cookies.get(SESSION_COOKIE) if token is None else None
    session = await credentials.of_session(secret) if secret else None
    identity = session.identity if session else await credentials.of_token(token) if token else None
    if identity is None:
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
