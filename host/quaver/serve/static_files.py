"""The page's own files: read and packed once, each with a strong ETag, so a browser asks and gets only what is new."""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).with_name("static")
_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}
_PACKED = ("text/", "image/svg+xml", "application/manifest+json", "application/json")


@dataclass(frozen=True)
class _File:
    media: str
    plain: bytes
    tag: str

    @functools.cached_property
    def packed(self) -> bytes | None:
        return gzip.compress(self.plain, 9, mtime=0) if self.media.startswith(_PACKED) else None


class StaticFiles:
    """What lies in a folder; "" is its index.html. No path reaches out of it: only what was found there is known."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()
        }

    async def answer(self, request: Request) -> Response:
        file = self._files.get(request.path_params["path"] or "index.html")
        if file is None:
            raise HTTPException(404)
        body, tag = file.plain, file.tag
        headers = {"cache-control": "no-cache", "vary": "accept-encoding"}
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body, tag = file.packed, f"{tag}-gzip"
            headers["content-encoding"] = "gzip"
        headers["etag"] = f'"{tag}"'
        known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
        if headers["etag"] in known:
            headers.pop("content-encoding", None)
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=file.media)


def _read(path: Path) -> _File:
    plain = path.read_bytes()
    media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(media, plain, hashlib.sha256(plain).hexdigest()[:32])
