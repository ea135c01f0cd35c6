"""`quaver store`: what a store needs over the years: retention, backup, restore."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.ingest import StoreType, store_option

if TYPE_CHECKING:
    from quaver.store.location import Location
    from quaver.upkeep.backup import Manifest
    from quaver.upkeep.retention import Removal

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_DAYS = click.IntRange(1, 36_500)


@click.group("store")
def command() -> None:
    """Keep a store in bounds and safe: retention, copies, backup, restore."""


@command.command("retain", short_help="Delete what is older than a policy keeps; show first what would go.")
@store_option
@click.option("--raw", type=_DAYS, metavar="DAYS", help="Keep the parts of waveforms so long.")
@click.option("--spectra", type=_DAYS, metavar="DAYS", help="Keep spectra so long.")
@click.option("--features", type=_DAYS, metavar="DAYS", help="Keep measurements so long, and then their hours.")
@click.option("--hourly", type=_DAYS, metavar="DAYS", help="Keep the hours' minimum, mean and maximum so long.")
@click.option("--delete", is_flag=True, help="Delete it. Without this option nothing is changed.")
@_JSON
def retain(
    path: Location,
    raw: int | None,
    spectra: int | None,
    features: int | None,
    hourly: int | None,
    delete: bool,
    as_json: bool,
) -> None:
    """Delete what is older than a policy keeps; without --delete, show what would go.

    What is not named stays, and so do events and statuses. Before measurements go, the store takes the minimum, mean
    and maximum of each of their quantities by the hour. It writes down what it deletes, so quaver ledger does not call
    it lost. Ingest may run meanwhile.
    """
    from quaver.store.location import open_records
    from quaver.upkeep.retention import retain as run

    named = {"raw": raw, "spectra": spectra, "features": features, "hourly": hourly}
    days = {kind: count for kind, count in named.items() if count is not None}
    if not days:
        raise click.UsageError("name at least one of --raw, --spectra, --features, --hourly")
    with open_records(path, write=delete, beside=delete) as store:
        _print(run(store, days, delete), delete, as_json)


def _print(removals: Sequence[Removal], deleted: bool, as_json: bool) -> None:
    for one in removals:
        first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (one.first_ms, one.last_ms))
        if as_json:
            about = {"kind": one.kind, "node": one.node, "count": one.count, "bytes": one.bytes, "deleted": deleted}
            click.echo(json.dumps({**about, "first": first.isoformat(), "last": last.isoformat()}))
        else:
            what = f"{one.count} {one.kind}" + ("" if one.kind == "hourly" else f", {one.bytes / 1e6:.1f} MB")
            click.echo(f"{one.node}: {what}, of {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    if as_json:
        return
    total = sum(one.count for one in removals)
    if not total:
        click.echo("nothing is that old")
    elif deleted:
        click.echo(f"{total} deleted; the file keeps its size, and new records fill the room")
    else:
        click.echo(f"{total} would go; nothing is deleted without --delete")


@command.command("backup", short_help="Copy a store, while ingest writes to it, with a manifest.")
@store_option
@click.argument("backup", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def backup(path: Location, backup: Path, as_json: bool) -> None:
    """Copy a store into the new file BACKUP as it is at one moment, while ingest writes to it.

    BACKUP.json beside it is its manifest, with the SHA-256. Records that come later are in the next backup. Of a store
    in PostgreSQL BACKUP is an archive of its pg_dump.
    """
    if isinstance(path, Path):
        from quaver.upkeep.backup import back_up

        found = back_up(path, backup)
    else:
        from quaver.upkeep.database_backup import back_up as dump

        found = dump(path, backup)
    _tell(backup, found, as_json)


@command.command("restore", short_help="Make a store from a backup that is whole.")
@store_option
@click.argument("backup", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def restore(path: Location, backup: Path, as_json: bool) -> None:
    """Make a new store from BACKUP, once it is found whole and as its manifest says. It never overwrites a store.

    A backup of a store in PostgreSQL goes into an empty database, by pg_restore.
    """
    if isinstance(path, Path):
        from quaver.upkeep.backup import restore as run

        found, unless = run(backup, path), "; if it has another name or machine than the store that was lost,"
    else:
        from quaver.upkeep.database_backup import restore as load

        found, unless = load(backup, path), ", in place of the store that was lost:"
    _tell(path, found, as_json)
    if not as_json:
        click.echo(f"quaver ingest goes on with it{unless} start it once with --moved")


@command.command("copy", short_help="Copy a store into a new one, of either engine.")
@click.argument("source", metavar="FROM", type=StoreType())
@click.argument("target", metavar="TO", type=StoreType())
@_JSON
def copy(source: Location, target: Location, as_json: bool) -> None:
    """Copy all of FROM into the new store TO, and compare both: files, or postgresql://USER@HOST/NAME.

    No ingest may run on FROM. A copy that was cut goes on with the same command. Start ingest on TO once with --moved,
    and it takes up the session of FROM at the broker, with what waits there.
    """
    from quaver.errors import StoreError
    from quaver.store.copying import copy as run
    from quaver.store.location import open_records

    if source == target:
        raise StoreError(f"{source}: is FROM and TO; name a new store")
    open_records(source, write=False).close()  # what is not there is not made
    from rich.console import Console

    with (
        open_records(source) as one,
        open_records(target) as other,
        Console(stderr=True, markup=False).status("copying") as status,
    ):
        count = 0

        def step(table: str, rows: int) -> None:
            nonlocal count
            count += rows if table == "record" else 0
            status.update(f"copying {table}: {count} records")

        found = run(one, other, step)
    if as_json:
        click.echo(json.dumps({name: {"rows": one.rows, "sha256_sum": one.hex} for name, one in found.items()}))
    else:
        records = found["record"]
        rows = sum(digest.rows for digest in found.values()) - records.rows
        click.echo(f"{target}: {records.rows} records and {rows} other rows, the same in both ({records.hex[:16]})")


def _tell(path: Location, found: Manifest, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps({"file": str(path), **asdict(found)}))
    else:
        click.echo(f"{path}: {found.records} records of {found.nodes} nodes, {found.bytes / 1e6:.1f} MB")
