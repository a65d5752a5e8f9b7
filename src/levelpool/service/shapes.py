"""The shapes of the API's answers, for the OpenAPI description; the answers themselves are plain dictionaries."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

Status = Literal["pending", "running", "loaded", "partial", "failed", "duplicate", "undone"]


class _Shape(BaseModel):
    # More fields may stand beside the ones that are described.
    model_config = ConfigDict(extra="allow")


class ErrorDetail(_Shape):
    code: str = Field(description="One short word for programs.")
    message: str = Field(description="One sentence for people: what, which, the figures, what to do.")


class ErrorAnswer(_Shape):
    error: ErrorDetail


class Queued(_Shape):
    id: int
    status: Status


class Recognised(_Shape):
    by: Literal["said", "folder", "stem", "columns", "new"] = Field(description="What decided where the table goes.")
    why: str = Field(description="One sentence.")
    matched: int = Field(description="Columns that the table and its dataset shared.")
    of: int = Field(description="Columns of the larger of the two.")


class SheetRecord(_Shape):
    id: int
    name: str
    dataset: str | None
    header_row: int | None = Field(description="0-based; null without a header row.")
    rows_loaded: int
    rows_quarantined: int
    hidden: bool
    recognised: Recognised | None = Field(description="How the table found its dataset; null for files of earlier releases.")


class Drift(_Shape):
    sheet: str
    dataset: str
    column: str | None = Field(
        description="As the file has it, or the dataset where it is missing; null where it is about the whole table."
    )
    kind: Literal["renamed", "new", "missing", "moved", "type", "notation", "unit", "collision", "volume"]
    was: str | int | None
    now: str | int | None
    rows: int | None = Field(description="Rows of the table, those set aside among them.")
    text: str = Field(description="The same in one sentence.")
    reason_code: str = Field(description="The kind as a reason: drift_new, drift_missing, ...")
    params: dict[str, object] = Field(description="What the sentence says of this file: `column`, `was`, `now`.")


class FileRecord(_Shape):
    id: int = Field(description="Rising in order of arrival; `_file_id` in the rows of datasets.")
    name: str
    sha256: str | None
    dataset: str | None
    status: Status
    rows_loaded: int
    rows_quarantined: int
    error: str | None = Field(description="One sentence.")
    error_code: str | None = Field(description="The same in one word, such as encrypted_file; null without an error.")
    sheets: list[SheetRecord]
    started_at: str | None = Field(description="UTC, ISO 8601.")
    finished_at: str | None
    progress: float | None = Field(description="0 to 100 while it runs.")
    duplicate_of: int | None
    drift: list[Drift] = Field(description="What differs from the datasets of its tables; empty for the first file of a dataset.")
    format: str | None = Field(description="How it was read; null before that.")
    encoding: str | None = Field(description="Of a text file.")
    delimiter: str | None = Field(description="Of a text file.")


class FileList(_Shape):
    files: list[FileRecord] = Field(description="Newest first.")
    total: int


class QuarantinedCell(_Shape):
    sheet: str
    row: int = Field(description="The sheet's 1-based row.")
    column: str
    value: str
    reason: str


class QuarantineList(_Shape):
    rows: list[QuarantinedCell]
    total: int


class ChangedColumn(_Shape):
    name: str
    changed: int = Field(description="Records in which its value changed.")


class ChangedRow(_Shape):
    kind: Literal["added", "removed", "changed"]
    key: dict[str, object] | None = Field(description="Null without a key.")
    was: dict[str, object] | None = Field(
        description="The row of the older file; of a changed one the values that differ. Null for an added one."
    )
    now: dict[str, object] | None = Field(description="The same of the newer file; null for a removed one.")


class Changes(_Shape):
    against: int | None = Field(description="The older file; null when this one is the first.")
    dataset: str
    added: int
    removed: int
    changed: int = Field(description="Records with the same key and other values; 0 without a key.")
    set_aside: int = Field(description="Rows of this file that were set aside, and are compared with nothing.")
    unkeyed: int = Field(description="Rows of this file without a key, likewise.")
    columns: list[ChangedColumn]
    rows: list[ChangedRow] = Field(description="The first hundred of each kind.")
    total: int = Field(description="How many of them are listed.")


class Undone(_Shape):
    id: int
    status: Status
    rows_removed: int
    rows_restored: int


class Replayed(_Shape):
    id: int
    status: Status
    rows_loaded: int
    rows_quarantined: int


class PreviewColumn(_Shape):
    name: str
    header: str
    type: str
    why: str


class PreviewSheet(_Shape):
    name: str
    dataset: str | None = Field(description="Where its rows would go.")
    header_row: int | None = Field(description="0-based; null without a header row.")
    reasons: list[str] = Field(description="Why the table is where it is.")
    columns: list[PreviewColumn]
    row_count: int = Field(description="Rows that would be loaded, of those that were examined.")
    quarantined_rows: int
    rows: list[dict[str, object]] = Field(description="The first 100.")
    rows_examined: int
    complete: bool = Field(description="Whether the types stand on all rows of the sheet.")


class Preview(_Shape):
    format: str
    encoding: str | None = Field(description="Of a text file.")
    delimiter: str | None = Field(description="Of a text file.")
    remarks: list[str] = Field(description="What was noticed while it was read.")
    options: dict[str, object] = Field(description="The corrections that hold here.")
    drift: list[Drift] = Field(description="What would differ from the datasets of its tables.")
    changes: Changes | None = Field(
        description="What would change since the file before; null without one, or where both have more than 50,000 rows."
    )
    sheets: list[PreviewSheet]


class Scanned(_Shape):
    found: int
    queued: int


class DatasetColumn(_Shape):
    name: str
    header: str
    type: str


class Dataset(_Shape):
    name: str
    columns: list[DatasetColumn]
    rows: int
    key: list[str] | None


class DatasetList(_Shape):
    datasets: list[Dataset]
    total: int


class NewName(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="As a dataset may be called: lower-case letters, digits and _.")


class Renamed(_Shape):
    name: str
    former_names: list[str] = Field(description="Newest first; they go on leading to the dataset.")


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: list[str] = Field(description="The columns that name a record; none: no key.", max_length=16)


class KeyProof(_Shape):
    columns: list[str]
    unique: bool = Field(description="No file has two rows with the same values.")
    blanks: int = Field(description="Rows in which one of the columns has no value.")
    rows: int = Field(description="All rows of the dataset.")


class KeyProofs(RootModel[list[KeyProof]]):
    """The likeliest first."""


class Removed(_Shape):
    files: int = Field(description="Files that had rows there, or a table.")
    rows_removed: int


class RowList(_Shape):
    rows: list[dict[str, object]] = Field(description="By `_file_id`, `_row`; NUMERIC and integers beyond 2^53 are strings.")
    total: int


class Alive(_Shape):
    status: str


class Ready(_Shape):
    status: str
    reasons: list[str] = Field(description="What is not ready, one sentence each.")
