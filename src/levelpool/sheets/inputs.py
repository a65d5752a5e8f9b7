"""What a program hands over to be read: a path, the bytes themselves, or an open binary file."""

import os
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from levelpool.sheets.read.limits import Limits, Meter

_STEP = 1 << 20


class Readable(Protocol):
    """An open binary file, or whatever reads like one."""

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes; none at the end."""
        ...


Input: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable


def path_of(source: Input) -> Path | None:
    """Where the file lies, if a path was given."""
    return Path(source) if isinstance(source, str | os.PathLike) else None


def name_of(source: Input) -> str | None:
    """What the file is called, as far as it says so."""
    named = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    return Path(named).name if isinstance(named, str | os.PathLike) else None


def as_file(source: Input, place: Path, *, name: str, limits: Limits) -> Path:
    """
    The path that was given; bytes and the content of an open file, from its beginning where it can be rewound, are written to *place*.

    Raises `LimitExceeded` as soon as the content is larger than a file may be, and `TypeError` for anything else, and for a file in text mode.
    """
    if isinstance(source, str | os.PathLike):
        return Path(source)
    meter = Meter(name, limits)
    with place.open("xb") as copy:
        if isinstance(source, bytes | bytearray | memoryview):
            meter.file(memoryview(source).nbytes)
            copy.write(source)
        elif hasattr(source, "read"):
            _copy(source, copy, meter)
        else:
            raise TypeError(f"a file cannot be a {type(source).__name__}: give a path, bytes, or an open binary file")
    return place


def _copy(file: Readable, copy: IO[bytes], meter: Meter) -> None:
    if getattr(file, "seekable", bool)():
        file.seek(0)  # type: ignore[attr-defined]  # whoever says that it is seekable has it
    while piece := _next_piece(file):
        copy.write(piece)
        meter.file(copy.tell())


def _next_piece(file: Readable) -> bytes:
    piece: object = file.read(_STEP)
    if isinstance(piece, bytes):
        return piece
    # An `async def read` gave a coroutine, which would complain that nobody awaits it.
    getattr(piece, "close", bool)()
    raise TypeError(
        f"{type(file).__name__}.read() gives {type(piece).__name__}, not bytes: open the file in binary mode; of an UploadFile, give its .file"
    )
