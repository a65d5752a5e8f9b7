"""What became of a run: one record, by one match over how the call ended."""

from dataclasses import dataclass
from typing import Literal

from levelpool.errors import ClusterUnreachable, LaneClosed, LevelpoolError, TaskTimeout, WorkerDied
from levelpool.ingest.ledger.files import Claim
from levelpool.sheets.errors import ClaimLost, TryAgain, word_of

MOST_TRIES = 5
"""So often a file meets a busy database before it has failed."""
RETRY_AFTER = 2.0
"""Seconds before a file that met a busy database is tried again; each time as many more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the ledger is still told, what the log says, and whether the file goes on here."""

    record: Literal["nothing", "release", "fail"] = "nothing"  # nothing: whoever has the claim has recorded it with the rows
    sentence: str = ""  # for the person who sent the file
    code: str = ""  # one word for programs
    warning: str = ""
    again_after: float | None = None  # seconds, after which it is pending once more
    is_unexpected: bool = False  # the log gets the traceback


def ending_of(claim: Claim, error: Exception | None, *, tries: int, timeout: float) -> Ending:
    """
    What became of a claimed file, whose call ended with *error* (None: it is loaded).

    *tries* is how often it has run by now because the database was busy, *timeout* the seconds that it had.
    """
    match error:
        case None:
            return Ending()
        case ClaimLost():
            return Ending(warning=str(error))
        case LaneClosed():
            return Ending(record="release")
        case ClusterUnreachable():
            # What had become of it there is rolled back, or was recorded by itself.
            return Ending(record="release", warning=f"file {claim.file_id}: {error}; it is pending again")
        case TryAgain() if tries < MOST_TRIES:
            return Ending(record="release", warning=f"file {claim.file_id}: {error}; it is tried again", again_after=RETRY_AFTER * tries)
        case _:
            return Ending(
                record="fail",
                sentence=_sentence(claim.name, error, tries=tries, timeout=timeout),
                code=word_of(error),
                is_unexpected=not isinstance(error, LevelpoolError),
            )


def _sentence(name: str, error: Exception, *, tries: int, timeout: float) -> str:
    """One sentence for the person who sent the file."""
    match error:
        case TryAgain():
            return f"{error}; that was so {tries} times: replay the file when the database is well"
        case WorkerDied(cause="memory"):
            return f"{name} needs more memory than a worker may have ({error}): split the file, or raise LEVELPOOL_WORKER_MEMORY_LIMIT"
        case WorkerDied():
            return f"the worker process died while it read {name} ({error}): replay the file; if it dies again, the file is damaged"
        case TaskTimeout():
            return f"{name} was not done after {timeout:g} s: split the file"
        case LevelpoolError():
            return str(error)
    return f"{name} met an error that should not happen ({type(error).__name__}: {error}): please report it"
