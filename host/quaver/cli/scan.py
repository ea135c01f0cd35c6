"""`quaver scan`: which parts answer on a board's buses and pins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from quaver.cli.port import attached, port_option

if TYPE_CHECKING:
    from quaver.desk.scan import Place, Report


@click.command("scan")
@port_option
@click.option(
    "--cs",
    "selects",
    type=int,
    multiple=True,
    metavar="GPIO",
    help="Also a chip select on SPI, beside the board's own.",
)
@click.option("--onewire", "one_wire", type=int, multiple=True, metavar="GPIO", help="With a 1-Wire line.")
@click.option("--pulse", "pulses", type=int, multiple=True, metavar="GPIO", help="With pulses, looked at for 5 s.")
@click.option("--address", "addresses", type=click.IntRange(1, 247), multiple=True, help="On Modbus; by default 1.")
@click.option("--baudrate", "baudrates", type=int, multiple=True, help="On Modbus; by default 2400, 9600 and 19200.")
@click.option("--de-pin", type=int, default=-1, metavar="GPIO", help="It has the RS-485 transceiver send.")
def command(
    port: str | None,
    selects: tuple[int, ...],
    one_wire: tuple[int, ...],
    pulses: tuple[int, ...],
    addresses: tuple[int, ...],
    baudrates: tuple[int, ...],
    de_pin: int,
) -> int:
    """Ask a board's buses which known parts answer, and say what to write into a configuration.

    The drivers of the firmware on the board are asked, each at every address that its part can have: I2C addresses,
    SPI chip selects, Modbus addresses at the usual rates. A 1-Wire line is searched; of a pulse input is told how often
    its level changed. Where no known part answers, it says what to check in the wiring; the exit code is 1 when none
    answers anywhere and no pulse comes. The board is restarted afterwards.
    """
    from dataclasses import replace

    from rich.console import Console

    from quaver.desk.scan import Line, scan

    line = Line(direction=de_pin)
    line = replace(line, addresses=addresses or line.addresses, baudrates=baudrates or line.baudrates)
    with attached(port) as board:
        try:
            with Console(stderr=True, markup=False).status("opening the port") as status, board.execs() as run:
                report = scan(run, selects, line, one_wire, pulses, lambda step: status.update(f"asking: {step}"))
        finally:
            if board.alive() is None:
                board.reset()
    _print(report)
    return 0 if report.found else 1


def _print(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if report.places:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("bus", "at", "part"):
            table.add_column(heading, no_wrap=True)
        table.add_column("in the configuration", overflow="fold")
        for place in report.places:
            part = " or ".join(place.drivers) or "unknown"
            table.add_row(place.bus, _at(place), part, json.dumps(place.settings)[1:-1] or place.heard)
        Console(markup=False).print(table)
    for bus, hint in report.hints.items():
        click.echo(f"{bus}: {hint}")
    if not report.found:
        click.echo(f"quaver: no known part answers on the buses of this {report.board}", err=True)


def _at(place: Place) -> str:
    if place.rom:
        return place.rom
    if "cs" in place.place:
        return f"cs GPIO {place.place['cs']}"
    address = place.place["address"]
    if "baudrate" not in place.place:
        return f"0x{address:02x}"
    return f"address {address}, {place.place['baudrate']} baud, parity {place.place['parity']}"
