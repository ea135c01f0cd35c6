"""`quaver console`: a terminal on a board's console."""

from __future__ import annotations

import sys

import click

from quaver.cli.port import attached, port_option


@click.command("console")
@port_option
def command(port: str | None) -> None:
    """Talk to a board: what it prints, and its prompt after Ctrl-C. Ctrl-] leaves.

    Ctrl-D at the prompt starts the firmware again; quaver reset does so from outside.
    """
    from quaver.desk.terminal import talk
    from quaver.errors import QuaverError

    if not sys.stdin.isatty():
        raise QuaverError("the console needs a terminal to type at: run it in one, or use quaver files, mpremote exec")
    with attached(port) as board:
        greeting = f"{board.where.removeprefix('serial:')}: Ctrl-] leaves"
        talk(board, sys.stdin.fileno(), sys.stdout.fileno(), greeting)
