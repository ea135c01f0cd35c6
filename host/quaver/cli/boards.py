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
    """List the boards that Quaver knows.

    The column "ran" says on what the firmware ran: in the emulator, on the board itself, or on neither (compiled only).
    """
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


def _ran(board: BoardSpec) -> str:
    """What of the firmware has run on the board, and on what; never more than that."""
    from quaver.emulator.targets import EMULATED

    if board.silicon_run:
        return f"tried on silicon: {board.silicon_run}"
    return f"emulated ({EMULATED[board.name]})" if board.name in EMULATED else "compiled only"


def _print_json(boards: Sequence[BoardSpec]) -> None:
    from quaver.emulator.targets import EMULATED

    for board in boards:
        click.echo(json.dumps(asdict(board) | {"emulated": EMULATED.get(board.name), "ran": _ran(board)}))


def _print_table(boards: Sequence[BoardSpec]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    wide = console.width >= 100
    table = Table(pad_edge=False)
    for heading in ("board", "chip", "image", "in package", "ran"):
        table.add_column(heading, no_wrap=True)
    if wide:
        table.add_column("radios", no_wrap=True)
        table.add_column("title", overflow="fold")
    for board in boards:
        cells = (
            board.name,
            board.chip,
            board.image.version if board.image else "-",
            board.image.carrier.package if board.image and board.image.carrier else "-",
            _ran(board),
            ", ".join(board.radios) or "-",
            board.title,
        )
        table.add_row(*(cells if wide else cells[:-2]))
    console.print(table)
    console.print("without a package: name the image by --image and --sha256", style="dim italic")
