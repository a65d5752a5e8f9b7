"""
Long XML parts, cut where it is safe: runs of whole rows (or whole shared texts), and all the rest.

A reader that knows plain markup only may take a run by itself; whatever it does not take goes to a true XML parser, which also gets
all the rest. So the parser sees the part as it is, but for runs that were understood to the last byte.
"""

import re
from collections.abc import Generator, Iterable, Iterator

from levelpool.sheets.read.markup import is_utf8

HEAD = 1 << 20
"""The container opens within so many bytes, or the part is left to the parser."""

MOST_WAITING = 1 << 22
"""An item longer than this goes to the parser piece by piece: its memory must not grow with it."""


class Runs:
    """Cuts one part; *container* is the tag around the items, *item* the tag of one of them."""

    def __init__(self, container: str, item: str) -> None:
        self._opening = re.compile(rf"<(\w+:)?{container}(?:\s[^<>]*)?>".encode())
        self._container = container.encode()
        self._item = item.encode()
        self._given_up = False
        self.prefix = b""  # of all tags, with its colon; known as soon as the first run is out

    def give_up(self) -> None:
        """No run from now on: something was seen that only a parser gets right across the cuts, such as a comment."""
        self._given_up = True

    def split(self, blocks: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
        """The whole part in pieces, each with whether it is a run."""
        waiting = b""
        inside = False
        closing = item = b""
        for block in blocks:
            waiting = waiting + block if waiting else block
            if not inside and not self._given_up:
                opening = self._opening.search(waiting)
                if opening is None and len(waiting) < HEAD:
                    continue
                if opening is None or opening[0].endswith(b"/>") or not is_utf8(waiting) or b"<!" in waiting[: opening.end()]:
                    self.give_up()
                else:
                    inside = True
                    self.prefix = opening[1] or b""
                    item = b"<" + self.prefix + self._item
                    closing = b"</" + self.prefix + self._container
                    yield False, waiting[: opening.end()]
                    waiting = waiting[opening.end() :]
            if not self._given_up:
                waiting = yield from self._cut(waiting, item, closing)
            if self._given_up:
                yield False, waiting
                waiting = b""
        if waiting:
            yield False, waiting

    def _cut(self, waiting: bytes, item: bytes, closing: bytes) -> Generator[tuple[bool, bytes], None, bytes]:
        """Give out the run that is complete in *waiting*; returns what is left."""
        end = waiting.find(closing)
        cut = end if end >= 0 else max(waiting.rfind(item), 0)
        if cut:
            yield True, waiting[:cut]
        if end >= 0 or (not cut and len(waiting) > MOST_WAITING):
            self.give_up()
        return waiting[cut:]
