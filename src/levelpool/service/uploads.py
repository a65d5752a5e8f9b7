"""One uploaded file, from the request to a private file on disk: streamed, counted, and with a harmless name."""

import re
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from levelpool.service.errors import Refusal
from levelpool.service.limits import OPTIONS_ROOM
from levelpool.sheets.errors import StoreError

WRITE_SIZE = 1 << 20
MAX_FIELD = 4096
MOST_FIELDS = 16
"""Parts beside the file in one request; they are counted before their content is kept."""
_MAX_FIELDS = {"options": OPTIONS_ROOM}
MAX_NAME_BYTES = 200

P = ParamSpec("P")
T = TypeVar("T")


class Run(Protocol):
    """Runs a blocking function away from the event loop: `run_io_intensive` of an executor manager."""

    async def __call__(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `func(*args, **kwargs)`."""
        ...


@dataclass(frozen=True, slots=True)
class Upload:
    """A received file: *path* is ours alone, *name* is what the sender called it without any path, *size* is in bytes."""

    path: Path
    name: str
    size: int
    fields: dict[str, str] = field(repr=False)  # one of them may be a password


async def receive_upload(request: Request, *, folder: Path, limit: int, run: Run, name: str | None = None) -> Upload:
    """
    Write the part `file` of a multipart request into *folder*, as *name*, and return it; the caller removes or consumes its path.

    Raises `Refusal`: 413 as soon as the file is over *limit* bytes, 415 for another content type, 400 for a broken body,
    422 without a file, with two files, or with an empty one. Raises `StoreError` when it cannot be written. Whatever is raised, nothing stays in *folder*.
    """
    parser = _Parser(_boundary(request))
    with _told(folder):
        path = await run(_new_file, folder, name or f"upload-{uuid.uuid4().hex}")
    try:
        with _told(folder), path.open("wb") as target:
            size = await _copy(request, parser, target, limit, run)
        return _finish(parser, path, size)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def harmless_name(sent: str) -> str:
    """The last part of *sent* without control characters and path parts, at most 200 bytes long, its suffix kept."""
    name = unicodedata.normalize("NFC", sent).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    name = "".join(each for each in name if unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}).strip().lstrip(".")
    if not name:
        return "upload"
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > 20:
        stem, dot, suffix = name, "", ""
    room = MAX_NAME_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


# ---------------------------------------------------------------- the parts of a multipart body


@dataclass(slots=True)
class _Part:
    name: str = ""
    file_name: str | None = None
    value: bytearray = field(default_factory=bytearray)


class _Parser:
    """Collects what the push parser reports: bytes of the one file, and small text fields."""

    def __init__(self, boundary: bytes) -> None:
        self.file: _Part | None = None
        self.fields: dict[str, str] = {}
        self.pending = bytearray()  # bytes of the file that are not yet written
        self.complete = False
        self._part = _Part()
        self._others = 0  # parts beside the file, whatever they are called
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def _begin_part(self) -> None:
        self._part = _Part()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            self._part.name, self._part.file_name = _disposition(bytes(self._header_value))
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        if self._part.name != "file":
            self._others += 1
            if self._others > MOST_FIELDS:
                raise Refusal(
                    422,
                    "too_many_fields",
                    f"The request carries more than {MOST_FIELDS} fields beside the file: send only those that the reference names.",
                    headers={"Connection": "close"},
                )
            return
        if self.file is not None:
            raise Refusal(422, "one_file", "The request carries more than one file: send each file in a request of its own.")
        self.file = self._part

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is self.file:
            self.pending += data[start:end]
            return
        self._part.value += data[start:end]
        allowed = _MAX_FIELDS.get(self._part.name, MAX_FIELD)
        if len(self._part.value) > allowed:
            raise Refusal(
                422,
                "field_too_long",
                f"The field {self._part.name[:100]!r} is longer than {allowed} bytes.",
                headers={"Connection": "close"},
            )

    def _end_part(self) -> None:
        if self._part is not self.file and self._part.name:
            self.fields[self._part.name] = self._part.value.decode(errors="replace")

    def _end(self) -> None:
        self.complete = True


def _disposition(header: bytes) -> tuple[str, str | None]:
    _, options = parse_options_header(header.decode("latin-1"))
    name = options.get(b"name", b"").decode(errors="replace")
    plain = options.get(b"filename")
    if plain is not None:
        return name, plain.decode(errors="replace")
    # Some clients send names beyond ASCII in the extended form only, although RFC 7578 forbids it.
    extended = re.search(rb"filename\*\s*=\s*utf-8'[^']*'([^;]+)", header, re.IGNORECASE)
    return name, unquote_to_bytes(extended[1]).decode(errors="replace") if extended else None


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Refusal(415, "not_multipart", "Send the file as multipart/form-data, in a part named 'file'.")
    return boundary


# ---------------------------------------------------------------- to disk


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell in a sentence what the system has against writing there."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"nothing can be taken in under {folder} ({error.strerror or error}): make room there, or give this user the right to write"
        ) from error


def _new_file(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    path.touch(mode=0o600, exist_ok=False)
    return path


async def _copy(request: Request, parser: _Parser, target: BinaryIO, limit: int, run: Run) -> int:
    """The body through *parser* into *target*; the bytes of the file are counted before they are written, and returned."""
    size = 0
    try:
        async for chunk in request.stream():
            before = len(parser.pending)
            parser.feed(chunk)
            size += len(parser.pending) - before
            if size > limit:
                raise _file_too_large(limit)
            if len(parser.pending) >= WRITE_SIZE:
                await _flush(parser, target, run)
    except FormParserError as error:
        raise Refusal(400, "broken_body", f"The multipart body is broken: {error}.") from error
    if not parser.complete:
        raise Refusal(400, "broken_body", "The multipart body ends before its last boundary: send the file again.")
    await _flush(parser, target, run)
    await run(target.flush)
    return size


async def _flush(parser: _Parser, target: BinaryIO, run: Run) -> None:
    data = bytes(parser.pending)
    parser.pending.clear()
    await run(target.write, data)


def _file_too_large(limit: int) -> Refusal:
    return Refusal(
        413,
        "too_large",
        f"The file is over the limit of {limit:,} bytes: split it, or raise LEVELPOOL_MAX_UPLOAD_BYTES.",
        headers={"Connection": "close"},
        limit="bytes",
        allowed=limit,
        variable="LEVELPOOL_MAX_UPLOAD_BYTES",
    )


def _finish(parser: _Parser, path: Path, size: int) -> Upload:
    if parser.file is None:
        raise Refusal(422, "no_file", "The request carries no file: send it in a multipart part named 'file'.")
    name = harmless_name(parser.file.file_name or "")
    if size == 0:
        raise Refusal(422, "empty_file", f"The file {name!r} is empty (0 bytes): export it again and send the new file.")
    return Upload(path, name, size, parser.fields)
