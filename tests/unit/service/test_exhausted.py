"""A service whose pool has no connection left says so, in time."""

from dataclasses import replace

import httpx

from levelpool.pools import connection_holder
from levelpool.service.app import create_app
from levelpool.service.server import prepare
from levelpool.settings import Settings

TOKEN = "an-admin-token-of-more-than-thirty-two-characters"


async def test_exhausted_pool_is_503_with_its_holder(tmp_path, monkeypatch):
    """The error names who has the connections, and says when to come back; the system page answers meanwhile."""
    monkeypatch.setenv("DB_POOL_SIZE", "1")
    monkeypatch.setenv("DB_MAX_OVERFLOW", "0")
    settings = replace(Settings.read(), data_dir=tmp_path / "var", admin_token=TOKEN, shutdown_timeout=2.0)
    prepare(settings)
    app = create_app(settings)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers={"Authorization": f"Bearer {TOKEN}"})
    async with app.router.lifespan_context(app), client:
        before = await client.get("/api/files")
        engine = app.state.service.ingestion.intake.session.engine
        engine.pool._timeout = 0.3
        token = connection_holder.set("a long report")
        with engine.connect():
            refused = await client.get("/api/files")
            pools = (await client.get("/api/system/db-pool-stats")).json()["pools"]
        connection_holder.reset(token)
        after = await client.get("/api/files")

    assert (before.status_code, refused.status_code, after.status_code) == (200, 503, 200)
    assert refused.json()["error"]["code"] == "pool_exhausted"
    assert "held longest by a long report for" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"]
    assert pools[0]["holders"][0]["name"] == "a long report"
