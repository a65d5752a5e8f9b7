"""Calls that kill workers: after a few deaths by the same call with the same arguments it is refused for a while, instead of killing one worker after another."""

import hashlib
from collections import OrderedDict

from levelpool.errors import TaskRefused

REMEMBERED = 3600.0
"""Seconds after which a death no longer counts."""

REFUSED = 60.0
"""Seconds for which a call is refused; then it may be tried once more."""

_MOST = 1000


class Suspects:
    """Who killed how many workers, and when last. Its lane calls it under the lane's lock."""

    def __init__(self, most_kills: int | None) -> None:
        """*most_kills* deaths are suffered; None: any number."""
        self._most_kills = most_kills
        self._deaths: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def killed(self, reference: bytes, payload: bytes, moment: float) -> None:
        """Note that such a call killed its worker."""
        if self._most_kills is None:
            return
        call = _fingerprint(reference, payload)
        deaths, last = self._deaths.pop(call, (0, moment))
        self._deaths[call] = (deaths + 1 if moment - last < REMEMBERED else 1, moment)
        if len(self._deaths) > _MOST:
            self._deaths.popitem(last=False)

    def survived(self, reference: bytes, payload: bytes) -> None:
        """Note that such a call came to an end."""
        if self._deaths:
            self._deaths.pop(_fingerprint(reference, payload), None)

    def refusal(self, name: str, reference: bytes, payload: bytes, moment: float) -> TaskRefused | None:
        """Why such a call is not run now, if it is not."""
        if not self._deaths or self._most_kills is None:
            return None
        deaths, last = self._deaths.get(_fingerprint(reference, payload), (0, 0.0))
        left = last + REFUSED - moment
        if deaths < self._most_kills or left <= 0:
            return None
        return TaskRefused(
            f"{name} has killed {deaths} workers in a row with these arguments: it is refused for {left:.0f} s more", retry_after=left
        )


def _fingerprint(reference: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(reference + b"\0" + payload, digest_size=16).digest()
