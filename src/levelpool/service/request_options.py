"""What a request says beside the file: the correction record as JSON, and a password."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request

from levelpool.service.errors import Refusal
from levelpool.sheets.clean.options import TableOptions
from levelpool.sheets.errors import OptionsRefused

MOST_PASSWORD = 1024
"""Characters of a password; the programs that set one take at most 255."""

_FIELDS = {"options", "password"}


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Corrections (None: as they are) and a password, which is shown nowhere."""

    options: TableOptions | None = None
    password: str | None = field(default=None, repr=False)

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


async def options_of_body(request: Request) -> RequestOptions:
    """
    The JSON body `{"options": {...}, "password": "..."}`; both may be left out, and so may the body.

    Raises `Refusal` for another body, and `OptionsRefused` as above.
    """
    body = await request.body()
    if not body.strip():
        return RequestOptions()
    said = _object_of(body)
    options = said.get("options")
    return RequestOptions(None if options is None else _readable(TableOptions.from_dict(options)), _password(said.get("password")))


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not said.keys() <= _FIELDS:
        # The body is not repeated: it may hold a password.
        raise Refusal(
            422, "invalid_request", 'The body must be a JSON object with "options" (an object) and "password" (a text), or empty.'
        )
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
