"""
Everything that `sheets` and `ingest` raise on purpose; each message is one sentence for the person who sent the file.

    LevelpoolError
    └── SheetError
        ├── UnreadableFile        nothing can be read from the file
        │   ├── NotASpreadsheet   its content is no format we know
        │   ├── EmptyFile         no bytes, or no cell in any sheet
        │   ├── EncryptedFile     it is encrypted, and nothing here opens it
        │   │   └── PasswordNeeded    its password opens it: none was given, or another one
        │   └── DamagedFile       truncated, or its structure is broken
        ├── LimitExceeded         it is larger than a limit allows; names limit, value and variable
        ├── NameRefused           a dataset name that is not valid, reserved, or not ours
        ├── OptionsRefused        a correction that cannot be; names the option, its value and what is allowed
        ├── ClaimLost             another worker took over this file: this one rolled back
        ├── NotFound              no file or dataset of that name or number (also a LookupError)
        ├── TryAgain              the database was busy or went away in the middle; nothing was changed
        ├── FileInUse             the file's state does not allow this (undo while running, ...)
        ├── ColumnInUse           a column that has values, or is in the key, cannot be dropped
        ├── TableChanged          somebody has changed a dataset's table by hand: it is not as levelpool left it
        ├── OriginalMissing       the kept original of a file is gone from the store
        ├── OriginalChanged       the kept original of a file is not what was kept: its hash is another
        ├── StoreError            the folder of the kept originals cannot be used, or is full
        └── InboxError            the inbox does not exist, cannot be read, or a link leads out of it
"""

import re

from levelpool.errors import LevelpoolError


class SheetError(LevelpoolError):
    """The root of the errors of `sheets` and `ingest`."""


def word_of(error: Exception) -> str:
    """One word for programs: `encrypted_file` of an `EncryptedFile`; `internal` of what is not ours."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower() if isinstance(error, LevelpoolError) else "internal"


class UnreadableFile(SheetError):
    """Nothing can be read from the file."""


class NotASpreadsheet(UnreadableFile):
    """The content is no spreadsheet format we know."""


class EmptyFile(UnreadableFile):
    """The file has no bytes, or no sheet of it has a cell."""


class EncryptedFile(UnreadableFile):
    """The file is encrypted."""


class PasswordNeeded(EncryptedFile):
    """The password of the file opens it: none was given, or another one."""


class DamagedFile(UnreadableFile):
    """The file is truncated or its structure is broken."""


class LimitExceeded(SheetError):
    """The file is larger than a limit allows; `variable` names the environment variable that sets the limit."""

    def __init__(self, message: str, *, limit: str, value: float, allowed: float, variable: str) -> None:
        super().__init__(message)
        self.limit = limit
        self.value = value
        self.allowed = allowed
        self.variable = variable


class NameRefused(SheetError):
    """A dataset name that is not valid, is reserved, or belongs to a table that levelpool did not create."""


class OptionsRefused(SheetError):
    """A correction that cannot be; the sentence names the option, its value and what is allowed, and so do the fields."""

    def __init__(self, message: str, *, option: str = "options", value: object = None, allowed: str = "") -> None:
        super().__init__(message)
        self.option = option
        self.value = value
        self.allowed = allowed


class ClaimLost(SheetError):
    """Another worker took over the file; this one rolled back and changed nothing."""


class NotFound(SheetError, LookupError):
    """There is no file or dataset of that name or number."""


class TryAgain(SheetError):
    """The database was busy or went away in the middle; nothing was changed."""


class FileInUse(SheetError):
    """The file's state does not allow what was asked."""


class ColumnInUse(SheetError):
    """A column of a dataset cannot be dropped: rows have values in it, it belongs to the key, or it is the last one."""


class TableChanged(SheetError):
    """The table of a dataset is not as levelpool left it: somebody has changed it by hand."""


class OriginalMissing(SheetError):
    """The kept original of a file is gone from the store."""


class OriginalChanged(SheetError):
    """The kept original of a file has another content than what was kept."""


class StoreError(SheetError):
    """The folder of the kept originals cannot be used, or is full."""


class InboxError(SheetError):
    """The inbox does not exist, cannot be read, or a link in it leads out of it."""
