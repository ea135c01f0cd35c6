"""Chip facts as data: chips.toml as typed values, the one source for build, flash and the board files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_FILE = Path(__file__).with_name("chips.toml")


@dataclass(frozen=True)
class Chip:
    """One table of chips.toml, which says what each field means; what a chip does not have is None or empty."""

    name: str
    arch: str
    highest_gpio: int
    hal: str
    assembler: Literal["thumb"] | None = None
    loader: Literal["uf2", "esp"] | None = None
    uf2_family: int = 0
    drive: str = ""
    image_offset: int = 0
    image_chip: int = 0
    in_place: bool = False
    connections: int = 1
    board: str = ""
    frozen: tuple[str, ...] = ()


@cache
def chips() -> Mapping[str, Chip]:
    """Every chip by name, in the file's order."""
    tables = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: Chip(name, **{**table, "frozen": tuple(table.get("frozen", ()))}) for name, table in tables.items()}
