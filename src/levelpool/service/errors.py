"""What a caller of the API is told when something goes wrong: `{error: {code, message, ...}}` with the fitting status."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from levelpool.errors import (
    DatabaseError,
    DatabaseUnwritable,
    LaneClosed,
    LaneFull,
    LevelpoolError,
    PoolExhausted,
    SettingsError,
    TaskTimeout,
    WorkerDied,
)
from levelpool.sheets.errors import (
    ColumnInUse,
    FileInUse,
    InboxError,
    LimitExceeded,
    NameRefused,
    NotFound,
    OptionsRefused,
    OriginalChanged,
    OriginalMissing,
    PasswordNeeded,
    SheetError,
    StoreError,
    TableChanged,
    TryAgain,
    UnreadableFile,
)

logger = logging.getLogger(__name__)

LONGEST_VALUE = 200
"""Characters of a value that an answer repeats."""

# From the special to the general: the first that fits decides.
_ANSWERS: tuple[tuple[type[LevelpoolError], int, str], ...] = (
    (LimitExceeded, 413, "limit_exceeded"),
    (NotFound, 404, "not_found"),
    (TryAgain, 503, "try_again"),
    (NameRefused, 422, "name_refused"),
    (OptionsRefused, 422, "options_refused"),
    (PasswordNeeded, 422, "password_needed"),
    (UnreadableFile, 422, "unreadable_file"),
    (FileInUse, 409, "file_in_use"),
    (ColumnInUse, 409, "column_in_use"),
    (TableChanged, 409, "table_changed"),
    (OriginalMissing, 409, "original_missing"),
    (OriginalChanged, 409, "original_changed"),
    (InboxError, 409, "inbox_unusable"),
    (StoreError, 507, "store_unusable"),
    (LaneFull, 503, "lane_full"),
    (LaneClosed, 503, "shutting_down"),
    (TaskTimeout, 504, "timeout"),
    (WorkerDied, 500, "worker_died"),
    (PoolExhausted, 503, "pool_exhausted"),
    (DatabaseUnwritable, 507, "database_unwritable"),
    (DatabaseError, 503, "database_unavailable"),
    (SettingsError, 422, "invalid_value"),
    (SheetError, 422, "sheet_error"),
)


class Refusal(HTTPException):
    """A request that is refused on purpose: *code* is one short word, *fields* go beside it in the error object."""

    def __init__(self, status_code: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **fields: object) -> None:
        super().__init__(status_code, message, dict(headers or {}))
        self.code = code
        self.fields = fields


def error_body(code: str, message: str, **fields: object) -> dict[str, object]:
    """The one shape of every error answer."""
    return {"error": {"code": code, "message": message, **fields}}


def error_response(error: Exception) -> Response:
    """The JSON answer to *error*; what is not ours is a 500 that tells nothing of its inside."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, ClientDisconnect):
        # Nobody reads it; the status of other servers for this keeps it apart from what is our fault.
        return JSONResponse(error_body("client_left", "The client left before it had sent everything."), 499)
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            return _of_levelpool(error, status, code)
    return JSONResponse(error_body("internal", "Something went wrong inside the service; its log says what."), 500)


async def answer_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for everything that has an answer; the unexpected is logged with its traceback."""
    response = error_response(error)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("unexpected error", exc_info=error)
    return response


def _of_http(error: HTTPException) -> Response:
    code = getattr(error, "code", None) or _word_of(error.status_code)
    message = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = "There is nothing at this address."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and message == HTTPStatus.METHOD_NOT_ALLOWED.phrase:
        message = f"This address does not take this method; it takes {(error.headers or {}).get('Allow', 'another')}."
    return JSONResponse(error_body(code, message, **getattr(error, "fields", {})), error.status_code, dict(error.headers or {}))


def _word_of(status: int) -> str:
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return f"status_{status}"  # such as 499, which no standard names


def _of_validation(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    details = [{"where": ".".join(str(part) for part in each["loc"]), "message": each["msg"]} for each in error.errors()]
    return JSONResponse(error_body("invalid_request", f"{where}: {first['msg']}.", details=details), 422)


def _shown(value: object) -> object:
    """A value as the answer can repeat it: short, and of characters only."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value).encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _of_levelpool(error: LevelpoolError, status: int, code: str) -> Response:
    headers = {}
    fields: dict[str, object] = {}
    if isinstance(error, LaneFull):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    if isinstance(error, LimitExceeded):
        fields = {"limit": error.limit, "value": error.value, "allowed": error.allowed, "variable": error.variable}
    if isinstance(error, OptionsRefused):
        fields = {"option": error.option, "value": _shown(error.value), "allowed": error.allowed}
    return JSONResponse(error_body(code, str(error), **fields), status, headers)
