"""`quaver bench journal`: what the journal writes to flash, and how long flash lasts with that."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("journal")
@click.option(
    "--records",
    type=click.IntRange(100, 20_000),
    default=3000,
    show_default=True,
    help="Number of records of each run.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(records: int, as_json: bool) -> None:
    """Print the flash writes and erases of 1,000 records, and the years that a Pico W's flash lasts.

    The firmware's journal runs over littlefs on a copy of the Pico W's file system, with each policy of its
    configuration and through an outage. Years are at one record a minute, 100,000 erases a sector, worn evenly.
    """
    from quaver.bench.journal import measure

    report = measure(records)
    show(f"the journal, {report.records:,} records and an event every 100", report.figures(), as_json)
