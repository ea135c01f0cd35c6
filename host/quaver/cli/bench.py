"""`quaver bench`: measurements of Quaver's own numbers on this machine."""

from __future__ import annotations

import json

import click


@click.group("bench")
def command() -> None:
    """Measure Quaver's own numbers on this machine."""


@command.command("ingest", short_help="Records a second, from a broker into the store.")
@click.option("--records", default=40_000, show_default=True, type=click.IntRange(100), help="How many, of each load.")
@click.option("--json", "as_json", is_flag=True, help="One load a line.")
def ingest(records: int, as_json: bool) -> None:
    """Measure how fast records go from a broker (Mosquitto) into the store, on one core.

    Sealed ones, opened and verified; and beside them the same load as JSON that nobody sealed.
    """
    from rich.console import Console
    from rich.table import Table

    from quaver.bench.ingest import run

    with Console(stderr=True).status(f"2 loads of {records} records"):
        results = run(records)
    if as_json:
        for result in results:
            click.echo(json.dumps(result.as_json()))
        return
    table = Table(pad_edge=False)
    table.add_column("load")
    for heading in ("records", "bytes each", "seconds", "records/s", "core µs a record"):
        table.add_column(heading, justify="right")
    for one in results:
        cost = 1e6 * one.core_seconds / one.records
        numbers = (f"{one.records:,}", f"{one.message_bytes}", f"{one.seconds:.2f}", f"{one.rate:,.0f}", f"{cost:.0f}")
        table.add_row(one.name, *numbers)
    Console().print(table)
