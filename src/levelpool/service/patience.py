"""
How long a client may take: its headers come within seconds, its body comes on, and whoever does neither makes room for others.

uvicorn, which reads requests, waits without an end for both.
"""

import asyncio
import json
import resource
from typing import TYPE_CHECKING, Any

from levelpool.service.errors import error_body

HEADERS_WITHIN = 10.0
"""Seconds from the connection, or from the first byte of a further request on it, to the end of its headers."""
BODY_WINDOW = 30.0
"""Seconds in which a body that is not there whole brings at least `BODY_LEAST` bytes."""
BODY_LEAST = 1024

_LATE = json.dumps(error_body("too_slow", f"The headers did not come within {HEADERS_WITHIN:g} s.")).encode()
_LATE_ANSWER = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_LATE),
    _LATE,
)

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol  # the fastest that is installed; all have the same attributes


class PatientProtocol(Protocol):
    """One connection, with an end to waiting; chosen parser and answers are uvicorn's own."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers; when descriptors run short, whoever has waited longest without a request goes."""
        super().connection_made(transport)
        self._received = 0
        self._body_timer: asyncio.TimerHandle | None = None
        self._headers_timer: asyncio.TimerHandle | None = self.loop.call_later(HEADERS_WITHIN, self._headers_are_late)
        self.waits_since: float = self.loop.time()
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None and descriptor.fileno() >= _descriptors_in_short_supply():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Hand on what came, and see what is waited for now."""
        self._received += len(data)
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or self.answers():
            self._stop_waiting_for_headers()
        elif self._headers_timer is None:
            self.waits_since = self.loop.time()
            self._headers_timer = self.loop.call_later(HEADERS_WITHIN, self._headers_are_late)
        if self._body_timer is None and self._body_is_due():
            self._watch_body()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting_for_headers()
        if self._body_timer is not None:
            self._body_timer.cancel()
        super().connection_lost(exc)

    def answers(self) -> bool:
        """Whether a request is there that has not been answered whole."""
        # There is none before the first request, whatever the declared type says.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    def _body_is_due(self) -> bool:
        return self.answers() and self.cycle.more_body

    def _stop_waiting_for_headers(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _headers_are_late(self) -> None:
        self._headers_timer = None
        if not self.transport.is_closing():
            self.transport.write(_LATE_ANSWER)
            self.transport.close()

    def _watch_body(self) -> None:
        seen = self._received

        def look() -> None:
            self._body_timer = None
            if not self._body_is_due() or self.transport.is_closing():
                return
            # One that we do not read, because what came is not yet written, is not late.
            if self._received - seen < BODY_LEAST and not self.flow.read_paused:
                self.transport.close()
                return
            self._watch_body()

        self._body_timer = self.loop.call_later(BODY_WINDOW, look)

    def _make_room(self) -> None:
        waiting = [each for each in self.connections if isinstance(each, PatientProtocol) and each is not self and not each.answers()]
        if waiting:
            min(waiting, key=lambda each: each.waits_since).transport.abort()


def _descriptors_in_short_supply() -> int:
    """The descriptor from which on connections that wait make room: the system gives the lowest that is free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - max(8, soft // 10)
