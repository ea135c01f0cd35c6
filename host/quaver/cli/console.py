"""`quaver console`: a terminal on a board's console."""

from __future__ import annotations

import sys

import click

from quaver.cli.port import attached, port_option


@click.command("console")
@port_option
def command(port: str | None) -> None:
    """Open a board's console: its output, and its prompt after Ctrl-C. Ctrl-] closes it.

    Ctrl-D at the prompt starts the firmware again; so does quaver reset.
    """
    from quaver.desk.terminal import talk
    from quaver.errors import QuaverError

    if not sys.stdin.isatty():
        raise QuaverError("the console needs a terminal for input: run it in one, or use quaver files, mpremote exec")
    with attached(port) as board:
        greeting = f"{board.where.removeprefix('serial:')}: Ctrl-] closes the console"
        talk(board, sys.stdin.fileno(), sys.stdout.fileno(), greeting)
