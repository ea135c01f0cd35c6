"""`quaver modbus`: what machines that answer Modbus hold."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quaver.modbus.spec import Line


@click.group("modbus")
def command() -> None:
    """Look at machines that answer Modbus, before quaver gateway --modbus reads them."""


@command.command("probe", short_help="Show a register in all four orders.")
@click.argument("address", type=click.IntRange(0, 65535), metavar="REGISTER")
@click.option("--tcp", metavar="HOST[:PORT]", help="Modbus TCP; port 502 by default.")
@click.option("--rtu", metavar="PORT", help="Modbus RTU at a serial port, such as /dev/ttyUSB0.")
@click.option("--baudrate", type=click.IntRange(1200, 115200), default=9600, show_default=True, help="Of the line.")
@click.option("--parity", type=click.Choice(("none", "even", "odd")), default="none", show_default=True)
@click.option("--stop-bits", type=click.Choice(("1", "2")), default="1", show_default=True)
@click.option("--unit-id", type=click.IntRange(0, 255), default=1, show_default=True, help="The machine's address.")
@click.option("--table", type=click.Choice(("holding", "input")), default="holding", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def probe(
    address: int,
    tcp: str | None,
    rtu: str | None,
    baudrate: int,
    parity: Any,
    stop_bits: str,
    unit_id: int,
    table: str,
    as_json: bool,
) -> None:
    """Read REGISTER and the one behind it, and show both as each type, in each order of their bytes.

    REGISTER counts from 0, as in the request: 40001 of a manual is often holding register 0. The line with the value
    that the machine's display shows tells the order. ABCD is the protocol's own.
    """
    from pydantic import ValidationError

    from quaver.files.tables import first_mistake
    from quaver.modbus.registers import ORDERS, TYPES, number, words_of
    from quaver.modbus.spec import Line

    try:
        line = Line(tcp=tcp, rtu=rtu, baudrate=baudrate, parity=parity, stop_bits=2 if stop_bits == "2" else 1)
    except ValidationError as error:
        raise click.UsageError(first_mistake(error)[1].replace("name one of", "give one of")) from None
    words = asyncio.run(_read(line, unit_id, table, address))
    kinds = [kind for kind in TYPES if words_of(kind) <= len(words)]
    found = {order: {kind: number(words, kind, order) for kind in kinds} for order in ORDERS}
    if as_json:
        shown = {order: {kind: value if value == value and abs(value) != float("inf") else None
                         for kind, value in row.items()} for order, row in found.items()}  # fmt: skip
        click.echo(json.dumps({"registers": list(words), "orders": shown}))
        return
    click.echo(f"{table} register {address}: " + ", ".join(f"0x{word:04x}" for word in words))
    if len(words) == 1:
        click.echo("the machine has no register behind it: 16 bits alone")
    click.echo("order" + "".join(f"{kind:>14}" for kind in kinds))
    for order, row in found.items():
        cells = (f"{value:>14.6g}" if kind == "float32" else f"{value:>14}" for kind, value in row.items())
        click.echo(f"{order:<5}" + "".join(cells))


async def _read(line: Line, unit_id: int, table: str, address: int) -> Sequence[int]:
    from quaver.modbus.reader import Reader, Refused

    reader = Reader(line)
    try:
        if address < 65535:
            try:
                return await reader.read(unit_id, table, address, 2)
            except Refused as error:
                if error.code not in (2, 3):
                    raise
        return await reader.read(unit_id, table, address, 1)
    finally:
        reader.close()
