"""`quaver build`: one file to flash, of the official image and the firmware."""

from __future__ import annotations

from pathlib import Path

import click

from quaver.cli.image import chosen, image_options


@click.command("build")
@click.argument("board", metavar="BOARD")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The node's config.json; it is checked first.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="By default quaver-VERSION-BOARD.uf2 or .bin in this folder.",
)
@image_options
def command(board: str, config_file: Path | None, output: Path | None, place: str | None, sha256: str | None) -> None:
    """Build one file to flash: the official MicroPython image and the firmware.

    BOARD is a name that `quaver boards` lists. A Pico W gets a UF2, for its drive; a board of the ESP32 family a .bin,
    with the address for esptool. The same input gives the same bytes on any machine. With --config only you can read
    the file: it contains the node's config.json, passwords included. Drivers of your own, in the folder `drivers`
    beside the configuration, come with it.
    """
    from quaver.build import build, read_config, write_flashable
    from quaver.build.own import BESIDE
    from quaver.cli.ui import download

    config = read_config(config_file, board) if config_file else None
    beside = config_file.parent / BESIDE if config_file else None
    drivers = beside if beside and beside.is_dir() else None
    other = chosen(board, place, sha256)
    with download() as progress:
        built = build(board, config, progress=progress, image=other.image if other else None, drivers=drivers)
    path = output or Path(built.name)
    data = built.file()
    digest = write_flashable(path, data, private=config is not None)
    assert built.board.image is not None
    click.echo(f"{path}: {len(data)} bytes, MicroPython {built.board.image.version} and {len(built.files)} files")
    click.echo(f"sha256 {digest}")
    if built.board.silicon.loader == "uf2":
        click.echo(
            "to flash without quaver: hold BOOTSEL, plug the board in, copy the file to the drive "
            f"{built.board.silicon.drive}"
        )
    else:
        click.echo(
            f"to flash without quaver: esptool --chip {built.board.chip} write-flash 0x{built.image_offset:x} {path}"
        )
