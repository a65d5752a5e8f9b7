"""One upload: streamed to disk, counted, with a harmless name, and nothing left behind when it is refused."""

import errno

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException

from levelpool.service.errors import answer_error
from levelpool.service.uploads import harmless_name, receive_upload
from levelpool.sheets.errors import StoreError

LIMIT = 3_000_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "uploads"


@pytest.fixture
async def client(folder):
    app = FastAPI(exception_handlers={HTTPException: answer_error})

    async def run(func, *args, **kwargs):
        return func(*args, **kwargs)

    @app.post("/")
    async def upload(request: Request) -> dict[str, object]:
        upload = await receive_upload(request, folder=folder, limit=LIMIT, run=run)
        content = upload.path.read_bytes()
        upload.path.unlink()
        return {"name": upload.name, "size": upload.size, "fields": upload.fields, "same": content == b"x" * len(content)}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("size", [1, 70_000, LIMIT])
async def test_file_arrives_whole(client, size):
    """Byte for byte, whatever the size, with the fields beside it."""
    answer = await client.post("/", files={"file": ("订单 2026.xlsx", b"x" * size)}, data={"dataset": "orders"})

    assert answer.json() == {"name": "订单 2026.xlsx", "size": size, "fields": {"dataset": "orders"}, "same": True}


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        ({"files": {"file": ("a.xlsx", b"x" * (LIMIT + 1))}}, 413, "too_large"),
        ({"files": {"file": ("a.xlsx", b"")}}, 422, "empty_file"),
        ({"files": {"other": ("a.xlsx", b"x")}}, 422, "no_file"),
        ({"files": [("file", ("a.xlsx", b"x")), ("file", ("b.xlsx", b"x"))]}, 422, "one_file"),
        ({"files": {"file": ("a.xlsx", b"x")}, "data": {"dataset": "d" * 5000}}, 422, "field_too_long"),
        ({"files": {"file": ("a.xlsx", b"x")}, "data": {f"f{number}": "" for number in range(17)}}, 422, "too_many_fields"),
        ({"files": [("", (None, "")) for _ in range(17)]}, 422, "too_many_fields"),
        ({"files": [("file", ("a.xlsx", b"x", "text/plain", {"x-long": "l" * 9000}))]}, 400, "broken_body"),
        ({"json": {"file": "a"}}, 415, "not_multipart"),
        ({"content": b"nonsense", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "broken_body"),
        (
            {
                "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxx',
                "headers": {"content-type": "multipart/form-data; boundary=b"},
            },
            400,
            "broken_body",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refused_upload_says_why_and_leaves_nothing(client, folder, request_of, status, code):
    """A refusal has a code and a sentence, and no byte of the file stays on disk."""
    answer = await client.post("/", **request_of)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"].endswith(".")
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize(
    ("sent", "harmless"),
    [
        ("orders.xlsx", "orders.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\orders.xlsx", "orders.xlsx"),
        ("/", "upload"),
        ("..", "upload"),
        (".hidden.csv", "hidden.csv"),
        ("a\x00b\n\u202ec.csv", "abc.csv"),
        ("订" * 100 + ".xlsx", "订" * 65 + ".xlsx"),
        ("", "upload"),
    ],
)
def test_name_loses_path_and_control_characters(sent, harmless):
    """What a sender calls its file never leads anywhere, and stays readable."""
    assert harmless_name(sent) == harmless


async def test_disk_without_room_is_told_in_a_sentence(folder):
    """What the system says, and what to do; the half-written file is gone."""

    async def run(func, *args, **kwargs):
        if getattr(func, "__name__", "") == "write":
            raise OSError(errno.ENOSPC, "No space left on device")
        return func(*args, **kwargs)

    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nxx\r\n--b--\r\n'

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}, receive)
    with pytest.raises(StoreError, match=r"No space left on device\): make room there"):
        await receive_upload(request, folder=folder, limit=LIMIT, run=run)

    assert list(folder.iterdir()) == []
