"""`quaver bench esp32c3`: how fast the emulated ESP32-C3 is, beside its goals."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("esp32c3")
@click.option("--json", "as_json", is_flag=True, help="One figure a line.")
def command(as_json: bool) -> None:
    """Print how fast the emulated ESP32-C3 boots and computes, each beside its goal.

    The figures are this machine's, in real time; a busy one gives worse ones.
    """
    from quaver.bench.esp32c3 import run_esp32c3

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    show("quaver bench esp32c3", run_esp32c3(step), as_json)
