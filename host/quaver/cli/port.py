"""The options that name a command's board and drivers for it, and the board itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.board.serial import SerialBoard

port_option = click.option(
    "--port",
    metavar="PORT",
    help="The board's port: /dev/ttyACM0, socket://host:port, or its unique id. Not needed with one board connected.",
)

drivers_option = click.option(
    "--drivers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Drivers of your own, which the board gets too (docs/own-sensor.md).",
)


def attached(port: str | None) -> SerialBoard:
    """The board, opened. Raises KnownFailure, BoardError."""
    from quaver.desk.attach import attach

    return attach(port)


def say_stopped() -> None:
    """Using a board's prompt stops its firmware: print how to start it again."""
    click.echo("the board is at its prompt now: quaver reset starts its firmware", err=True)
