"""`quaver power`: a battery node's current, as a meter recorded it."""

from __future__ import annotations

from pathlib import Path

import click

from quaver.cli.bench.power import node_options


@click.group("power")
def command() -> None:
    """Hold a battery node's measured current against what the emulator counts."""


@command.command("compare", short_help="Compare a trace with the emulator's count.")
@click.argument("trace", type=click.Path(dir_okay=False, path_type=Path), metavar="TRACE")
@node_options
@click.option(
    "--threshold-ma",
    type=click.FloatRange(0, min_open=True),
    help="Above it the node is awake. Default: between the board's currents asleep and awake.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def compare(
    trace: Path,
    board: str,
    sensor: str,
    records: int,
    threshold_ma: float | None,
    board_ma: float,
    as_json: bool,
) -> None:
    """Compare TRACE, the current of a real node that sleeps, with what the emulator counts for the same node.

    TRACE is CSV as the Power Profiler of nRF Connect (PPK2) or the Joulescope exports it. It begins and ends in sleep,
    and has whole cycles: a multiple of --records measurements.
    """
    from quaver.bench import power
    from quaver.bench.power_trace import measure, read_trace
    from quaver.cli.bench import show
    from quaver.cli.ui import download

    measured = measure(read_trace(trace), threshold_ma or power.threshold_ma(board))
    if not as_json:
        click.echo(f"{records} measurements and a visit, over and over, on an emulated board ...", err=True)
    with download() as progress:
        cycle = power.measure_cycle(board, sensor, records, progress)
    show(f"{trace.name}: {board}, {sensor}", power.compared(board, sensor, cycle, measured, board_ma), as_json)
