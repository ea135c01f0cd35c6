"""The option that names a command's board, and the board itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.board.serial import SerialBoard

port_option = click.option(
    "--port",
    metavar="PORT",
    help="The board's port: /dev/ttyACM0, socket://host:port, or its unique id. Not needed with one board connected.",
)


def attached(port: str | None) -> SerialBoard:
    """The board, opened. Raises KnownFailure, BoardError."""
    from quaver.desk.attach import attach

    return attach(port)


def say_stopped() -> None:
    """Using a board's prompt stops its firmware: print how to start it again."""
    click.echo("the board is at its prompt now: quaver reset starts its firmware", err=True)
