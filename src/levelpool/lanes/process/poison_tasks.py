"""
Calls that kill workers: after a few deaths by the same call with the same arguments it is refused for a while, instead of killing one worker after another.

The same means every byte: to refuse a call wrongly would be worse than one more death. To digest large arguments takes time, so it is done beside the loop,
for a call that has killed its worker, and for one whose arguments are exactly as long as such a call's.
"""

import hashlib
from collections import OrderedDict
from typing import NamedTuple

from levelpool.errors import TaskRefused
from levelpool.lanes.process.memfd_payload import MemfdPayload

REMEMBERED = 3600.0
"""Seconds after which a death no longer counts."""

REFUSED = 60.0
"""Seconds for which a call is refused; then it may be tried once more."""

_MOST = 1000


class _Record(NamedTuple):
    """What a call has done so far."""

    deaths: int
    last: float
    length: int


class PoisonTasks:
    """Who killed how many workers, and when last. Its lane calls it under the lane's lock."""

    def __init__(self, most_kills: int | None) -> None:
        """*most_kills* deaths are suffered; None: any number."""
        self._most_kills = most_kills
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    @property
    def is_watching(self) -> bool:
        """Whether anybody is ever refused."""
        return self._most_kills is not None

    def resembles(self, memfd: MemfdPayload) -> bool:
        """Whether a call with arguments of this length has killed a worker: then the payload is to be digested before it is judged."""
        return any(record.length == memfd.length for record in self._records.values())

    def killed(self, function_ref: bytes, payload: bytes | MemfdPayload, moment: float) -> None:
        """Note that such a call killed its worker; a large payload that was not digested cannot be told from others, and does not count."""
        call = _fingerprint(function_ref, payload)
        if self._most_kills is None or call is None:
            return
        deaths, last, length = self._records.pop(call, _Record(0, moment, _length(payload)))
        self._records[call] = _Record(deaths + 1 if moment - last < REMEMBERED else 1, moment, length)
        if len(self._records) > _MOST:
            self._records.popitem(last=False)

    def survived(self, function_ref: bytes, payload: bytes | MemfdPayload) -> None:
        """Note that such a call came to an end."""
        if self._records and (call := _fingerprint(function_ref, payload)) is not None:
            self._records.pop(call, None)

    def refusal(self, name: str, function_ref: bytes, payload: bytes | MemfdPayload, moment: float) -> TaskRefused | None:
        """Why such a call is not run now, if it is not."""
        if not self._records or self._most_kills is None or (call := _fingerprint(function_ref, payload)) is None:
            return None
        deaths, last, _ = self._records.get(call, _Record(0, 0.0, 0))
        left = last + REFUSED - moment
        if deaths < self._most_kills or left <= 0:
            return None
        return TaskRefused(
            f"{name} has killed {deaths} workers in a row with these arguments: it is refused for {left:.0f} s more", retry_after=left
        )


def _length(payload: bytes | MemfdPayload) -> int:
    return payload.length if isinstance(payload, MemfdPayload) else len(payload)


def _fingerprint(function_ref: bytes, payload: bytes | MemfdPayload) -> bytes | None:
    content = payload.digest if isinstance(payload, MemfdPayload) else payload
    return hashlib.blake2b(function_ref + b"\0" + content, digest_size=16).digest() if content is not None else None
