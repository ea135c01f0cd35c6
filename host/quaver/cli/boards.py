"""`quaver boards`: the board files, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.board.spec import BoardSpec


@click.command("boards")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per board, with every field.")
def command(as_json: bool) -> int:
    """List the boards that Quaver knows."""
    from quaver.board.spec import board_names, load_board
    from quaver.errors import BoardFileError

    boards, code = [], 0
    for name in board_names():
        try:
            boards.append(load_board(name))
        except BoardFileError as error:  # it must not hide the others
            click.echo(f"quaver: {error}", err=True)
            code = error.exit_code
    if as_json:
        _print_json(boards)
    elif boards:
        _print_table(boards)
    return code


def _print_json(boards: Sequence[BoardSpec]) -> None:
    from quaver.plant.node import EMULATED

    for board in boards:
        click.echo(json.dumps(asdict(board) | {"emulated": EMULATED.get(board.name)}))


def _print_table(boards: Sequence[BoardSpec]) -> None:
    from rich.console import Console
    from rich.table import Table

    from quaver.plant.node import EMULATED

    console = Console(markup=False)
    wide = console.width >= 100
    table = Table(pad_edge=False)
    for heading in ("board", "chip", "radios", "emulated", "image"):
        table.add_column(heading, no_wrap=True)
    for heading in ("flash", "heap", "free"):
        table.add_column(heading, no_wrap=True, justify="right")
    if wide:
        table.add_column("title", overflow="fold")
    for board in boards:
        cells = (
            board.name,
            board.chip,
            ", ".join(board.radios),
            EMULATED.get(board.name, "-"),
            board.image.version if board.image else "-",
            str(board.flash.size // 1024),
            str(board.heap // 1024),
            str(board.heap_budget // 1024),
            board.title,
        )
        table.add_row(*(cells if wide else cells[:-1]))
    console.print(table)
    console.print("flash, heap, and the heap that the firmware leaves free: KiB", style="dim italic")
