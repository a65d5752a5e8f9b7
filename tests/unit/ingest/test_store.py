"""The kept originals: whole or not there, under the hash of their content."""

import hashlib
import io
import os
import time

import pytest

from levelpool.ingest.store import Store
from levelpool.sheets.errors import StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "files")


def keep(store: Store, folder, content: bytes):
    source = folder / "source"
    source.write_bytes(content)
    with source.open("rb") as file:
        return store.keep(file)


def test_content_is_kept_under_its_hash(store, tmp_path):
    """The copy has the source's bytes, and the source stays."""
    kept = keep(store, tmp_path, b"a,b\n1,2\n")

    assert kept.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest() and kept.size == 8
    assert store.path(kept.sha256).read_bytes() == b"a,b\n1,2\n"
    assert (tmp_path / "source").exists()


def test_whole_file_is_kept_wherever_the_reader_stands(store, tmp_path):
    """Somebody may have looked at the first bytes already."""
    source = tmp_path / "source"
    source.write_bytes(b"abcdef")
    with source.open("rb") as file:
        file.read(3)

        assert store.keep(file).sha256 == hashlib.sha256(b"abcdef").hexdigest()


def test_same_content_twice_is_one_file(store, tmp_path):
    """The second copy takes the place of the first."""
    first = keep(store, tmp_path, b"same")

    assert keep(store, tmp_path, b"same") == first
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == [first.sha256]


def test_taken_file_is_gone_from_its_place(store, tmp_path):
    """An upload is moved, not copied."""
    upload = tmp_path / "upload"
    upload.write_bytes(b"rows")

    kept = store.take(upload)

    assert not upload.exists() and store.path(kept.sha256).read_bytes() == b"rows"


def test_failing_copy_leaves_nothing(store):
    """A disk that is full, or a file that cannot be read to its end, leaves no half original."""

    class Broken(io.BytesIO):
        def fileno(self):
            return -1

        def read(self, *_):
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"No space left.*make room there"):
        store.keep(Broken())

    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def test_sweep_takes_only_old_leftovers(store, tmp_path):
    """What a dead process left half written goes; kept originals and copies in the making stay."""
    kept = keep(store, tmp_path, b"kept")
    old, young = store.folder / ".old.part", store.folder / ".young.part"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))

    assert store.sweep(time.time() - 60) == 1
    assert young.exists() and store.path(kept.sha256).exists()


def test_everybody_who_shares_the_folder_sees_the_same_identity(store):
    """And another folder has another."""
    assert store.identity() == Store(store.folder).identity() != Store(store.folder / "other").identity()


def test_folder_that_cannot_be_used_is_said(tmp_path):
    """With the variable that names another."""
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match=r"Not a directory.*LEVELPOOL_DATA_DIR"):
        Store(tmp_path / "file" / "files").identity()
