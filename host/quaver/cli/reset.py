"""`quaver reset`: restarts a board."""

from __future__ import annotations

import click

from quaver.cli.port import attached, port_option


@click.command("reset")
@port_option
def command(port: str | None) -> None:
    """Restart a board and the firmware on it."""
    with attached(port) as board:
        board.reset()
        click.echo(f"{board.where.removeprefix('serial:')}: restarted")
