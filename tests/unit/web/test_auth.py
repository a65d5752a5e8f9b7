"""Who may do what, in an app that is not ours."""

from types import SimpleNamespace

import httpx
import pytest
from fastapi import Depends, FastAPI

from levelpool.settings import Settings
from levelpool.web.auth import Identity, Role, require, require_admin

TOKEN = "t" * 32


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


def app_with_token(token: str | None) -> FastAPI:
    app = FastAPI()
    app.state.levelpool = SimpleNamespace(settings=Settings(admin_token=token))

    @app.get("/secret", dependencies=[Depends(require_admin)])
    async def secret() -> str:
        return "gold"

    return app


@pytest.mark.parametrize(
    ("role", "covered"),
    [
        (Role.SCRAPE, {Role.SCRAPE}),
        (Role.VIEWER, {Role.VIEWER}),
        (Role.OPERATOR, {Role.VIEWER, Role.OPERATOR}),
        (Role.ADMIN, {Role.SCRAPE, Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ],
)
def test_role_covers_exactly_what_it_includes(role, covered):
    """A scrape token opens metrics and nothing else; an admin opens everything."""
    assert {needed for needed in Role if role.covers(needed)} == covered


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Bearer wrong", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer ", 401),
        ("Bearer ünknown", 401),
    ],
)
async def test_admin_token_of_the_settings_opens(header, status):
    """Without any middleware of ours, LEVELPOOL_ADMIN_TOKEN is the key."""
    async with client_of(app_with_token(TOKEN)) as client:
        answer = await client.get("/secret", headers={"Authorization": header.encode("latin-1")} if header else {})

    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_token_beyond_ascii_opens_however_it_is_sent(encoding):
    """An operator may choose any letters, and HTTP does not say how they travel."""
    token = "schlüssel " * 4
    async with client_of(app_with_token(token.strip())) as client:
        answer = await client.get("/secret", headers={"Authorization": f"Bearer {token}".encode(encoding)})

    assert answer.status_code == 200


async def test_app_without_admin_token_lets_nobody_in():
    """No configured token is not the same as any token."""
    async with client_of(app_with_token(None)) as client:
        assert (await client.get("/secret", headers={"Authorization": "Bearer None"})).status_code == 401


async def test_role_too_low_is_told_both_roles():
    """403 says what is needed and what is there."""
    app = FastAPI()

    @app.middleware("http")
    async def authenticate(request, call_next):
        request.state.identity = Identity("eve", Role.VIEWER)
        return await call_next(request)

    @app.get("/change", dependencies=[Depends(require(Role.OPERATOR))])
    async def change() -> str:
        return "done"

    async with client_of(app) as client:
        answer = await client.get("/change")

    assert answer.status_code == 403
    assert "operator" in answer.text
    assert "viewer" in answer.text
