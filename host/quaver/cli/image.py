"""The options that name another official image than a board's own, and that image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quaver.board.spec import BoardSpec


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--image and --sha256, as arguments `place` and `sha256`."""
    command = click.option("--sha256", metavar="HEX", help="With --image: the file's SHA-256; no other is taken.")(
        command
    )
    return click.option(
        "--image",
        "place",
        metavar="URL|FILE",
        help="Another official MicroPython image than the board's own: https://… or a file. Needs --sha256.",
    )(command)


def chosen(board: str, place: str | None, sha256: str | None) -> BoardSpec | None:
    """The board with that image, fetched and checked; None where none is named.

    Raises UsageError, BoardFileError, ArtifactError, BuildError.
    """
    if (place is None) != (sha256 is None):
        raise click.UsageError("--image and --sha256 belong together: an image is used only if it is the one you mean")
    if place is None or sha256 is None:
        return None
    from quaver.board.spec import load_board
    from quaver.build.official import check_format, given_image
    from quaver.cli.ui import download

    tested = load_board(board)
    with download() as progress:
        found = given_image(tested, place, sha256, progress)
    check_format(found)
    assert found.image is not None
    if tested.image is not None and found.image.version not in (tested.image.version, *tested.also):
        known = ", ".join((tested.image.version, *tested.also))
        click.echo(f"quaver: MicroPython {found.image.version} was not tested on {board}: tested: {known}", err=True)
    return found
