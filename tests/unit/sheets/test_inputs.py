"""What a program hands over to be read."""

import io
from pathlib import Path

import pytest

from levelpool.sheets.errors import LimitExceeded
from levelpool.sheets.inputs import as_file, name_of
from levelpool.sheets.read.limits import Limits


class Endless:
    """A stream without an end that cannot be rewound."""

    def read(self, size: int) -> bytes:
        return b"0" * size


class Uploaded:
    """A file whose `read` is for an event loop."""

    async def read(self, size: int) -> bytes:
        return b"0" * size


def placed(given: object, tmp_path: Path) -> Path:
    return as_file(given, tmp_path / "given", name="orders.csv", limits=Limits(max_upload_bytes=1 << 20))


def test_a_path_stays_where_it_is(tmp_path):
    """Nothing is copied."""
    assert placed(str(tmp_path / "a.csv"), tmp_path) == tmp_path / "a.csv"


@pytest.mark.parametrize(
    "given", [b"a,b", bytearray(b"a,b"), memoryview(b"a,b"), io.BytesIO(b"a,b")], ids=lambda given: type(given).__name__
)
def test_content_is_written_to_its_place(given, tmp_path):
    """Every kind of bytes gives the same file."""
    assert placed(given, tmp_path).read_bytes() == b"a,b"


@pytest.mark.parametrize("given", [b"0" * (2 << 20), Endless()], ids=["bytes", "stream"])
def test_too_much_is_refused_as_soon_as_it_is_seen(given, tmp_path):
    """A stream without an end does not fill the disk."""
    with pytest.raises(LimitExceeded, match="LEVELPOOL_MAX_UPLOAD_BYTES"):
        placed(given, tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (io.StringIO("a,b"), "StringIO.read.. gives str, not bytes: open the file in binary mode"),
        (Uploaded(), "gives coroutine, not bytes.*give its .file"),
        (7, "a file cannot be a int"),
    ],
)
def test_what_is_no_file_is_refused_with_what_to_do(given, said, tmp_path):
    """A mistake of the program is a TypeError, as everywhere in Python."""
    with pytest.raises(TypeError, match=said):
        placed(given, tmp_path)


def test_a_file_is_called_what_it_says(tmp_path):
    """An open file knows its name without folders, bytes have none, and a descriptor's number is no name."""
    path = tmp_path / "orders.csv"
    path.write_text("a")
    with path.open("rb") as named, open(named.fileno(), "rb", closefd=False) as numbered:
        assert [name_of(each) for each in (path, str(path), named, b"a", numbered)] == ["orders.csv"] * 3 + [None] * 2
