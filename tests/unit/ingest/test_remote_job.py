"""A file that travels with a call is the same file where it arrives, or it is refused; and nothing of it stays there."""

import pickle
import tempfile
from pathlib import Path

import pytest

from levelpool.ingest.remote_job import RemoteContent, inspect_remotely
from levelpool.sheets.errors import SheetError


@pytest.fixture
def there(tmp_path, monkeypatch) -> Path:
    """The temporary folder of the other machine."""
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def look(file: RemoteContent) -> dict[str, object]:
    """What is found in *file* after its journey."""
    arrived = pickle.loads(pickle.dumps(file, 5))
    return inspect_remotely(arrived, name="orders.csv", dataset=None, limits=None, max_seconds=None, options=None).to_dict()


def test_sent_file_is_read_where_it_arrives_and_removed(tmp_path, there):
    """The file here may be gone by then."""
    path = tmp_path / "file"
    path.write_bytes(b"n\n1\n2\n")
    file = RemoteContent.of(path)
    path.unlink()

    assert [sheet["rows"] for sheet in look(file)["sheets"]] == [2]
    assert list(there.iterdir()) == []


def test_file_that_changed_on_its_way_is_refused(tmp_path, there):
    """By its hash, in a sentence that names the file; nothing is read."""
    path = tmp_path / "file"
    path.write_bytes(b"n\n1\n2\n")

    with pytest.raises(SheetError, match=r"orders\.csv has changed on its way to the worker \(sha256 \w{64}, expected 0{64}\)"):
        look(RemoteContent.of(path, "0" * 64))


def test_empty_file_travels(tmp_path, there):
    """There is nothing to map, and the reader says what it says of an empty file."""
    path = tmp_path / "file"
    path.touch()

    with pytest.raises(SheetError, match="empty"):
        look(RemoteContent.of(path))


def test_missing_file_is_told(tmp_path):
    """A kept original that somebody removed is a sentence, not a traceback."""
    with pytest.raises(SheetError, match="cannot be sent to a worker"):
        RemoteContent.of(tmp_path / "gone")
