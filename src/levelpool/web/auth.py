"""Who may do what: roles, identities, and the dependencies that check them in any FastAPI app."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request
from starlette.exceptions import HTTPException


class Role(StrEnum):
    """What a token may do; each role of viewer, operator, admin includes the ones before it, `scrape` opens metrics only."""

    SCRAPE = "scrape"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether a token of this role may do what asks for *needed*."""
        return needed in _COVERS[self]


_COVERS = {
    Role.SCRAPE: frozenset({Role.SCRAPE}),
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.ADMIN: frozenset(Role),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request."""

    name: str  # the token's name, as the audit shows it
    role: Role


class AccessDenied(HTTPException):
    """No credentials (401), or a role that is too low (403); `code` is the short word of the error answer."""

    def __init__(self, status_code: int, code: str, message: str) -> None:
        super().__init__(status_code, message, {"WWW-Authenticate": "Bearer"} if status_code == 401 else None)
        self.code = code


def unauthenticated() -> AccessDenied:
    """The answer to a request without valid credentials."""
    return AccessDenied(401, "unauthenticated", "This needs a valid token: send it as 'Authorization: Bearer TOKEN', or sign in.")


def bearer_token(request: Request) -> str | None:
    """The token of the Authorization header, if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return _as_sent(token.strip()) or None if scheme.lower() == "bearer" else None


def _as_sent(text: str) -> str:
    # HTTP leaves open what letters beyond ASCII are: most clients send UTF-8, some Latin-1, as which headers are read.
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def require(role: Role) -> Callable[[Request], Awaitable[Identity]]:
    """
    A dependency that lets a request through when its identity covers *role*, and returns that identity.

    The identity is what an authenticating middleware left on `request.state.identity`; in an app without one, the bearer
    token must be the `admin_token` of the settings of `app.state.levelpool` (LEVELPOOL_ADMIN_TOKEN).
    Raises `AccessDenied`: 401 without credentials, 403 when the role is too low.
    """

    async def check(request: Request) -> Identity:
        identity = getattr(request.state, "identity", None) or _admin_of_settings(request)
        if not isinstance(identity, Identity):
            raise unauthenticated()
        if not identity.role.covers(role):
            raise AccessDenied(403, "role_too_low", f"This needs the role {role}; this token has the role {identity.role}.")
        return identity

    return check


require_viewer = require(Role.VIEWER)
require_operator = require(Role.OPERATOR)
require_admin = require(Role.ADMIN)
require_scrape = require(Role.SCRAPE)


def _admin_of_settings(request: Request) -> Identity | None:
    runtime = getattr(request.app.state, "levelpool", None)
    expected: str | None = getattr(getattr(runtime, "settings", None), "admin_token", None)
    given = bearer_token(request)
    if expected is None or given is None or not hmac.compare_digest(given.encode(), expected.encode()):
        return None
    return Identity("LEVELPOOL_ADMIN_TOKEN", Role.ADMIN)
