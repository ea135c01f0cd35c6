"""`quaver flash`: boards from bare to running firmware, many at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.image import chosen, image_options
from quaver.cli.port import drivers_option

if TYPE_CHECKING:
    from quaver.board.ports import Port
    from quaver.flash.fleet import Outcome, Watch


@click.command("flash")
@click.argument("board", metavar="[BOARD]", required=False)
@click.option(
    "--port", "names", multiple=True, metavar="PORT", help="A device, socket://host:port, drive or id; repeatable."
)
@click.option("--all", "everything", is_flag=True, help="All connected boards.")
@click.option(
    "--updatable", is_flag=True, help="ESP32: releases can replace MicroPython too; the file system is smaller."
)
@image_options
@drivers_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per board.")
def command(
    board: str | None,
    names: tuple[str, ...],
    everything: bool,
    updatable: bool,
    place: str | None,
    sha256: str | None,
    drivers: Path | None,
    as_json: bool,
) -> int:
    """Flash boards: write image and firmware, verify, reset, wait until the firmware reports its version.

    BOARD is a name that `quaver boards` lists; without it each board's chip decides. Without --port and --all the only
    connected board is flashed; with several you are asked. Flash that is already right is not written again. A node's
    own files are kept, unless its boot loader can't read them: then use quaver sync.

    A board gets the public half of your release key, if there is one: its node takes updates that this key has signed.

    A board that has no code yet gets one, which `quaver label` prints and `quaver provision` uses.
    """
    from quaver.flash.fleet import Fleet, board_to_flash, choose_ports, exit_code
    from quaver.fleet.keys import default_folder
    from quaver.provision.identity import Codes, give_code_at
    from quaver.release.signing import trusted

    if names and everything:
        raise click.UsageError("--port names boards, --all means every board: use one of the two.")
    if board is not None:
        board_to_flash(board)  # a wrong name is told before anybody is asked for a board
    elif place is not None:
        raise click.UsageError("--image is for one kind of board: name BOARD.")
    other = chosen(board or "", place, sha256)
    attended = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    ports = choose_ports(names, everything, _ask if attended else None)
    codes = Codes(default_folder())
    release_key = trusted()

    def finish(device: str) -> None:
        give_code_at(device, codes, release_key)

    image = other.image if other else None
    with _bars(ports) as watch:
        outcomes = Fleet(board, watch, finish=finish, slots=updatable, image=image, drivers=drivers).flash(ports)
    for outcome in outcomes:
        if as_json:
            click.echo(json.dumps(outcome.as_json()))
    if not as_json:
        _table(outcomes)
    for outcome in outcomes:
        if outcome.reason:
            click.echo(f"quaver: {outcome.reason}", err=True)
    return exit_code(outcomes)


def _ask(found: list[Port]) -> list[Port]:
    for number, port in enumerate(found, 1):
        click.echo(f"{number:3}  {port.device}  {port.description}  {port.unique_id or ''}".rstrip(), err=True)
    while True:
        answer: str = click.prompt("Which? A number, several with commas, or all", err=True)
        if answer.strip().lower() == "all":
            return found
        try:
            chosen = [int(part) for part in answer.split(",")]
            if all(1 <= number <= len(found) for number in chosen):
                return [found[number - 1] for number in dict.fromkeys(chosen)]
        except ValueError:
            pass
        click.echo(f"expected numbers from 1 to {len(found)}, or all", err=True)


@contextmanager
def _bars(ports: list[Port]) -> Iterator[Watch]:
    """A progress bar a board on stderr; where that can't redraw, a line a step."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, markup=False)
    words: dict[str, str] = {}
    if not console.is_terminal or console.is_dumb_terminal:

        def plain(port: Port, word: str, _part: float) -> None:
            if words.get(port.device) != word:
                words[port.device] = word
                print(f"{port.device}: {word}", file=sys.stderr, flush=True)

        yield plain
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[word]}", markup=False),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        tasks = {port.device: progress.add_task(port.device, total=1.0, word="") for port in ports}

        def bar(port: Port, word: str, part: float) -> None:
            progress.update(tasks[port.device], completed=part, word=word)
            if word in ("flashed", "already right", "failed"):
                progress.stop_task(tasks[port.device])

        yield bar


def _table(outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(pad_edge=False)
    for heading in ("board", "port", "unique id", "image"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    styles = {"flashed": "green", "already right": "green", "failed": "red"}
    for one in outcomes:
        cells = (one.board or "-", one.port, one.unique_id or "-", one.image or "-", f"{one.seconds:.1f}")
        table.add_row(*cells, Text(one.outcome, style=styles[one.outcome]))
    Console(markup=False).print(table)
