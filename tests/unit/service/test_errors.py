"""Every error has one shape, the fitting status, and tells nothing of the inside."""

import json

import pytest
from starlette.exceptions import HTTPException

from levelpool.errors import DatabaseError, LaneFull, LevelpoolError, TaskTimeout, WorkerDied
from levelpool.service.app import create_app
from levelpool.service.errors import error_response
from levelpool.service.server import prepare
from levelpool.settings import Settings
from levelpool.sheets.errors import EmptyFile, FileInUse, LimitExceeded, NameRefused, NotFound


def answer(error: Exception) -> tuple[int, dict[str, object], dict[str, str]]:
    response = error_response(error)
    return response.status_code, json.loads(response.body)["error"], dict(response.headers)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("there is no file 9"), 404, "not_found"),
        (NameRefused("no"), 422, "name_refused"),
        (EmptyFile("no cell"), 422, "unreadable_file"),
        (FileInUse("it runs"), 409, "file_in_use"),
        (TaskTimeout("late"), 504, "timeout"),
        (WorkerDied("gone", cause="memory"), 500, "worker_died"),
        (DatabaseError("away"), 503, "database_unavailable"),
        (HTTPException(418), 418, "im_a_teapot"),
        (HTTPException(499, "the client disconnected"), 499, "status_499"),
    ],
)
def test_error_of_ours_has_its_status_and_its_sentence(error, status, code):
    """What was raised with a sentence is answered with that sentence."""
    assert answer(error)[0] == status
    assert answer(error)[1]["code"] == code
    assert answer(error)[1]["message"]


@pytest.mark.parametrize("error", [KeyError("secret"), LevelpoolError("secret"), ZeroDivisionError("secret")])
def test_unexpected_error_tells_nothing_of_the_inside(error):
    """500, and the log says what it was."""
    status, told, _ = answer(error)

    assert (status, told["code"]) == (500, "internal")
    assert "secret" not in told["message"]


async def test_client_that_leaves_within_its_upload_is_no_error_of_ours(tmp_path, caplog):
    """No traceback in the log for what happens every day."""
    messages = [{"type": "http.request", "body": b"--b\r\n", "more_body": True}, {"type": "http.disconnect"}]
    token = "t" * 32
    headers = {"authorization": f"Bearer {token}", "content-type": "multipart/form-data; boundary=b"}
    scope = {
        "type": "http", "method": "POST", "path": "/api/files", "query_string": b"", "scheme": "http", "http_version": "1.1",
        "server": ("test", 80), "client": ("test", 1), "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    settings = Settings(data_dir=tmp_path / "var", admin_token=token, shutdown_timeout=2.0)
    prepare(settings)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)

    assert sent[0]["status"] == 499
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_full_lane_says_when_to_come_back():
    """503 with Retry-After in whole seconds, rounded up."""
    status, told, headers = answer(LaneFull("full", retry_after=2.3))

    assert (status, told["code"], headers["retry-after"]) == (503, "lane_full", "3")


def test_limit_is_named_with_value_and_variable():
    """Which limit, how much came, how much is allowed, and what sets it."""
    told = answer(LimitExceeded("too many", limit="cells", value=12.0, allowed=10.0, variable="LEVELPOOL_MAX_CELLS"))[1]

    assert (told["limit"], told["value"], told["allowed"], told["variable"]) == ("cells", 12.0, 10.0, "LEVELPOOL_MAX_CELLS")
