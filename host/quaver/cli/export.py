"""`quaver export`: what a store holds, for those who analyse it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.ingest import store_option

if TYPE_CHECKING:
    from quaver.store.location import Location


@click.command("export")
@store_option
@click.option("--parquet", "folder", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write Parquet files there, by site and day.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(path: Location, folder: Path, as_json: bool) -> None:
    """Write what a store holds into Parquet files, by site and day.

    Run again, it writes what has come since, late records too. FOLDER/manifest.json lists the files with their SHA-256.
    """
    from quaver.lake.export import export
    from quaver.query.source import Source

    with Source(path) as source:
        done = export(source, folder)
    if as_json:
        click.echo(json.dumps({"records": done.records, "files": done.files, "bytes": done.bytes}))
    elif done.records:
        click.echo(f"{folder}: {done.records} records added in {done.files} files, {done.bytes / 1e6:.1f} MB")
    else:
        click.echo(f"{folder}: nothing new in {path}")
