"""`quaver bench`: time, memory and bytes of the parts of Quaver, one sub-command per file; and the table of figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from quaver.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from quaver.bench import Figure

# Name -> its line in the help, as in quaver.cli.COMMANDS.
COMMANDS = {
    "ble": "Print what the Bluetooth link carries, and the battery life it leaves a node.",
    "dsp": "Print the times and the memory of the vibration engine, each beside its goal.",
    "esp32c3": "Print how fast the emulated ESP32-C3 boots and computes, each beside its goal.",
    "flash": "Print the times of building and of flashing a mock, beside esptool alone and the goals.",
    "sync": "Print the time that a sync takes on an emulated Pico W, each beside its goal.",
    "wire": "Print a sealed record's bytes and the time that a board takes for it, each beside its goal.",
    "journal": "Print the flash writes and erases of 1,000 records, and the years that a Pico W's flash lasts.",
    "page": "Print how quick the page is: a year of a node, 1,000 nodes, 200 live browsers, an alarm's way.",
    "power": "Print what a battery node draws over Bluetooth, by state, and how long its battery lasts.",
    "plant": "Print how many seconds of its time a plant passes in a second, by number and kind of node.",
    "ingest": "Print how fast records go from a broker into the store, sealed and as plain JSON.",
    "scale": "Print what a record costs in time of a core and in bytes: broker, ingest, store, bridge, lake, backup.",
}


@click.group("bench", cls=LazyGroup, package=__name__, lines=COMMANDS)
def command() -> None:
    """Measure time, memory and bytes of the parts of Quaver, each beside its goal."""


def show(title: str, figures: Sequence[Figure], as_json: bool) -> None:
    """Print figures as a table, or as JSON, one per line, with `reached` (true, false, or null without a goal)."""
    if as_json:
        for figure in figures:
            click.echo(json.dumps({**asdict(figure), "name": figure.name.strip(), "reached": figure.reached}))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    notes: list[str] = []
    for figure in figures:
        mark = ""
        if figure.note:
            if figure.note not in notes:
                notes.append(figure.note)
            mark = f" ({notes.index(figure.note) + 1})"
        goal = "" if figure.goal is None else f"{'>=' if figure.at_least else '<='} {_number(figure.goal, figure.unit)}"
        verdict = {None: Text(), True: Text("reached"), False: Text("missed", style="bold red")}[figure.reached]
        table.add_row(figure.name + mark, _number(figure.value, figure.unit), goal, verdict)
    screen = Console(markup=False)
    screen.print(table)
    for number, note in enumerate(notes, 1):
        screen.print(f"({number}) {note}", highlight=False, markup=False)


def _number(value: float, unit: str) -> str:
    return f"{value:,} {unit}"
