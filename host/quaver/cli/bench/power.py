"""`quaver bench power`: what a battery node draws, by state, and how long its battery lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from quaver.cli.bench import show

_SENSORS = ["adxl345", "adxl355", "adxl357", "icm42688", "iis3dwb", "kx134", "lis2dw12", "lis3dh", "lsm6dsox"]


def node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--board, --sensor, --records and --board-ma: which battery node."""
    for option in (
        click.option(
            "--board-ma",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="Current of what the board has beside its module: a regulator, a USB bridge, an LED.",
        ),
        click.option(
            "--records",
            type=click.IntRange(1, 16),
            default=8,
            show_default=True,
            help="Measurements that are gathered before they are sent.",
        ),
        click.option(
            "--sensor",
            type=click.Choice(_SENSORS),
            default="adxl345",
            show_default=True,
            help="The node's accelerometer, on its SPI bus.",
        ),
        click.option(
            "--board",
            type=click.Choice(["esp32_c3", "pico_w"]),
            default="esp32_c3",
            show_default=True,
            help="The node's board.",
        ),
    ):
        command = option(command)
    return command


@click.command("power")
@node_options
@click.option(
    "--interval-s",
    type=click.FloatRange(10, 86400),
    default=600,
    show_default=True,
    help="Interval between two measurements, for the shares.",
)
@click.option(
    "--battery-mah", type=click.FloatRange(1), default=3000.0, show_default=True, help="Capacity of the battery."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(
    board: str, sensor: str, interval_s: float, records: int, battery_mah: float, board_ma: float, as_json: bool
) -> None:
    """Print what a battery node draws over Bluetooth, by state, and how long its battery lasts.

    The emulator counts how long the chip, its radio and the sensor are in each state; the currents of the states are
    published ones, each with its source.
    """
    from quaver.bench.power import run_power
    from quaver.cli.ui import download

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    with download() as progress:
        figures = run_power(board, sensor, interval_s, records, battery_mah, board_ma, step, progress)
    show(f"a battery node: {board}, {sensor}, Bluetooth", figures, as_json)
