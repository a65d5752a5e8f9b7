"""Every variable is read, and a value that cannot be used is refused in one line."""

from pathlib import Path

import pytest

from levelpool.errors import SettingsError
from levelpool.settings import Settings

NUMBERS = [each.name for each in Settings.variables() if "number" in each.allowed]


def test_empty_environment_gives_the_defaults():
    """An empty variable counts as not set."""
    assert Settings.read({}) == Settings() == Settings.read({"WEB_CONCURRENCY": " ", "LEVELPOOL_PORT": ""})


def test_service_listens_on_loopback_unless_told_otherwise():
    """Nobody is on a network by accident."""
    assert Settings.read({}).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CPU_EXECUTOR_WORKERS", "3", "cpu_executor_workers", 3),
        ("DB_MAX_OVERFLOW", "0", "db_max_overflow", 0),
        ("RESOURCE_MONITOR_ENABLED", "False", "monitor_enabled", False),
        ("RESOURCE_MONITOR_CPU_THRESHOLD", "72.5", "monitor_cpu_threshold", 72.5),
        ("LEVELPOOL_ALERT_URLS", "json://a  json://b", "alert_urls", ("json://a", "json://b")),
        ("LEVELPOOL_ENV", "production", "environment", "production"),
        ("LEVELPOOL_DATA_DIR", " /data ", "data_dir", Path("/data")),
    ],
)
def test_variable_becomes_its_field(variable, text, field, value):
    """Text becomes a number, a switch, words or a path; blanks around it do not count."""
    assert getattr(Settings.read({variable: text}), field) == value


@pytest.mark.parametrize("text", ["many", "-1", "nan", "1e400", "0x10", "³", "--"])
@pytest.mark.parametrize("variable", NUMBERS)
def test_number_that_is_none_is_refused(variable, text):
    """One line names the variable, the value and what is allowed."""
    with pytest.raises(SettingsError) as got:
        Settings.read({variable: text})

    assert str(got.value).startswith(f"{variable} is {text!r}: it must be a ")
    assert "\n" not in str(got.value)


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        ("LEVELPOOL_ENV", "staging", "development or production"),
        ("LEVELPOOL_CPU_BACKEND", "ray", "process or dask"),
        ("LEVELPOOL_DASK_SCHEDULER", "10.0.0.5:8786", "an address like tcp://host:8786"),
        ("LEVELPOOL_DASK_SCHEDULER", "tcp://10.0.0.5", "an address like tcp://host:8786"),
        ("RESOURCE_MONITOR_ENABLED", "maybe", "true or false"),
        ("CPU_EXECUTOR_WORKERS", "0", "a whole number from 1 on"),
        ("RESOURCE_MONITOR_MEMORY_THRESHOLD", "101", "a number from 0 to 100"),
        ("LEVELPOOL_PORT", "65536", "a whole number from 0 to 65535"),
        ("LEVELPOOL_KEEP_FILES_DAYS", "36501", "a whole number from 1 to 36500"),
        ("LEVELPOOL_LOOP_LAG_THRESHOLD", "1e10", "a number from 0.001 to 3600"),
        ("LEVELPOOL_DATABASE_URL", "orders.sqlite", "a postgresql:// or sqlite:///file URL"),
    ],
)
def test_value_out_of_bounds_is_refused(variable, text, allowed):
    """The line says what would be allowed."""
    with pytest.raises(SettingsError, match=f"{variable} is '{text}': it must be {allowed}"):
        Settings.read({variable: text})


@pytest.mark.parametrize("text", ["mysql://u:s3cret@h/db", "sqlite://", "sqlite:///:memory:", "postgresql:s3cret"])
def test_database_that_cannot_be_used_is_refused_without_its_secrets(text):
    """The line names the variable and the scheme; the rest of a URL may hold a password."""
    scheme = text.partition(":")[0]
    with pytest.raises(
        SettingsError, match=f"^LEVELPOOL_DATABASE_URL is '{scheme}:...': it must be a postgresql:// or sqlite:///file URL$"
    ):
        Settings.read({"LEVELPOOL_DATABASE_URL": text})


@pytest.mark.parametrize("text", ["postgresql://u:p@h/db", "postgres://h", "postgresql+psycopg:///db?host=/run", "sqlite:///a.sqlite"])
def test_database_of_either_kind_is_taken(text):
    """Each way to write a URL of the two kinds."""
    assert Settings.read({"LEVELPOOL_DATABASE_URL": text}).database == text


def test_variable_that_is_not_asked_for_is_not_looked_at():
    """Its field keeps its default, whatever the variable holds; the ones asked for count."""
    odd = {each.name: "odd" for each in Settings.variables()} | {"DB_POOL_SIZE": "3"}

    assert Settings.read(odd, only={"db_pool_size"}) == Settings(db_pool_size=3)


def test_dask_without_its_scheduler_is_refused():
    """One line names both variables and says what is missing."""
    with pytest.raises(
        SettingsError, match=r"^LEVELPOOL_CPU_BACKEND is 'dask', and LEVELPOOL_DASK_SCHEDULER is not set: it must be an address like"
    ):
        Settings.read({"LEVELPOOL_CPU_BACKEND": "dask"})


def test_token_that_is_too_short_is_not_shown():
    """It is a secret all the same."""
    with pytest.raises(SettingsError) as got:
        Settings.read({"LEVELPOOL_ADMIN_TOKEN": "s3cret"})

    assert str(got.value) == "LEVELPOOL_ADMIN_TOKEN is 6 characters long: it must be at least 32 characters"


def test_every_variable_has_a_sentence_and_a_default():
    """The reference page is made of these."""
    assert all(each.sentence.endswith(".") and each.default and each.allowed for each in Settings.variables())
    assert len({each.name for each in Settings.variables()}) == len(Settings.variables())
