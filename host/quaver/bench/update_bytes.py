"""What a node fetches when one line of one module changes: the signed manifest, its list of files, and the patches."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import ec

from quaver.board.spec import BoardSpec, load_board
from quaver.build import tree
from quaver.release.bundle import build_release
from quaver.release.patches import patched
from quaver.release.signing import PrivateKey

LIMIT = 8000
"""Bytes that a line may cost a node."""

_KEY = PrivateKey(ec.derive_private_key(1, ec.SECP256R1()))
_STATEMENT = re.compile(rb"^( +)(?:return|raise|[a-z_.]+ = )[^\n]*\n", re.MULTILINE)


class Cost(NamedTuple):
    """path: of the module; files: that change; whole, patched: bytes that a node fetches without patches, and with."""

    path: str
    files: int
    whole: int
    patched: int


def modules(board: str) -> list[str]:
    """The sources of a board's modules in which a line can be added to a function."""
    sources = tree._sources(load_board(board))
    return sorted(path for path, source in sources.items() if path != "boot.py" and _STATEMENT.search(source))


def costs(board: str, paths: Iterable[str]) -> Iterator[Cost]:
    """Of a line more in each of these. Raises BuildError where the board has no room for it."""
    until = int(time.time()) + 1_000_000
    own = build_release([board], 1, expires=until, key=_KEY)
    had = {file.sha256 for file in own.files(board)}
    sources = tree._sources

    for path in paths:

        def longer(spec: BoardSpec, path: str = path) -> dict[str, bytes]:
            found = sources(spec)
            found[path] = _STATEMENT.sub(rb"\1abs(12345)\n\g<0>", found[path], count=1)
            return found

        with patch.object(tree, "_sources", longer):
            new = build_release([board], 2, expires=until, key=_KEY, after=[own])
        changed = [file for file in new.files(board) if file.sha256 not in had]
        part = new.manifest.patches.get(board)
        made = patched(new.contents[part.patches]) if part else []
        head = len(new.envelopes[0]) + new.manifest.boards[board].size
        left = sum(file.size for file in changed if not file.sha256.startswith(tuple(made)))
        yield Cost(
            path, len(changed), head + sum(file.size for file in changed), head + (part.size if part else 0) + left
        )
