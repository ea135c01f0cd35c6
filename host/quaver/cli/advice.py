"""What a verdict means, on the terminal: the option of its language, and the entries for what a node sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.knowledge import Advice
    from quaver.messages.record import Record

_WIDEST = 100  # columns; longer lines are hard to read

lang_option = click.option(
    "--lang",
    type=click.Choice(["en", "de"]),
    help="The language of what a verdict means; by default that of LC_ALL, LC_MESSAGES or LANG.",
)


def advices(keys: Iterable[str], lang: str | None) -> list[Advice]:
    """The entries in that language, None for the user's own."""
    from quaver.knowledge import entries, language

    known = entries(lang or language())
    return [known[key] for key in keys]


def advice_lines(advice: Advice, width: int | None = None) -> list[str]:
    """An entry as lines, indented, for a terminal of so many columns; None for the one at hand."""
    columns = min(width or shutil.get_terminal_size().columns, _WIDEST) - 3
    return [f"  {line}" for line in advice.lines(columns)]


def told(record: Record) -> list[str]:
    """The keys of the entries that a record calls for: alarm, zone C, trend, named fault, a sensor that failed."""
    from quaver.knowledge import keys_told

    return keys_told(record.kind, record.values)
