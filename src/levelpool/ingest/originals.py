"""The files as they came: kept under their hash, found again, and removed when they are old enough."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO

from levelpool.ingest.ledger import files
from levelpool.ingest.room import remove_if_there, writing_in
from levelpool.ingest.session import Session
from levelpool.ingest.store import Kept, prove
from levelpool.sheets.errors import LimitExceeded, SheetError, StoreError
from levelpool.sheets.inputs import Input, as_file, path_of
from levelpool.sheets.read.limits import Limits


class Originals:
    """The kept originals of one database."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def keep(self, source: Path, *, consume: bool) -> Kept:
        """
        Keep the content of a file; with *consume* the file itself moves into the store.

        Raises `LimitExceeded` before a byte is copied, and `SheetError` when there is no such file.
        """
        return await self._kept(self._keep, source, consume=consume)

    async def _kept(self, keep: Callable[..., Kept], *args: object, **options: object) -> Kept:
        """What *keep* kept; that there is no room is remembered for readiness and said once."""
        try:
            kept = await self._session.do("keep", keep, *args, **options)
        except StoreError as error:
            self._session.room.has_failed(str(error))
            raise
        self._session.room.has_taken()
        return kept

    async def keep_input(self, source: Input, name: str) -> Kept:
        """Keep what a program hands over: a file by its path, bytes, or what stands in an open file. Raises as `keep` does."""
        if path := path_of(source):
            return await self.keep(path, consume=False)
        return await self._kept(self._keep_input, source, name)

    def _keep_input(self, source: Input, name: str) -> Kept:
        place = self._session.work / self._session.own_name("input")
        try:
            with writing_in(self._session.work):
                self._session.work.mkdir(parents=True, exist_ok=True)
                file = as_file(source, place, name=name, limits=self._session.limits)
            return self._session.store.take(file)
        finally:
            remove_if_there(place)

    def _keep(self, source: Path, *, consume: bool) -> Kept:
        if not source.is_file():
            raise SheetError(f"{source} does not exist or is no file: check the path")
        if consume:
            check_size(source.name, source.stat().st_size, self._session.limits)
            return self._session.store.take(source)
        try:
            with source.open("rb") as file:
                return self.keep_open(source.name, file)
        except PermissionError:
            raise SheetError(f"{source} cannot be read: give this user the right to read it") from None

    def keep_open(self, name: str, file: IO[bytes]) -> Kept:
        """Keep the content of an open file; blocks, so call it in the thread lane of an open session."""
        check_size(name, file.seek(0, 2), self._session.limits)
        return self._session.store.keep(file)

    async def find(self, file_id: int) -> tuple[Path, files.Original]:
        """
        Where the kept original of a file lies, and what is known of it; proved by its hash.

        Raises `NotFound`, `FileInUse` when there is none here, and as `store.prove` does.
        """
        await self._session.open()
        original = await self._session.read(files.original_of, file_id, self._session.claimer.store)
        path = self._session.store.path(original.sha256)
        await self._session.do("keep", prove, path, original.sha256, original.name)
        return path, original

    async def retire(self, days: float) -> int:
        """Remove the originals whose last file came more than *days* days ago; return how many."""
        await self._session.open()
        before = files.now() - timedelta(days=days)
        hashes = await self._session.write(files.retire, self._session.claimer.store, before)
        for sha256 in hashes:
            await self._session.do("keep", self._session.store.remove, sha256, before.timestamp())
        return len(hashes)


def check_size(name: str, size: int, limits: Limits) -> None:
    """Raise `LimitExceeded` for a file that is too large to be taken."""
    if size > limits.max_upload_bytes:
        raise LimitExceeded(
            f"{name} has {size} bytes, and {limits.max_upload_bytes} are allowed: split it, or raise LEVELPOOL_MAX_UPLOAD_BYTES",
            limit="max_upload_bytes",
            value=size,
            allowed=limits.max_upload_bytes,
            variable="LEVELPOOL_MAX_UPLOAD_BYTES",
        )
