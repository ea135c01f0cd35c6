"""The page's JSON API as a program with a token asks it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from quaver.errors import McpError
from quaver.files.private import read_private
from quaver.messages.record import one_line

_VARIABLE = "QUAVER_TOKEN"
_LIMIT_S = 30.0
_ANSWER_MAX = 4 << 20  # bytes
_TOKEN_MAX = 4096


def read_token(path: Path | None) -> str:
    """The token, from a file that nobody else may read, or from QUAVER_TOKEN. Raises McpError."""
    if path is None:
        token = os.environ.get(_VARIABLE, "")
        if not token:
            raise McpError(f"no token: name its file with --token-file, or set {_VARIABLE}; the page makes one")
        return token.strip()
    found = read_private(path, _TOKEN_MAX, McpError)
    if found is None:
        raise McpError(f"{path}: there is no such file; write a token of the page into it")
    return found.decode("ascii", "replace").strip()


class Api:
    """url: of the page. ca: a file of the CA that signed its certificate. Everything raises McpError."""

    def __init__(self, url: str, token: str, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise McpError(f"{one_line(url)[:80]}: is no address of a page; write http://HOST:PORT or https://HOST")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise McpError(f"{url}: without TLS everybody on the way reads the token; write https://…")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise McpError("the token is none that the page has made")
        self._root = url.rstrip("/") + "/api/v1/"
        self._session = requests.Session()
        self._session.headers["authorization"] = f"Bearer {token}"
        self._session.trust_env = False
        self._session.verify = str(ca) if ca else True

    def get(self, *path: str | int, **query: Any) -> Any:
        """What is at a path, of parts that are quoted; parameters that are None are left out."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value is not None}).json()

    def file(self, *path: str | int) -> bytes:
        return self._ask("GET", path).content

    def post(self, *path: str | int, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, json=dict(body)).json()

    def _ask(self, method: str, path: tuple[str | int, ...], **more: Any) -> requests.Response:
        url = self._root + "/".join(quote(str(part), safe="") for part in path)
        try:
            answer = self._session.request(method, url, timeout=_LIMIT_S, allow_redirects=False, stream=True, **more)
            content = answer.raw.read(_ANSWER_MAX + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            why = one_line(str(getattr(error, "reason", "") or type(error).__name__))[:120]
            raise McpError(f"{self._root}: the page does not answer ({why}); is quaver serve running?") from None
        if len(content) > _ANSWER_MAX:
            raise McpError("the answer is too long; ask for less")
        answer._content = content
        if answer.ok:
            return answer
        try:
            said = str(answer.json()["error"])
        except (ValueError, KeyError, TypeError):
            said = f"the page answered with {answer.status_code}"
        raise McpError(one_line(said)[:300])
