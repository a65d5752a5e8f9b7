"""The page where a person sees what was found in a file, corrects it, looks again, and loads the file as corrected."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from levelpool.errors import LevelpoolError
from levelpool.service.assembly import Service, service_of
from levelpool.service.correct_form import MOST_FIELDS, Form, column_rows, form_of, options_of, read_form, sheet_names
from levelpool.service.errors import Refusal
from levelpool.service.pages import FileId, render
from levelpool.service.views import read_shared_types
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import EncryptedFile, FileInUse, NotASpreadsheet, NotFound, OptionsRefused, PasswordNeeded, SheetError
from levelpool.sheets.table import ColumnType
from levelpool.web.auth import Identity, require_operator
from levelpool.web.disconnect import cancel_on_disconnect

LOOK_SECONDS = 5.0
"""Seconds of reading after which a look is content with the first rows of each sheet."""
SEE_SECONDS = 8.0
"""Seconds that a page waits for a load to end; after that the page of the file follows it."""
SHOWN_ROWS = 8
SHOWN_COLUMNS = 30
FEW_TABLES = 2
MOST_TABLES = 20

Of = Annotated[Service, Depends(service_of)]
Operator = Annotated[Identity, Depends(require_operator)]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form as it was sent, and a password, which is not shown again."""

    form: Form | None  # None: the first look, which has none
    password: str | None = field(repr=False)


def correction_router() -> APIRouter:
    """The page, its look at the file, and the load with what was corrected."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @router.get("/files/{file_id}/correct")
    async def correct(request: Request, service: Of, _: Operator, file_id: FileId) -> Response:
        return render(request, "correct.html", here="files", file=await service.ingestion.file(file_id))

    @router.post("/files/{file_id}/preview")
    async def look(request: Request, service: Of, _: Operator, file_id: FileId) -> Response:
        sent = await _read(request, service)
        file = await service.ingestion.file(file_id)
        first = form_of(TableOptions.from_dict(file["options"]))
        return await _look(request, service, file, sent if sent.form else replace(sent, form=first))

    @router.post("/files/{file_id}/correct")
    async def load(request: Request, service: Of, who: Operator, file_id: FileId) -> Response:
        sent = await _read(request, service)
        file = await service.ingestion.file(file_id)
        try:
            options = options_of(sent.form or Form())
            loading = await service.ingestion.begin_replay(file_id, options=options, password=sent.password, actor=who.name)
        except (OptionsRefused, FileInUse) as error:
            return await _look(request, service, file, sent, problem=error)
        await asyncio.wait([loading], timeout=SEE_SECONDS)
        file = await service.ingestion.file(file_id)
        if loading.done() and file["error"]:
            return await _look(request, service, file, sent, problem=SheetError(file["error"]))
        return Response(status_code=204, headers={"HX-Redirect": f"/files/{file_id}"})

    return router


async def _read(request: Request, service: Service) -> _Sent:
    """The form of a request, read in a thread: a wide file has many fields."""
    body = await request.body()
    try:
        sent = await service.run(parse_qs, body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refusal(422, "too_many_fields", f"The form carries more than {MOST_FIELDS} fields: reload the page and try again.") from None
    return _Sent(read_form(sent) if "asked" in sent else None, sent.get("password", [""])[0] or None)


async def _find(request: Request, service: Service, file: Json, sent: _Sent) -> tuple[Json | None, LevelpoolError | None]:
    """What would become of the file, or why nothing can be said of it."""
    try:
        options = options_of(sent.form or Form())
        async with cancel_on_disconnect(request):
            inspection = await service.ingestion.look_again(file["id"], options=options, password=sent.password, max_seconds=LOOK_SECONDS)
    except NotFound:
        raise
    except LevelpoolError as error:
        return None, error
    drift = await service.ingestion.drift_of(inspection, file["id"])
    return await service.run(inspection.preview) | {"drift": drift}, None


async def _look(request: Request, service: Service, file: Json, sent: _Sent, *, problem: LevelpoolError | None = None) -> Response:
    """What would become of the file, with the fields to correct it; *problem* is what kept it from being loaded."""
    form = sent.form or Form()
    found, closed_by = await _find(request, service, file, sent)
    closed = isinstance(closed_by, PasswordNeeded)
    locked = closed and sent.password is None and problem is None  # nobody has done anything wrong so far
    problem = problem or closed_by
    tables: list[Json] = found["sheets"] if found else []
    into = {table["dataset"] for table in tables if table["dataset"]}
    columns, more = column_rows(form, tables)
    # A wide table has thousands of fields: the loop does not wait for their text.
    return await service.run(
        render,
        request,
        "parts/correct.html",
        file=file,
        form=form,
        found=found,
        tables=tables[:MOST_TABLES],
        more_tables=len(tables[MOST_TABLES:]),
        sheets=sheet_names(form, tables),
        columns=columns,
        more_columns=more,
        problem=None if locked else problem,
        locked=locked,
        wrong=problem.option.partition("[")[0] if isinstance(problem, OptionsRefused) else None,
        hopeless=isinstance(closed_by, NotASpreadsheet | EncryptedFile) and not closed,
        header_found=str(tables[0]["header_row"] + 1) if len(tables) == 1 and tables[0]["header_row"] is not None else "",
        closed=closed,
        with_password=sent.password is not None or closed,
        types=tuple(ColumnType),
        shared=await service.ask(read_shared_types, into, file["id"]),
        shown_rows=SHOWN_ROWS if len(tables) <= FEW_TABLES else SHOWN_ROWS // 2,
        shown_columns=SHOWN_COLUMNS,
    )
