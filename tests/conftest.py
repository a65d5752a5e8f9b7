"""What tests of every room may ask for: databases, the same test on SQLite and on PostgreSQL; what this machine cannot run; and in which order."""

import contextlib
import gc
import os
import signal
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import machine
from servers import PostgresServer

SECONDS = "levelpool/seconds"
"""Where the cache of pytest keeps what each file took last."""

# How fast a machine draws examples, or runs one, is no truth about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """A run that a shell began in the background ignores Ctrl-C, and every program that it starts would too; and the run is timed."""
    if not hasattr(config, "workerinput"):  # of several processes, the one that hears of all tests
        config.pluginmanager.register(Stopwatch())
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: most tests wait for other processes. A hyperthread is a core here."""
    return (os.cpu_count() or 1) + 1


def pytest_report_header() -> list[str]:
    """One line per kind of test that is left out."""
    return [f"left out: {marker} tests, they need {', '.join(packages)}" for marker, packages in machine.missing().items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test whose tool is not on this machine is left out, not skipped: the header has said so."""
    absent = machine.missing()
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    # The longest files are begun first, so that at the end nobody waits for one of them; the order changes no result.
    seconds = config.cache.get(SECONDS, {}) if config.cache else {}
    items.sort(key=lambda item: -seconds.get(item.path.name, 0.0))


class Stopwatch:
    """Adds up the seconds that each file takes, and keeps them for the next run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[Path(report.location[0]).name] += report.duration

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.cache:
            session.config.cache.set(SECONDS, session.config.cache.get(SECONDS, {}) | self.seconds)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: a test that collects garbage looks at its own, not at a million objects of the test runner."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL server for the whole run."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def start_postgres():
    """A function that starts another PostgreSQL server with settings of its own, for this test only."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(PostgresServer(**settings))


@pytest.fixture
def postgres_url(request):
    """The URL of a new PostgreSQL database of this test."""
    server = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path):
    """The URL of a new SQLite file of this test."""
    return f"sqlite:///{tmp_path / 'levelpool.sqlite'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request):
    """The URL of a new, empty database: the same test runs on SQLite and on PostgreSQL."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
