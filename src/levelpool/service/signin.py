"""The sign-in page: a token in, a session cookie out; guesses are slowed down."""

import time
from collections import OrderedDict
from collections.abc import Callable

from levelpool.service.errors import Refusal

ATTEMPTS = 5
WINDOW = 60.0
ADDRESSES = 10_000


class Attempts:
    """Counts failed sign-ins per address: after 5 within a minute the next is refused until the minute is over."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises `Refusal` (429, with Retry-After) when *address* has failed too often."""
        recent = self._recent(address)
        if len(recent) >= ATTEMPTS:
            wait = max(1, round(recent[0] + WINDOW - self._clock()))
            raise Refusal(429, "too_many_attempts", f"Too many failed sign-ins: try again in {wait} s.", headers={"Retry-After": str(wait)})

    def failed(self, address: str) -> None:
        """Remember one failure of *address*; the oldest addresses are forgotten beyond 10,000."""
        self._failures[address] = [*self._recent(address), self._clock()]
        self._failures.move_to_end(address)
        while len(self._failures) > ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of *address*."""
        self._failures.pop(address, None)

    def _recent(self, address: str) -> list[float]:
        since = self._clock() - WINDOW
        return [at for at in self._failures.get(address, ()) if at > since]


def local_target(next_page: str) -> str:
    """Where to go after sign-in: *next_page* when it is an address of this service, else the first page."""
    is_local = next_page.startswith("/") and not next_page.startswith(("//", "/\\")) and next_page.isprintable()
    return next_page if is_local else "/"
