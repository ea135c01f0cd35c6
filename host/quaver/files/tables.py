"""Files of tables that people write (TOML), and what is wrong with one in a line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.errors import QuaverError

if TYPE_CHECKING:
    from pydantic import ValidationError


def read_tables(path: Path, failure: type[QuaverError], example: str) -> dict[str, Any]:
    """What a TOML file holds. example: words that say where one is to be had. Raises `failure`."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise failure(f"{path}: can't be read ({error.strerror}); {example}") from error
    except ValueError as error:  # of which TOMLDecodeError, UnicodeDecodeError and what int says of 4,300 digits are
        raise failure(f"{path}: is no TOML: {error}") from error
    except RecursionError as error:
        raise failure(f"{path}: is no TOML that can be read: it is nested too deep") from error


def first_mistake(error: ValidationError, whole: str = "the file") -> tuple[str, str]:
    """(where, what) of the first thing that is wrong with tables, without what stands there: it may be a secret.

    whole: what it is called where the mistake is of no key alone.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(str(part) for part in first["loc"]) or whole, first["msg"].removeprefix("Value error, ")
