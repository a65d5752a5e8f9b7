"""The API of files and datasets: upload, list, quarantine, undo, replay, preview, rows."""

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response, StreamingResponse

from levelpool.ingest.preview_changes import MOST_ROWS
from levelpool.service import shapes
from levelpool.service.assembly import Service, service_of
from levelpool.service.errors import Refusal
from levelpool.service.former_names import to_current_name
from levelpool.service.quarantine import csv_lines
from levelpool.service.request_options import options_of_body, options_of_form
from levelpool.service.uploads import Upload, receive_upload
from levelpool.sheets.clean.names import check_dataset_name
from levelpool.sheets.clean.option_fields import schema
from levelpool.sheets.errors import NotFound, StoreError
from levelpool.sheets.inspect import Inspection
from levelpool.web.auth import Identity, require_admin, require_operator, require_viewer
from levelpool.web.disconnect import cancel_on_disconnect

PREVIEW_SECONDS = 5.0
CSV_STEP = 1000
MAX_ID = (1 << 63) - 1

Of = Annotated[Service, Depends(service_of)]
Viewer = Annotated[Identity, Depends(require_viewer)]
Operator = Annotated[Identity, Depends(require_operator)]
Admin = Annotated[Identity, Depends(require_admin)]
FileId = Annotated[int, Path(ge=1, le=MAX_ID, description="The file's number.")]
Against = Annotated[int | None, Query(ge=1, le=MAX_ID, description="The number of the older file; without it, the one before.")]
Current = Annotated[bool, Query(description="Of each key only the newest row, as NAME_current has it.")]
DryRun = Annotated[bool, Query(description="Only count; change nothing.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many entries.")]
Offset = Annotated[int, Query(ge=0, le=MAX_ID, description="Entries to skip.")]
InState = Annotated[shapes.Status | None, Query(description="Only files in this state.")]
Named = Annotated[str | None, Query(max_length=200, description="Only files with this text in their names, capital or not.")]

_PASSWORD = {"type": "string", "format": "password", "description": "Opens an encrypted workbook; it is kept nowhere."}
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "The spreadsheet."},
                        "dataset": {"type": "string", "description": "The dataset to load into; by default the file's name decides."},
                        "options": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": schema(),
                            "description": "The correction record, as JSON; what is left unsaid is found out.",
                        },
                        "password": _PASSWORD,
                    },
                }
            }
        },
    }
}
_OPTIONS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "options": schema()
                        | {"type": ["object", "null"], "description": "The correction record; by default the one that the file has."},
                        "password": _PASSWORD | {"type": ["string", "null"]},
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}

_REPLAY_BODY = deepcopy(_OPTIONS_BODY)
_REPLAY_BODY["requestBody"]["content"]["application/json"]["schema"]["properties"]["dataset"] = {
    "type": ["string", "null"],
    "description": "The dataset to move the file to; by default it stays where it is.",
}


def _answers(shape: type[BaseModel] | None, *errors: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The `responses` of one address: its good answer and the errors it may give."""
    good: dict[int | str, dict[str, Any]] = {status: {"model": shape}} if shape else {}
    return good | {each: {"model": shapes.ErrorAnswer} for each in (401, 403, *errors)}


def ingestion_router() -> APIRouter:
    """All `/api` addresses of files and datasets; the app's state carries the `Service`."""
    router = APIRouter(prefix="/api", default_response_class=JSONResponse, dependencies=[Depends(known_parameters)])
    for add in (_add_files, _add_file_changes, _add_preview, _add_datasets):
        add(router)
    return router


async def known_parameters(request: Request) -> None:
    """Raises `Refusal` (422) for a query parameter that this address does not have: passed over, it would look as if it had counted."""
    known = [each.alias for each in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Refusal(422, "invalid_request", f"query.{name[:100]}: this address has no such parameter; {takes}.")


# ---------------------------------------------------------------- files


def _add_files(router: APIRouter) -> None:
    @router.post(
        "/files",
        status_code=202,
        tags=["files"],
        openapi_extra=_UPLOAD_BODY,
        responses=_answers(shapes.Queued, 400, 413, 415, 422, status=202),
        response_model=None,
    )
    async def upload_file(request: Request, service: Of, who: Operator) -> Response:
        """Keep a file and queue it; the answer comes before it is read."""
        upload = await _receive(request, service)
        try:
            dataset, options = _dataset_of(upload), options_of_form(upload.fields).for_new_file()
            queued = await service.ingestion.submit(upload.path, name=upload.name, dataset=dataset, options=options, actor=who.name)
        finally:
            await service.run(upload.path.unlink, missing_ok=True)
        return JSONResponse(queued, 202)

    @router.get("/files", tags=["files"], responses=_answers(shapes.FileList, 422), response_model=None)
    async def list_files(
        service: Of, _: Viewer, limit: Limit = 100, offset: Offset = 0, status: InState = None, name: Named = None
    ) -> Response:
        """Files, newest first."""
        return JSONResponse(await service.ingestion.files(limit=limit, offset=offset, status=status, name=name))

    @router.get("/files/{file_id}", tags=["files"], responses=_answers(shapes.FileRecord, 404, 422), response_model=None)
    async def read_file(service: Of, _: Viewer, file_id: FileId) -> Response:
        """One file with its sheets."""
        return JSONResponse(await service.ingestion.file(file_id))

    @router.get("/files/{file_id}/quarantine", tags=["files"], responses=_quarantine_answers(), response_model=None)
    async def read_quarantine(
        service: Of,
        _: Viewer,
        file_id: FileId,
        limit: Limit = 100,
        offset: Offset = 0,
        format: Annotated[Literal["json", "csv"], Query(description="csv gives all rows as a download.")] = "json",  # noqa: A002
    ) -> Response:
        """The cells that kept their rows out of the table. In CSV, an apostrophe guards values that a spreadsheet would run as formulas."""
        if format == "csv":
            return await _quarantine_csv(service, file_id)
        found = await service.ingestion.quarantine(file_id, limit=limit, offset=offset)
        return await _json_with_rows(service, found)


def _quarantine_answers() -> dict[int | str, dict[str, Any]]:
    answers = _answers(shapes.QuarantineList, 404, 422)
    answers[200]["content"] = {"text/csv": {"schema": {"type": "string"}}}
    return answers


async def _quarantine_csv(service: Service, file_id: int) -> Response:
    name = str((await service.ingestion.file(file_id))["name"])

    async def pieces() -> AsyncIterator[str]:
        offset = 0
        while True:
            rows = (await service.ingestion.quarantine(file_id, limit=CSV_STEP, offset=offset))["rows"]
            if rows or not offset:
                yield await service.run(csv_lines, rows, head=not offset)
            offset += CSV_STEP
            if len(rows) < CSV_STEP:
                return

    disposition = f"attachment; filename=\"quarantine-{file_id}.csv\"; filename*=UTF-8''{quote(f'{name} quarantine.csv', safe='')}"
    return StreamingResponse(pieces(), media_type="text/csv", headers={"Content-Disposition": disposition})


# ---------------------------------------------------------------- changes


def _add_file_changes(router: APIRouter) -> None:
    @router.post("/files/{file_id}/undo", tags=["files"], responses=_answers(shapes.Undone, 404, 409, 422), response_model=None)
    async def undo_file(
        service: Of,
        who: Operator,
        file_id: FileId,
        dry_run: DryRun = False,
    ) -> Response:
        """Take the rows of this file out of their tables; the original stays."""
        return JSONResponse(await service.ingestion.undo(file_id, dry_run=dry_run, actor=who.name))

    @router.post(
        "/files/{file_id}/replay",
        tags=["files"],
        openapi_extra=_REPLAY_BODY,
        responses=_answers(shapes.Replayed, 404, 409, 422),
        response_model=None,
    )
    async def replay_file(request: Request, service: Of, who: Operator, file_id: FileId) -> Response:
        """Load the kept original again, in place of what it brought before; with other corrections, or into another dataset, if that is said."""
        said = await options_of_body(request, of_replay=True)
        return JSONResponse(
            await service.ingestion.replay(file_id, dataset=said.dataset, options=said.options, password=said.password, actor=who.name)
        )

    @router.get("/files/{file_id}/changes", tags=["files"], responses=_answers(shapes.Changes, 404, 409, 422), response_model=None)
    async def changes(service: Of, _: Viewer, file_id: FileId, against: Against = None) -> Response:
        """What changed since the file before it in its dataset, or since the file *against*: counts, and the first hundred rows of each kind."""
        return JSONResponse(await service.ingestion.changes(file_id, against))

    @router.post("/sync", tags=["files"], responses=_answers(shapes.Scanned, 409), response_model=None)
    async def sync(service: Of, _: Operator) -> Response:
        """Look into the inbox now."""
        return JSONResponse(await service.scan())


def _add_preview(router: APIRouter) -> None:
    @router.post(
        "/preview",
        tags=["files"],
        openapi_extra=_UPLOAD_BODY,
        responses=_answers(shapes.Preview, 400, 413, 415, 422, 503, 504),
        response_model=None,
    )
    async def preview(request: Request, service: Of, _: Operator) -> Response:
        """What a file would become, without loading it: its first 100 rows, and types from all rows or from what 5 seconds allow."""
        upload = await _receive(request, service)
        try:
            dataset, options = _dataset_of(upload), options_of_form(upload.fields).for_new_file()
            async with cancel_on_disconnect(request):
                inspection = await service.ingestion.look(
                    upload.path, name=upload.name, dataset=dataset, options=options, max_seconds=PREVIEW_SECONDS
                )
                changes = None
                if _may_be_compared(inspection):
                    changes = await service.ingestion.changes_before(upload.path, name=upload.name, dataset=dataset, options=options)
        finally:
            await service.run(upload.path.unlink, missing_ok=True)
        return await _json_of_preview(service, inspection, changes)

    @router.post(
        "/files/{file_id}/preview",
        tags=["files"],
        openapi_extra=_OPTIONS_BODY,
        responses=_answers(shapes.Preview, 404, 409, 422, 503, 504),
        response_model=None,
    )
    async def preview_file(request: Request, service: Of, _: Operator, file_id: FileId) -> Response:
        """The same for a file that is kept, with the corrections that it has, or with others; nothing is loaded."""
        request_options = await options_of_body(request)
        async with cancel_on_disconnect(request):
            inspection = await service.ingestion.look_again(
                file_id, options=request_options.options, password=request_options.password, max_seconds=PREVIEW_SECONDS
            )
            changes = None
            if _may_be_compared(inspection):
                changes = await service.ingestion.changes_before_replay(
                    file_id, options=request_options.options, password=request_options.password
                )
        return await _json_of_preview(service, inspection, changes, file_id)


# ---------------------------------------------------------------- datasets


def _add_datasets(router: APIRouter) -> None:
    @router.get("/datasets", tags=["datasets"], responses=_answers(shapes.DatasetList, 422), response_model=None)
    async def list_datasets(service: Of, _: Viewer, limit: Limit = 100, offset: Offset = 0) -> Response:
        """All datasets with their columns."""
        return JSONResponse(await service.ingestion.datasets(limit=limit, offset=offset))

    @router.get("/datasets/{name}/rows", tags=["datasets"], responses=_answers(shapes.RowList, 404, 422), response_model=None)
    async def list_rows(
        request: Request, service: Of, _: Viewer, name: str, limit: Limit = 100, offset: Offset = 0, *, current: Current = False
    ) -> Response:
        """The rows of one dataset, by `_file_id`, `_row`; or of each key the newest. A former name answers 308."""
        try:
            found = await service.ingestion.rows(name, limit=limit, offset=offset, current=current)
        except NotFound:
            return await to_current_name(request, service, name)
        return await _json_with_rows(service, found)

    @router.get("/datasets/{name}/key-proposals", tags=["datasets"], responses=_answers(shapes.KeyProofs, 404), response_model=None)
    async def key_proposals(service: Of, _: Viewer, name: str) -> Response:
        """Columns that may name a record, each with its proof over all rows; the likeliest first."""
        return JSONResponse(await service.ingestion.key_proposals(name))

    @router.put(
        "/datasets/{name}/key", tags=["datasets"], responses=_answers(shapes.KeyProof, 404, 409, 413, 415, 422), response_model=None
    )
    async def set_key(service: Of, who: Operator, name: str, said: shapes.NewKey, dry_run: DryRun = False) -> Response:
        """Say which columns name a record, and show the newest row of each in NAME_current; no columns: no key."""
        proof = await service.ingestion.prove_key(name, said.columns) if said.columns else None
        if not dry_run:
            await service.ingestion.set_key(name, said.columns, actor=who.name)
        return JSONResponse(proof or {"columns": [], "unique": False, "blanks": 0, "rows": 0})

    @router.post(
        "/datasets/{name}/rename",
        tags=["datasets"],
        responses=_answers(shapes.Renamed, 404, 409, 413, 415, 422),
        response_model=None,
    )
    async def rename_dataset(service: Of, who: Operator, name: str, said: shapes.NewName, dry_run: DryRun = False) -> Response:
        """Give a dataset another name, and its table with it; the former name goes on leading to it."""
        return JSONResponse(await service.ingestion.rename_dataset(name, said.name, dry_run=dry_run, actor=who.name))

    @router.delete("/datasets/{name}", tags=["datasets"], responses=_answers(shapes.Removed, 404, 409, 422), response_model=None)
    async def delete_dataset(service: Of, who: Admin, name: str, dry_run: DryRun = False) -> Response:
        """Remove a dataset with its table; its files become undone, or lose this part. Their originals stay."""
        return JSONResponse(await service.ingestion.delete_dataset(name, dry_run=dry_run, actor=who.name))

    @router.delete(
        "/datasets/{name}/columns/{column}", tags=["datasets"], responses=_answers(shapes.Removed, 404, 409, 422), response_model=None
    )
    async def drop_column(service: Of, who: Admin, name: str, column: str, dry_run: DryRun = False) -> Response:
        """Remove a column in which no row has a value."""
        return JSONResponse(await service.ingestion.drop_column(name, column, dry_run=dry_run, actor=who.name))


# ---------------------------------------------------------------- pieces


async def _receive(request: Request, service: Service) -> Upload:
    try:
        name = service.ingestion.intake.session.own_name("upload")
        limit = service.settings.max_upload_bytes
        return await receive_upload(request, folder=service.upload_folder, limit=limit, run=service.run, name=name)
    except StoreError as error:
        declared = request.headers.get("content-length", "")
        service.ingestion.intake.session.room.has_failed(str(error), int(declared) if declared.isdecimal() else 0)
        raise


def _dataset_of(upload: Upload) -> str | None:
    dataset = upload.fields.get("dataset", "").strip()
    if dataset:
        check_dataset_name(dataset)
    return dataset or None


def _may_be_compared(inspection: Inspection) -> bool:
    """Whether a preview has the time to compare a file with the one before: for that it is read once more."""
    return inspection.complete and inspection.rows_examined <= MOST_ROWS


async def _json_of_preview(
    service: Service, inspection: Inspection, changes: dict[str, Any] | None, file_id: int | None = None
) -> Response:
    more = {"drift": await service.ingestion.drift_of(inspection, file_id), "changes": changes}
    return Response(await service.run(_write_preview, inspection, more), media_type="application/json")


def _write_preview(inspection: Inspection, more: dict[str, Any]) -> bytes:
    return json.dumps(inspection.preview() | more, ensure_ascii=False, allow_nan=False).encode(errors="replace")


async def _json_with_rows(service: Service, answer: dict[str, Any]) -> Response:
    """Many rows are written as text in a thread, row by row, so that the event loop gets its turn in between."""
    return Response(await service.run(_write_rows, answer), media_type="application/json")


def _write_rows(answer: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in answer.items() if name != "rows"}
    rows = ",".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in answer["rows"])
    tail = json.dumps(rest, ensure_ascii=False, allow_nan=False)
    return ('{"rows":[' + rows + "]" + ("," if rest else "") + tail[1:]).encode()
