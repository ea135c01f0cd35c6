"""What a verdict means, on the terminal: the option of its language, and the entries for what a node sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

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
    from quaver.knowledge import keys_of

    values = record.values
    if record.kind == "telemetry":
        return _of_telemetry(values)
    subject, code = str(values.get("subject", "")), values.get("code")
    level = values.get("event_level")
    if code == "fault":
        return keys_of(fault=subject)
    if code == "level" and subject == "zone" and level in ("warning", "alarm"):
        # the standard's boundaries: C begins at the warning, D at the alarm
        return keys_of(zone="D" if level == "alarm" else "C")
    # a trend is told while there is time: it warns, whatever else is well
    if code == "level" and (level == "alarm" or (subject == "trend" and level == "warning")):
        return keys_of(causes=[subject])
    if code == "sensor_failed":
        return keys_of(quality=["stuck" if "stuck" in str(values.get("text", "")) else f"{subject}_failed"])
    return []


def _of_telemetry(values: Any) -> list[str]:
    from quaver.knowledge import keys_of

    if values.get("level") != "alarm":
        return []
    quality = [mark for mark in values.get("quality", ()) if mark == "clipped"]
    return keys_of(quality=quality, fault=values.get("fault"), abstained=values.get("abstained"))
