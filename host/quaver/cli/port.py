"""The option that says which board a command is about, and the board behind it."""

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
    """Speaking to a board's prompt stops its firmware: tell how it goes on."""
    click.echo("the board is at its prompt now: quaver reset starts its firmware", err=True)
