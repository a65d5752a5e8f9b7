"""What a request says beside the file: the correction record as JSON, and a password."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request

from levelpool.service.errors import Refusal
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import OptionsRefused

MOST_PASSWORD = 1024
"""Characters of a password; the programs that set one take at most 255."""

_FIELDS = ("options", "password")
_FIELDS_OF_REPLAY = ("dataset", *_FIELDS)


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Corrections and a dataset (None: as they are), and a password, which is shown nowhere."""

    options: TableOptions | None = None
    password: str | None = field(default=None, repr=False)
    dataset: str | None = None

    def for_new_file(self) -> TableOptions:
        """One record for a file that has none yet."""
        return replace(self.options or TableOptions(), password=self.password)


def options_of_form(fields: Mapping[str, str]) -> RequestOptions:
    """
    The fields `options` (a JSON text) and `password` of a multipart form.

    Raises `OptionsRefused`, which names the option, its value and what is allowed.
    """
    text = fields.get("options", "").strip()
    return RequestOptions(_readable(TableOptions.from_json(text)) if text else None, _password(fields.get("password")))


async def options_of_body(request: Request, *, of_replay: bool = False) -> RequestOptions:
    """
    The JSON body `{"options": {...}, "password": "..."}`, and of a replay `dataset`; each may be left out, and so may the body.

    Raises `Refusal` for another body, and `OptionsRefused` as above.
    """
    body = await request.body()
    if not body.strip():
        return RequestOptions()
    said = _object_of(body, _FIELDS_OF_REPLAY if of_replay else _FIELDS)
    options = None if said.get("options") is None else _readable(TableOptions.from_dict(said["options"]))
    return RequestOptions(options, _password(said.get("password")), _dataset(said.get("dataset")))


def _dataset(said: object) -> str | None:
    # Half of a surrogate pair is text for JSON, and for nothing else.
    if said is not None and not (isinstance(said, str) and said.isprintable()):
        raise Refusal(422, "invalid_request", 'body.dataset: give the name of a dataset as a text, such as "orders".')
    return said or None


def _object_of(body: bytes, fields: Collection[str]) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not said.keys() <= set(fields):
        # The body is not repeated: it may hold a password.
        known = " and ".join(f'"{each}"' for each in fields)
        raise Refusal(422, "invalid_request", f"The body must be a JSON object with {known}, each of which may be left out, or empty.")
    return said


def _password(said: object) -> str | None:
    if said is None or said == "":
        return None
    if not isinstance(said, str) or len(said) > MOST_PASSWORD:
        raise OptionsRefused(
            f"the password cannot be used: give a text of at most {MOST_PASSWORD} characters",
            option="password",
            allowed=f"a text of at most {MOST_PASSWORD} characters",
        )
    return said


def _readable(options: TableOptions) -> TableOptions:
    """*options*, if they can be written down again: half of a surrogate pair is text for JSON, and for nothing else."""
    try:
        options.to_json().encode()
    except UnicodeEncodeError:
        raise OptionsRefused("the options hold a character that is none (half of a surrogate pair): take it out") from None
    return options
