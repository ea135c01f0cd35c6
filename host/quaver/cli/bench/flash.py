"""`quaver bench flash`: what flashing and building cost, beside their goals."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("flash")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(as_json: bool) -> None:
    """Print the times of building and of flashing a mock, beside esptool alone and the goals.

    The mock is esp32-mock-bootloader (pip install quaver[bench]); the times are this machine's.
    """
    from quaver.bench.flash import run_flash
    from quaver.cli.ui import download

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    with download() as progress:
        figures = run_flash(step, progress)
    show("quaver flash against esp32-mock-bootloader", figures, as_json)
