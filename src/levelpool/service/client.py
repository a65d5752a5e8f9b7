"""The service seen from outside: what `levelpool status` and `levelpool top` ask it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any, cast

from levelpool.errors import LevelpoolError, SettingsError
from levelpool.settings import Settings

TIMEOUT = 10.0


class Unreachable(LevelpoolError):
    """The service does not answer, or refuses."""


def address(settings: Settings) -> str:
    """Where the service is. Raises `SettingsError` for a LEVELPOOL_URL that is no web address."""
    url = (settings.url or f"http://127.0.0.1:{settings.port}").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"LEVELPOOL_URL is {url!r}: it must start with http:// or https://")
    return url


def read_status(settings: Settings) -> dict[str, Any]:
    """
    What the service says about itself: `ready`, `reasons`, and with a token its newest files, with an admin's its resources.

    Raises `Unreachable`.
    """
    ready = _ask(settings, "/readyz", allow=(503,))
    answer: dict[str, Any] = {"url": address(settings), "ready": ready.get("status") == "ready", "reasons": ready.get("reasons", [])}
    if settings.token:
        listed = _ask(settings, "/api/files?limit=10")
        answer |= {"files": listed["files"], "total": listed["total"]}
        usage = _ask(settings, "/api/system/resource-usage", allow=(403,))
        if "error" not in usage:
            answer["resources"] = usage
            answer["executor"] = _ask(settings, "/api/system/executor-stats")
    return answer


def follow_system(settings: Settings) -> Iterator[dict[str, Any]]:
    """One snapshot a second, until the service ends the stream. Raises `Unreachable`, and `SettingsError` without a token."""
    if not settings.token:
        raise SettingsError("LEVELPOOL_TOKEN is not set: set it to an admin's token")
    with _open(settings, "/api/system/stream") as answer:
        for line in answer:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def _ask(settings: Settings, path: str, *, allow: tuple[int, ...] = ()) -> dict[str, Any]:
    with _open(settings, path, allow=allow) as answer:
        try:
            return cast("dict[str, Any]", json.loads(answer.read()))
        except ValueError:
            raise Unreachable(f"{address(settings)} answers, but not as levelpool does: check LEVELPOOL_URL") from None


def _open(settings: Settings, path: str, *, allow: tuple[int, ...] = ()) -> HTTPResponse:
    request = urllib.request.Request(address(settings) + path)  # noqa: S310 - address() lets only http and https through
    if settings.token:
        request.add_header("Authorization", f"Bearer {settings.token}")
    try:
        return cast("HTTPResponse", urllib.request.urlopen(request, timeout=TIMEOUT))  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code in allow:
            return cast("HTTPResponse", error)
        raise Unreachable(f"{address(settings)}{path} answers {error.code}: {_message(error)}") from None
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"no service answers at {address(settings)} ({reason}): start it, or set LEVELPOOL_URL") from None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
