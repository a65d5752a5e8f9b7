"""What a request asks for beside the file: corrections and a password, or a refusal that repeats no password."""

import pytest
from starlette.requests import Request

from levelpool.service.errors import Refusal
from levelpool.service.request_options import MOST_PASSWORD, RequestOptions, options_of_body, options_of_form
from levelpool.sheets import TableOptions
from levelpool.sheets.errors import OptionsRefused

SECRET = "open sesame"


def request_with(body: bytes) -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_fields_beside_a_file_may_be_missing_or_empty():
    """A form sends what nobody filled in as an empty text."""
    assert options_of_form({}) == options_of_form({"options": " ", "password": ""}) == RequestOptions()
    assert options_of_form({"options": '{"header": 2}'}).for_new_file() == TableOptions(header=2)


def test_password_is_taken_as_it_is_and_shown_nowhere():
    """Blanks belong to it; no `repr` has it."""
    request = options_of_form({"password": f" {SECRET} "})

    assert request.for_new_file().password == f" {SECRET} "
    assert SECRET not in f"{request!r} {request.for_new_file()!r}"


async def test_body_may_be_empty_or_say_one_of_the_two():
    """No options leave a file's own as they are; empty ones take them away."""
    assert await options_of_body(request_with(b"")) == RequestOptions()
    assert await options_of_body(request_with(b'{"password": "x"}')) == RequestOptions(None, "x")
    assert await options_of_body(request_with(b'{"options": {}}')) == RequestOptions(TableOptions())


@pytest.mark.parametrize(
    "body",
    [
        b'{"options": {"password": "open sesame"}}',
        b'{"options": {"pasword": "open sesame"}}',
        b'{"options": {"columns": [{"header": "a", "password": "open sesame"}]}}',
        b'{"pasword": "open sesame"}',
        b'"open sesame"',
        b'{"password": ["open sesame"]}',
        b'{"password": "' + b"open sesame" * MOST_PASSWORD + b'"}',
    ],
)
async def test_refusal_does_not_repeat_a_password(body):
    """Wherever it was put by mistake."""
    with pytest.raises((OptionsRefused, Refusal)) as refused:
        await options_of_body(request_with(body))

    assert "sesame" not in f"{refused.value} {refused.value!r} {vars(refused.value)}"
