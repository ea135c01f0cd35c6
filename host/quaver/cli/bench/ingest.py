"""`quaver bench ingest`: records a second, from a broker into the store."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("ingest")
@click.option(
    "--records", default=40_000, show_default=True, type=click.IntRange(100), help="Number of records of each load."
)
@click.option(
    "--postgresql",
    is_flag=True,
    help="Measure a store in PostgreSQL too, with one worker and with two; a server of its own runs meanwhile.",
)
@click.option("--nats", is_flag=True, help="Measure three NATS servers in place of the broker too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(records: int, postgresql: bool, nats: bool, as_json: bool) -> None:
    """Print how fast records go from a broker into the store, sealed and as plain JSON.

    The broker is a Mosquitto that holds the load before the clock starts; ingest has one core of this machine. Sealed
    records are opened and verified, beside the same load as JSON that is not sealed.
    """
    from quaver.bench.ingest import run_ingest

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    figures = run_ingest(records, step)
    if postgresql:
        from quaver.bench.workers import run_workers

        figures += run_workers(records, step)
    if nats:
        from quaver.bench.nats_ingest import run_nats

        figures += run_nats(records, step)
    show(f"ingest, {records:,} records a load", figures, as_json)
