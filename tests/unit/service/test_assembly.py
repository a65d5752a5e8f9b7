"""The parts of the service get what they need from its settings, and from nowhere else."""

from levelpool.pools import pool_stats
from levelpool.service.assembly import open_service
from levelpool.settings import Settings


async def test_settings_that_are_handed_in_hold_for_every_part(tmp_path, monkeypatch):
    """No part looks at the environment once more: every variable is odd, and the ledger's pool and sharing of files are as the settings say."""
    for each in Settings.variables():
        monkeypatch.setenv(each.name, "odd")
    settings = Settings(data_dir=tmp_path, db_pool_size=2, db_max_overflow=1, share_files_from=1234, max_columns=7, shutdown_timeout=2.0)
    settings.inbox_folder.mkdir()

    async with open_service(settings) as service:
        session = service.ingestion.intake.session
        stats = pool_stats(session.engine)

    assert (stats.size, stats.max_overflow) == (2, 1)
    assert (session.config.share_files_from, session.limits.max_columns) == (1234, 7)
    assert (tmp_path / "files").is_dir()
