"""What all tests share: tests that this machine cannot run are left out, and said."""

import pytest

import machine


def pytest_report_header() -> list[str]:
    """One line per kind of test that is left out."""
    return [f"left out: {marker} tests, they need {', '.join(packages)}" for marker, packages in machine.missing().items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test whose tool is not on this machine is deselected, not skipped: the header has said so."""
    absent = machine.missing()
    left_out = [item for item in items if any(item.get_closest_marker(marker) for marker in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
