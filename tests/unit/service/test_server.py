"""What keeps the service from starting is found before it says that it serves."""

import pytest

from levelpool.errors import SettingsError
from levelpool.service.server import prepare
from levelpool.settings import Settings


@pytest.mark.parametrize("variable", ["LEVELPOOL_ALERT_URLS", "LEVELPOOL_RUNTIME_DIR"])
def test_value_that_only_the_running_service_needs_is_checked_first(tmp_path, variable):
    """One sentence with the name of the variable, and not a traceback of the application."""
    (tmp_path / "file").touch()
    value = {"LEVELPOOL_ALERT_URLS": "nosuch://s3cret", "LEVELPOOL_RUNTIME_DIR": str(tmp_path / "file")}[variable]

    with pytest.raises(SettingsError, match=f"^{variable}[^\n]*$"):
        prepare(Settings.read({"LEVELPOOL_DATA_DIR": str(tmp_path / "var"), variable: value}))
