"""The way back after sign-in never leads out of the service."""

import pytest

from levelpool.service.signin import local_target


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("/files/3?tab=rows", "/files/3?tab=rows"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_way_back_stays_here(asked, target):
    """A link to the sign-in page cannot send the signed-in person elsewhere."""
    assert local_target(asked) == target
