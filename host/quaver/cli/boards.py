"""`quaver boards`: what the board files say, as a table or as JSON."""

import json
from dataclasses import asdict

import click


@click.command("boards")
@click.option("--json", "as_json", is_flag=True, help="One board a line, every field.")
def command(as_json: bool) -> None:
    """List the boards that Quaver knows."""
    from quaver.boards import board_names, load_board
    from quaver.emulate import EMULATED

    boards = [load_board(name) for name in board_names()]
    if as_json:
        for board in boards:
            click.echo(json.dumps(asdict(board) | {"emulated": EMULATED.get(board.name)}))
        return

    from rich.console import Console
    from rich.table import Table

    console = Console()
    wide = console.width >= 100
    table = Table(pad_edge=False, caption="flash, heap, and the heap that stays free: KiB", caption_justify="left")
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
