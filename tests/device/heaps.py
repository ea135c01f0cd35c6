"""What an ESP32-C3 has free of its two heaps while its node runs, told by a task beside the others."""

import textwrap
from pathlib import Path
from typing import NamedTuple

from quaver.board.guest import source

_START = "    start.run(supervisor, watchdog)"


class Free(NamedTuple):
    """Bytes: of Python's heap, of ESP-IDF's, and in the largest piece of that one."""

    python: int
    idf: int
    piece: int


def watched(main: bytes) -> bytes:
    """The firmware's main.py, which tells every two seconds what is free."""
    text = main.decode()
    assert text.count(_START) == 1
    task = source(Path(__file__).parent / "programs" / "heaps.py", {})
    return text.replace(_START, textwrap.indent(task, "    ") + _START).encode()


def told(console: bytes) -> list[Free]:
    """What it has told in whole lines."""
    lines = console.decode().split("\n")[:-1]
    return [Free(*map(int, line.split()[1:])) for line in lines if line.startswith("heaps ")]


def least(found: list[Free]) -> Free:
    """Of each the least."""
    return Free(*map(min, zip(*found, strict=True)))
