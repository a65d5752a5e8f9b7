"""The page's own files, read once at start and served from memory; addresses carry the content's hash, so browsers keep them for good."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from levelpool.service.errors import Refusal

FOLDER = Path(__file__).with_name("static")

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to send."""

    body: bytes
    compressed: bytes
    media_type: str
    version: str


class StaticFiles:
    """All files of *folder*; `url(name)` for templates, `answer(request, name)` for the route."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            path.relative_to(folder).as_posix(): _load(path) for path in sorted(folder.rglob("*")) if path.suffix in _MEDIA_TYPES
        }

    def __contains__(self, name: str) -> bool:
        return name in self._assets

    def url(self, name: str) -> str:
        """The address of the file in this very version."""
        asset = self._assets.get(name)
        return f"/static/{name}?v={asset.version}" if asset else f"/static/{name}"

    def answer(self, request: Request, name: str) -> Response:
        """The file; 304 when the browser has it; 404 when there is none."""
        asset = self._assets.get(name)
        if asset is None:
            raise Refusal(404, "not_found", "There is no such file.")
        headers = {
            "ETag": f'"{asset.version}"',
            "Vary": "Accept-Encoding",
            "Cache-Control": "public, max-age=31536000, immutable" if request.query_params.get("v") == asset.version else "no-cache",
        }
        if f'"{asset.version}"' in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
        return Response(asset.body, headers=headers, media_type=asset.media_type)


def _load(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, gzip.compress(body, 9, mtime=0), _MEDIA_TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:12])
