"""What a session takes from the environment: what nobody said, and nothing else."""

import pytest

from levelpool.errors import SettingsError
from levelpool.ingest.config import IngestConfig
from levelpool.ingest.session import Session
from levelpool.settings import Settings
from levelpool.sheets.read.limits import Limits
from levelpool.sizing import Sizes
from levelpool.testing import inline_manager

SIZES = Sizes(web_concurrency=1, cpu_workers=1, io_workers=1, db_pool_size=1, db_max_overflow=0, worker_memory_limit=1 << 30)


@pytest.fixture
async def open_session(tmp_path):
    """Opens a session with a configuration of one's own; closes it at the end."""
    sessions = []

    async def open_it(**said):
        config = IngestConfig(database_url=f"sqlite:///{tmp_path}/sales.sqlite", **said)
        sessions.append(Session(config, manager))
        return await sessions[-1].open()

    async with inline_manager() as manager:
        yield open_it
        for session in sessions:
            await session.aclose()


async def test_session_of_a_program_without_a_server_needs_no_port(open_session, tmp_path, monkeypatch):
    """What the service alone uses is not looked at; the folder and the limits of files are."""
    monkeypatch.setenv("LEVELPOOL_PORT", "odd")
    monkeypatch.setenv("LEVELPOOL_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("LEVELPOOL_MAX_COLUMNS", "7")

    session = await open_session()

    assert session.work == tmp_path / "kept" / "work"
    assert session.limits == Limits(max_columns=7)


async def test_session_that_was_told_everything_does_not_look_at_the_environment(open_session, tmp_path, monkeypatch):
    """Every variable is odd, and nothing is in the way."""
    for each in Settings.variables():
        monkeypatch.setenv(each.name, "odd")

    session = await open_session(data_dir=tmp_path, limits=Limits(), share_files_from=0, sizes=SIZES)

    assert session.engine.pool.size() == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LEVELPOOL_MAX_COLUMNS", {"share_files_from": 0}),
        ("LEVELPOOL_SHARE_FILES_FROM", {"limits": Limits()}),
        ("DB_POOL_SIZE", {"limits": Limits(), "share_files_from": 0}),
    ],
)
async def test_odd_variable_that_is_needed_is_refused(open_session, tmp_path, monkeypatch, name, said):
    """One line names it, as at the start of a service."""
    monkeypatch.setenv(name, "odd")

    with pytest.raises(SettingsError, match=f"^{name} is 'odd': it must be "):
        await open_session(data_dir=tmp_path, **said)
