"""`quaver bench sync`: the time of an update by sync, beside its goals."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("sync")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(as_json: bool) -> None:
    """Print the time that a sync takes on an emulated Pico W, each beside its goal.

    Times are the board's own, and the erase time of a real flash is added.
    """
    from quaver.bench.sync import run_sync

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    show("quaver sync on rp2040", run_sync(step), as_json)
