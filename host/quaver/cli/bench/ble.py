"""`quaver bench ble`: what the Bluetooth link carries, and what it costs a battery."""

from __future__ import annotations

import click

from quaver.cli.bench import show


@click.command("ble")
@click.option(
    "--board",
    type=click.Choice(["rp2040", "unix"]),
    default="unix",
    show_default=True,
    help="The board that runs the node.",
)
@click.option(
    "--interval-ms",
    type=click.IntRange(20, 10240),
    default=500,
    show_default=True,
    help="Interval between two advertisements.",
)
@click.option("--window-s", type=click.IntRange(1, 3600), default=4, show_default=True, help="Duration of advertising.")
@click.option(
    "--rest-s",
    type=click.IntRange(0, 86400),
    default=56,
    show_default=True,
    help="Rest between two windows of advertising.",
)
@click.option(
    "--measure-s", type=click.IntRange(1, 86400), default=60, show_default=True, help="Interval between two records."
)
@click.option(
    "--radio-ma",
    type=click.FloatRange(0),
    default=40.0,
    show_default=True,
    help="Current of the radio, added to --awake-ma.",
)
@click.option(
    "--awake-ma",
    type=click.FloatRange(0),
    default=25.0,
    show_default=True,
    help="Current while the processor is awake.",
)
@click.option(
    "--rest-ma",
    type=click.FloatRange(0),
    default=25.0,
    show_default=True,
    help="Current between two windows: a node does not sleep there, so that of --awake-ma.",
)
@click.option(
    "--battery-mah", type=click.FloatRange(1), default=3000.0, show_default=True, help="Capacity of the battery."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(
    board: str,
    interval_ms: int,
    window_s: int,
    rest_s: int,
    measure_s: int,
    radio_ma: float,
    awake_ma: float,
    rest_ma: float,
    battery_mah: float,
    as_json: bool,
) -> None:
    """Print what the Bluetooth link carries, and the battery life it leaves a node.

    Throughput at an MTU of 247, records one by one, then an hour of advertising, transfer and rest, scaled to a
    day: records, bytes, seconds of radio. You state the currents.
    """
    from quaver.bench.ble import Currents, Timing, run_ble
    from quaver.cli.ui import download

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    timing = Timing(interval_ms, window_s, rest_s, measure_s)
    with download() as progress:
        figures = run_ble(board, step, progress, timing, Currents(radio_ma, awake_ma, rest_ma, battery_mah))
    show(f"the Bluetooth link, the node on {board}", figures, as_json)
