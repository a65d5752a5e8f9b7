"""
Calls that kill workers: after a few deaths by the same call with the same arguments it is refused for a while, instead of killing one worker after another.

The same means every byte: to refuse a call wrongly would be worse than one more death. To digest large arguments takes time, so it is done beside the loop,
for a call that has killed its worker, and for one whose arguments are exactly as long as such a call's.
"""

import hashlib
import threading
from collections import OrderedDict
from typing import NamedTuple

from levelpool.errors import TaskRefused
from levelpool.lanes.call import Call, LargePayload
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
    """Which calls killed how many workers, and when last. Its lane calls it under the lane's lock, which `inspect` takes itself."""

    def __init__(self, most_kills: int, lock: threading.RLock) -> None:
        """*most_kills* deaths are suffered."""
        self._most_kills = most_kills
        self._lock = lock
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    def inspect(self, payload: MemfdPayload) -> None:
        """A large call is packed, and not on a loop: digest it if a call with arguments of this length has killed a worker, so that it can be judged."""
        with self._lock:
            is_alike = any(record.length == payload.length for record in self._records.values())
        if is_alike:
            payload.take_digest()

    def killed(self, call: Call, payload: bytes | LargePayload | None, moment: float) -> None:
        """Note that such a call killed its worker; a large payload that was not digested cannot be told from others, and does not count."""
        mark = _fingerprint(call, payload)
        if mark is None:
            return
        deaths, last, length = self._records.pop(mark, _Record(0, moment, _length(payload)))
        self._records[mark] = _Record(deaths + 1 if moment - last < REMEMBERED else 1, moment, length)
        if len(self._records) > _MOST:
            self._records.popitem(last=False)

    def survived(self, call: Call) -> None:
        """Note that such a call came to an end."""
        if self._records and (mark := _fingerprint(call, call.payload)) is not None:
            self._records.pop(mark, None)

    def refusal(self, call: Call, payload: bytes | LargePayload, moment: float) -> TaskRefused | None:
        """Why such a call is not run now, if it is not."""
        if not self._records or (mark := _fingerprint(call, payload)) is None:
            return None
        deaths, last, _ = self._records.get(mark, _Record(0, 0.0, 0))
        left = last + REFUSED - moment
        if deaths < self._most_kills or left <= 0:
            return None
        return TaskRefused(
            f"{call.name} has killed {deaths} workers in a row with these arguments: it is refused for {left:.0f} s more", retry_after=left
        )


def _length(payload: bytes | LargePayload | None) -> int:
    return len(payload) if isinstance(payload, bytes) else payload.length if payload is not None else 0


def _fingerprint(call: Call, payload: bytes | LargePayload | None) -> bytes | None:
    content = payload.digest if isinstance(payload, MemfdPayload) else payload
    return hashlib.blake2b(call.function_ref + b"\0" + content, digest_size=16).digest() if isinstance(content, bytes) else None
