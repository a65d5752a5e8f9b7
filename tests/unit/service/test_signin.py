"""Guesses are slowed down; the way back after sign-in never leads out of the service."""

import pytest

from levelpool.service.errors import Refusal
from levelpool.service.signin import Attempts, local_target


def test_sixth_failure_within_a_minute_is_refused_and_a_minute_later_allowed():
    """Who guesses gets five tries a minute; somebody else's address is not touched."""
    now = 0.0
    attempts = Attempts(clock=lambda: now)
    for _ in range(5):
        attempts.check("10.0.0.1")
        attempts.failed("10.0.0.1")

    with pytest.raises(Refusal) as refused:
        attempts.check("10.0.0.1")
    attempts.check("10.0.0.2")
    now = 60.0
    attempts.check("10.0.0.1")

    assert refused.value.status_code == 429
    assert refused.value.headers == {"Retry-After": "60"}


def test_success_forgets_the_failures():
    """A mistyped token does not count against the next visit."""
    attempts = Attempts()
    for _ in range(5):
        attempts.failed("10.0.0.1")
    attempts.succeeded("10.0.0.1")

    attempts.check("10.0.0.1")


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
