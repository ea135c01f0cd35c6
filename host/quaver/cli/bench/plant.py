"""`quaver bench plant`: how fast plants in a box go, by number and kind of node."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("plant")
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(1), help="Of each plant's time.")
@click.option("--many", is_flag=True, help="Start 1,000 nodes, too: some 6 GB of memory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(minutes: float, many: bool, as_json: bool) -> None:
    """Print how many seconds of its time a plant passes in a second, by number and kind of node.

    What bounds it stands below each. The pace is reckoned from the processors' time, so that what else this machine
    does has little part in it. A node's share is MicroPython's; the host's is sensors, network and clock; the ingest's
    is to read and store records.
    """
    from quaver.bench.plant import run_plant

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    show(f"plants in a box, {minutes:g} minutes each", run_plant(minutes, many, step), as_json)
