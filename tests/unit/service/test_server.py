"""What keeps the service from starting is found before it says that it serves."""

import pytest

from levelpool.errors import LevelpoolError, SettingsError
from levelpool.service.server import prepare
from levelpool.settings import Settings


@pytest.mark.parametrize("variable", ["LEVELPOOL_ALERT_URLS", "LEVELPOOL_RUNTIME_DIR"])
def test_value_that_only_the_running_service_needs_is_checked_first(tmp_path, variable):
    """One sentence with the name of the variable, and not a traceback of the application."""
    (tmp_path / "file").touch()
    value = {"LEVELPOOL_ALERT_URLS": "nosuch://s3cret", "LEVELPOOL_RUNTIME_DIR": str(tmp_path / "file")}[variable]

    with pytest.raises(SettingsError, match=f"^{variable}[^\n]*$"):
        prepare(Settings.read({"LEVELPOOL_DATA_DIR": str(tmp_path / "var"), variable: value}))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LEVELPOOL_DATA_DIR", "/dev/null/var", "the folder /dev/null/var cannot be made or used"),
        ("LEVELPOOL_INBOX", "/no/such/inbox", "/no/such/inbox"),
        ("LEVELPOOL_DATABASE_URL", "postgresql://levelpool:s3cret@127.0.0.1:9/sales", "127.0.0.1"),
        ("LEVELPOOL_SHUTDOWN_TIMEOUT", "soon", "LEVELPOOL_SHUTDOWN_TIMEOUT"),
    ],
)
def test_start_that_cannot_succeed_says_why_in_one_sentence(tmp_path, variable, value, told):
    """A folder, an inbox, a database, a value: each is named, and no password is."""
    with pytest.raises(LevelpoolError) as refused:
        prepare(Settings.read({"LEVELPOOL_DATA_DIR": str(tmp_path / "var"), variable: value}))

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)
