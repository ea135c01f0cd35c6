"""`quaver bench wire`: a record's bytes, plain and sealed, and the time that a board takes for it."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("wire")
@click.option(
    "--board",
    type=click.Choice(["rp2040", "esp32_c3", "unix"]),
    default="rp2040",
    show_default=True,
    help="The board that runs the code.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(board: str, as_json: bool) -> None:
    """Print a sealed record's bytes and the time that a board takes for it, each beside its goal.

    The record is that of a measurement: 17 features, dated. On rp2040 and esp32_c3 the times are virtual microseconds
    of the emulated board; on unix they are this machine's.
    """
    from quaver.bench.wire import run_wire

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    show(f"a record on {board}", run_wire(board, step), as_json)
