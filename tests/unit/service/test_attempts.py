"""Guesses are slowed down, whichever web worker answers them; who knows a token never is."""

import errno
import os

import pytest

from levelpool.service import attempts as module
from levelpool.service.attempts import Attempts
from levelpool.service.errors import Refusal


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["own", "file"])
def attempts(request, tmp_path, clock):
    made = Attempts(tmp_path / "attempts" if request.param == "file" else None, clock=clock)
    yield made
    made.close()


def tokens_taken(attempts, tokens, address="10.0.0.1"):
    """How many wrong tokens are answered before one is refused."""
    for number, token in enumerate(tokens):
        try:
            attempts.wrong_token(address, token)
        except Refusal:
            return number
    return None


def test_sixth_failed_sign_in_within_a_minute_is_refused_and_a_minute_later_allowed(attempts, clock):
    """Who guesses gets five tries a minute; somebody else's address is not touched."""
    for _ in range(5):
        attempts.check("10.0.0.1")
        attempts.failed("10.0.0.1")

    with pytest.raises(Refusal) as refused:
        attempts.check("10.0.0.1")
    attempts.check("10.0.0.2")
    clock.now += 60.0
    attempts.check("10.0.0.1")

    assert refused.value.status_code == 429
    assert refused.value.headers == {"Retry-After": "60"}


def test_success_forgets_the_failures(attempts):
    """A mistyped token does not count against the next visit."""
    for _ in range(5):
        attempts.failed("10.0.0.1")
    attempts.succeeded("10.0.0.1")

    attempts.check("10.0.0.1")


def test_wrong_tokens_are_counted_by_address_and_first_characters(attempts, clock):
    """A client with an old token is slowed after 5 a minute, one that tries many after 20, and no other address with them."""
    assert tokens_taken(attempts, ["lp_old-token"] * 9) == module.OF_PREFIX
    assert tokens_taken(attempts, [f"{number:08d}" for number in range(99)]) == module.OF_ADDRESS - module.OF_PREFIX
    assert tokens_taken(attempts, ["lp_old-token"] * 5, address="10.0.0.2") is None
    clock.now += 60.0
    assert tokens_taken(attempts, ["lp_old-token"] * 5) is None


def test_failures_count_in_all_processes_that_share_the_file(tmp_path, clock):
    """Five tries a minute are five, and not five with each web worker."""
    workers = [Attempts(tmp_path / "attempts", clock=clock) for _ in range(2)]

    taken = [tokens_taken(workers[number % 2], ["lp_old-token"]) for number in range(9)]

    assert taken == [None] * module.OF_PREFIX + [0] * (9 - module.OF_PREFIX)
    for each in workers:
        each.close()


def test_moments_from_before_the_last_start_of_the_host_do_not_count(tmp_path, clock):
    """The host's clock begins anew: what lies ahead of it is not recent."""
    before = Attempts(tmp_path / "attempts", clock=clock)
    assert tokens_taken(before, ["lp_old-token"] * 9) == module.OF_PREFIX
    before.close()
    clock.now = 5.0

    after = Attempts(tmp_path / "attempts", clock=clock)
    assert tokens_taken(after, ["lp_old-token"]) is None
    after.close()


def test_many_who_fail_are_forgotten_in_order(attempts, clock):
    """The count takes no more room, however many addresses there are; the last one is still known."""
    for number in range(10_000):
        attempts.failed(f"10.{number}")
        clock.now += 0.001
    for _ in range(4):
        attempts.failed("10.9999")

    with pytest.raises(Refusal):
        attempts.check("10.9999")
    attempts.check("10.0")


def test_file_that_cannot_be_written_leaves_each_process_with_its_own_count(tmp_path, clock, monkeypatch, caplog):
    """A disk that is full at the start does not stop the service, and is said."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    attempts = Attempts(tmp_path / "attempts", clock=clock)

    assert tokens_taken(attempts, ["lp_old-token"] * 9) == module.OF_PREFIX
    assert "No space left" in caplog.text
