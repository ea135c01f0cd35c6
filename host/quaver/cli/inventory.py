"""`quaver inventory`: where each node is, its firmware, its key generation, and when it was last heard."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from quaver.fleet.inventory import Entry, Inventory

inventory_option = click.option(
    "--inventory",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="QUAVER_INVENTORY",
    show_envvar=True,
    metavar="FILE",
    help="The SQLite file; by default in your data folder.",
)


def open_inventory(path: Path | None, make: bool = False) -> Inventory:
    """The inventory that a command was given, or the user's own. make: also where a wrong name may have been typed."""
    from quaver.errors import InventoryError
    from quaver.fleet.inventory import Inventory, default_path

    typed = click.get_current_context().get_parameter_source("path") is ParameterSource.COMMANDLINE
    if path is not None and typed and not make and not path.exists():
        raise InventoryError(
            f"{path}: there is no inventory; create one with quaver provision or quaver inventory import"
        )
    return Inventory(path or default_path())


@click.group("inventory")
def command() -> None:
    """Show, export and import the nodes that are enrolled."""


@command.command("list")
@inventory_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per node, with every field.")
def list_(path: Path | None, as_json: bool) -> None:
    """List all nodes by topic prefix."""
    with open_inventory(path) as inventory:
        entries = inventory.entries()
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry.as_json()))
    else:
        _table(entries)


@command.command("show")
@click.argument("node")
@inventory_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(node: str, path: Path | None, as_json: bool) -> None:
    """Show one node, by its name, topic prefix or id."""
    with open_inventory(path) as inventory:
        entry = inventory.named(node)
    if as_json:
        click.echo(json.dumps(entry.as_json()))
        return
    for name, value in entry.as_json().items():
        if name in ("enrolled", "seen"):
            value = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if value else "-"
        click.echo(f"{name:14}{'-' if value is None else value}")


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@inventory_option
def export(file: Path | None, path: Path | None) -> None:
    """Write all nodes as CSV to FILE, or to the terminal. It holds no secrets."""
    from quaver.errors import InventoryError

    with open_inventory(path) as inventory:
        text = inventory.export()
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8", newline="") as out:
            out.write(text)
    except FileExistsError as error:
        raise InventoryError(f"{file}: exists; name a new file") from error
    except OSError as error:
        raise InventoryError(f"{file}: can't be written ({error.strerror}); name another file") from error


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@inventory_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the result.")
def import_(file: Path, path: Path | None, as_json: bool) -> int:
    """Import nodes from a CSV file as `export` writes it.

    Each mistake is reported by row and column; the other rows are imported.
    """
    from quaver.errors import InventoryError

    with open_inventory(path, make=True) as inventory:
        count, mistakes = inventory.import_csv(file)
    if as_json:
        listed = [{"row": m.row, "column": m.column, "reason": m.reason} for m in mistakes]
        click.echo(json.dumps({"taken": count, "mistakes": listed}))
    else:
        for mistake in mistakes:
            click.echo(f"quaver: {file}: {mistake}", err=True)
        wrong = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        click.echo(f"{count} node{'s' if count != 1 else ''} imported, {wrong}")
    return InventoryError.exit_code if mistakes else 0


def _table(entries: list[Entry]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    if not entries:
        print("no node is in the inventory; quaver provision adds one", file=sys.stderr)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("place", overflow="fold")
    for heading in ("state", "board", "firmware"):
        table.add_column(heading, no_wrap=True)
    table.add_column("key", justify="right")
    table.add_column("seen", justify="right", no_wrap=True)
    table.add_column("id", no_wrap=True)
    for entry in entries:
        seen = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.seen)) if entry.seen else "-"
        cells = (entry.state, entry.board or "-", entry.firmware or "-", str(entry.generation), seen, entry.id.hex())
        table.add_row(entry.prefix, *cells)
    console.print(table)
