"""`quaver bench scale`: what a record costs on its whole way."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("scale")
@click.option("--records", default=100_000, show_default=True, type=click.IntRange(1000), help="Number of records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(records: int, as_json: bool) -> None:
    """Print what a record costs in time of a core and in bytes: broker, ingest, store, bridge, lake, backup.

    docs/scale.md reckons with these figures. They need a Mosquitto and a PostgreSQL on this machine.
    """
    from quaver.bench.scale import run_scale

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    show(f"what a record costs, {records:,} records", run_scale(records, step), as_json)
