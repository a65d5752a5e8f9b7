"""Failed attempts to get in, counted in one file for all web workers of a host: who guesses is slowed down, whichever of them answers."""

import fcntl
import hashlib
import logging
import math
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from levelpool.service.errors import Refusal

SIGN_INS = 5
"""Failed sign-ins of one address within `WINDOW`."""
OF_PREFIX = 5
"""Wrong bearer tokens with the same first `PREFIX` characters from one address within `WINDOW`."""
OF_ADDRESS = 20
"""Wrong bearer tokens from one address within `WINDOW`, whatever they begin with."""
WINDOW = 60.0
"""Seconds for which a failure counts."""
PREFIX = 8

_MOST = max(SIGN_INS, OF_PREFIX, OF_ADDRESS)
_ENTRY = struct.Struct(f"<Q{_MOST}d")  # who, and the moments of its last failures
_ENTRIES = 8
"""Of one bucket: the one whose last failure is longest ago makes room."""
_BUCKETS = 512
_BUCKET = _ENTRIES * _ENTRY.size

logger = logging.getLogger(__name__)


class Attempts:
    """
    Counts failures by who made them; of more than about 4,000 at a time those that failed longest ago are forgotten.

    *path* names a file that other processes of the host count in, too; without one, the count is this process's own.
    Moments are those of the host's monotonic clock; one that lies ahead is from before the host's last start, and does not count.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._file = None if path is None else _open(path)
        self._own: dict[int, bytes] = {}

    def check(self, address: str) -> None:
        """Raises `Refusal` (429, with Retry-After) when *address* has failed to sign in too often."""
        wait = self._wait(f"sign-in {address}", SIGN_INS)
        if wait:
            raise _refusal("failed sign-ins", wait)

    def failed(self, address: str) -> None:
        """Remember one failed sign-in of *address*."""
        self._add(f"sign-in {address}")

    def succeeded(self, address: str) -> None:
        """Forget the failed sign-ins of *address*."""
        self._change(f"sign-in {address}", lambda _: ())

    def wrong_token(self, address: str, token: str) -> None:
        """
        Remember a bearer token that is not valid; raises `Refusal` (429, with Retry-After) when there were too many like it.

        A valid one never comes here: it is let in, whatever others of its address have sent.
        """
        keys = ((f"token {address} {token[:PREFIX]}", OF_PREFIX), (f"address {address}", OF_ADDRESS))
        wait = max(self._wait(key, most) for key, most in keys)
        if wait:
            raise _refusal("wrong tokens", wait)
        for key, _ in keys:
            self._add(key)

    def close(self) -> None:
        """Let go of the file; what was counted stays in it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ---------------------------------------------------------------- moments of one

    def _wait(self, key: str, most: int) -> int:
        """Whole seconds until *key* may fail again; 0: it may now."""
        recent = self._recent(self._find(key, self._read(key)))
        return max(1, math.ceil(recent[-most] + WINDOW - self._clock())) if len(recent) >= most else 0

    def _add(self, key: str) -> None:
        self._change(key, lambda moments: [*self._recent(moments), self._clock()][-_MOST:])

    def _recent(self, moments: Sequence[float]) -> list[float]:
        now = self._clock()
        return sorted(at for at in moments if now - WINDOW < at <= now)

    def _find(self, key: str, bucket: bytes) -> Sequence[float]:
        who = _who(key)
        return next((moments for found, *moments in _ENTRY.iter_unpack(bucket) if found == who), ())

    def _change(self, key: str, change: Callable[[Sequence[float]], Sequence[float]]) -> None:
        who = _who(key)
        with self._locked():
            bucket = self._read(key)
            entries = [(found, moments) for found, *moments in _ENTRY.iter_unpack(bucket)]
            others = sorted((each for each in entries if each[0] != who), key=lambda each: max(each[1]), reverse=True)
            moments = change(self._find(key, bucket))
            mine = _ENTRY.pack(who, *moments, *[-math.inf] * (_MOST - len(moments)))
            self._write(key, mine + b"".join(_ENTRY.pack(found, *at) for found, at in others[: _ENTRIES - 1]))

    # ---------------------------------------------------------------- buckets

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file is None:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _read(self, key: str) -> bytes:
        number = _who(key) % _BUCKETS
        found = self._own.get(number, b"") if self._file is None else os.pread(self._file, _BUCKET, number * _BUCKET)
        return found if len(found) == _BUCKET else _ENTRY.pack(0, *[-math.inf] * _MOST) * _ENTRIES

    def _write(self, key: str, bucket: bytes) -> None:
        number = _who(key) % _BUCKETS
        if self._file is None:
            self._own[number] = bucket
            return
        os.pwrite(self._file, bucket, number * _BUCKET)


def _open(path: Path) -> int | None:
    """The file with room for all that it may hold, so that a disk that is full later does not matter; None where there is none now."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.posix_fallocate(descriptor, 0, _BUCKETS * _BUCKET)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): each web worker counts failed sign-ins and wrong tokens for itself", path, error.strerror
        )
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def _refusal(what: str, wait: int) -> Refusal:
    return Refusal(429, "too_many_attempts", f"Too many {what}: try again in {wait} s.", headers={"Retry-After": str(wait)})


def _who(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8).digest(), "little")
