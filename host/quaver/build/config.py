"""The build room's configuration: a node's config.json, checked by the device's own code before it is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quaver.board.guest import guest
from quaver.board.local import ProgramError, run
from quaver.board.spec import load_board, render_board
from quaver.build.own import BESIDE, staged
from quaver.errors import BuildError

_LARGEST = 1 << 16


def read_config(path: Path, board: str | None = None) -> dict[str, Any]:
    """The configuration in a JSON file, if the device's own rules take it as it stands.

    Its config, bearings and zones run on MicroPython's unix port, and whatever they would replace by a default is a
    mistake here. board: the name of one, whose pins are held against it too. Drivers of one's own are those in the
    folder beside it (`own.BESIDE`). Raises BuildError with file, key and what was expected, and BoardFileError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror}): check the name and its permissions") from error
    if len(text) > _LARGEST:
        raise BuildError(f"{path}: is larger than {_LARGEST} bytes: it is not a node's configuration")
    try:
        config = json.loads(text)
    except ValueError as error:  # of a mistake in UTF-8 too; its message has no part of the file
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "not UTF-8"
        raise BuildError(f"{path}: is not JSON ({where}): correct it") from error
    problems = _problems(text, path, board)
    if problems:
        raise BuildError(f"{path}: {'; '.join(problems)}")
    assert isinstance(config, dict)
    return config


def _problems(text: bytes, path: Path, board: str | None) -> list[str]:
    try:
        with staged(path.parent / BESIDE) as folder:
            if board is not None:
                (folder / "board.py").write_text(render_board(load_board(board)), encoding="utf-8")
            given = text.decode(errors="surrogateescape")
            problems: list[str] = run(guest(__file__, "check_config"), given, folder=folder)
    except ProgramError as error:
        raise BuildError(f"{path}: the device's check of the configuration {error}") from error
    return problems
