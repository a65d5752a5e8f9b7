"""The parts of the service get what they need from its settings, and from nowhere else."""

import asyncio

from levelpool import supervision
from levelpool.ingest.inbox import DataSyncService
from levelpool.monitoring.metrics import metric_samples
from levelpool.pools import pool_stats
from levelpool.service.assembly import Readiness, open_service
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


async def test_watch_of_the_inbox_that_ends_is_started_again_and_told(tmp_path, monkeypatch, caplog):
    """The log, the metric and readiness say so; the files that lie there are recorded all the same."""
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.0)
    settings = Settings(data_dir=tmp_path, cpu_executor_workers=1, shutdown_timeout=2.0)
    settings.inbox_folder.mkdir()
    (settings.inbox_folder / "orders.csv").write_text("number,name\n1,a\n", encoding="utf-8")
    scan, failures = DataSyncService.scan, [RuntimeError("nobody thought of this")]

    async def fail_once(self):
        if failures:
            raise failures.pop()
        return await scan(self)

    monkeypatch.setattr(DataSyncService, "scan", fail_once)
    async with open_service(settings) as service:
        async with asyncio.timeout(30):
            while not (await service.ingestion.files())["files"]:
                await asyncio.sleep(0.05)
        reasons = await Readiness(service).reasons()
        samples = metric_samples(await service.runtime.monitor.fresh())

    assert reasons == ["The background task inbox has ended (RuntimeError: nobody thought of this) and is started again; the log has more."]
    assert (("inbox",), 1.0) in samples["levelpool_background_task_restarts"]
    assert "the background task inbox has ended" in caplog.text
