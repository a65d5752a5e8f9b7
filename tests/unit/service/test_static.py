"""The page's own files: addressed by content, compressed once, never outside of their folder."""

import gzip

import pytest
from starlette.requests import Request

from levelpool.service.errors import Refusal
from levelpool.service.static import StaticFiles


def request(query: str = "", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": raw})


@pytest.fixture
def static(tmp_path):
    (tmp_path / "page.js").write_text("let a = 1;")
    (tmp_path / "secret.py").write_text("no")
    return StaticFiles(tmp_path)


def test_versioned_address_is_kept_for_good_and_changes_with_the_content(static, tmp_path):
    """A browser asks once for each version."""
    url = static.url("page.js")
    answer = static.answer(request(url.partition("?")[2]), "page.js")
    assert "immutable" in answer.headers["cache-control"]
    (tmp_path / "page.js").write_text("let a = 2;")

    assert StaticFiles(tmp_path).url("page.js") != url
    assert static.answer(request("v=old"), "page.js").headers["cache-control"] == "no-cache"


def test_known_file_is_not_sent_again(static):
    """304 for the version the browser has."""
    etag = static.answer(request(), "page.js").headers["etag"]

    assert static.answer(request(if_none_match=etag), "page.js").status_code == 304


def test_compressed_file_is_the_same_file(static):
    """gzip for who takes it."""
    answer = static.answer(request(accept_encoding="gzip, br"), "page.js")

    assert gzip.decompress(answer.body) == static.answer(request(), "page.js").body == b"let a = 1;"


@pytest.mark.parametrize("name", ["secret.py", "../static.py", "..", "", "/etc/passwd"])
def test_nothing_else_is_served(static, name):
    """Only what was loaded at start has an address."""
    with pytest.raises(Refusal) as refused:
        static.answer(request(), name)

    assert refused.value.status_code == 404
