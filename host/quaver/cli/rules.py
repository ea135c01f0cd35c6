"""`quaver rules`: what the rules of a configuration would have done."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import StoreType
from quaver.cli.spectrum import parse_since

if TYPE_CHECKING:
    from quaver.store.location import Location
    from quaver.twin.dry_run import DryRun, Measurement

_SHOWN = 50  # rows of the table; --json has all
_FOREVER_MS = 1 << 62


@click.group("rules")
def command() -> None:
    """Check the rules by which a node acts by itself, before it does."""


@command.command("check", short_help="Run a configuration's rules dry, over recordings or a store.")
@click.argument("config_file", type=click.Path(path_type=Path, dir_okay=False), metavar="CONFIG")
@click.option("--recording", "files", multiple=True, metavar="FILE",
              help="A recording, as quaver analyze reads it; several are one machine's life.")  # fmt: skip
@click.option("--store", "path", type=StoreType(), metavar="FILE|URL",
              help="The records: a SQLite file, or postgresql://USER@HOST/NAME.")  # fmt: skip
@click.option("--node", "name", metavar="NAME", help="With --store: the node, by its name or id.")
@click.option("--since", "since_ms", metavar="DATE|AGE", callback=parse_since,
              help="With --store: from a date on, in UTC (2026-09-21), or an age (90m, 12h, 30d).")  # fmt: skip
@click.option("--until", "until_ms", metavar="DATE|AGE", callback=parse_since, help="With --store: to there.")
@click.option("--json", "as_json", is_flag=True, help="All of it as one JSON object.")
def check(
    config_file: Path,
    files: tuple[str, ...],
    path: Location | None,
    name: str | None,
    since_ms: int | None,
    until_ms: int | None,
    as_json: bool,
) -> None:
    """Run the rules in CONFIG dry: when each would have acted and why, and how long each output would have been on.

    The device's own code runs them, over what the store has of a node or over recordings. No pin is touched. A trip
    counts as reset as soon as its condition has ended.
    """
    from quaver.build.config import read_config
    from quaver.twin.dry_run import SENSORS, dry_run, of_store

    if bool(files) == (path is not None) or (path is None) != (name is None):
        raise click.UsageError("give --recording FILE, or --store with --node NAME.")
    config = read_config(config_file)
    if path is not None and name is not None:
        from quaver.store.location import open_records

        with open_records(path, write=False) as store:
            found = dry_run(config, SENSORS, of_store(store, name, since_ms or 0, until_ms or _FOREVER_MS))
    else:
        found = dry_run(config, ("vibration",), _recorded(config_file, config, files))
    if as_json:
        click.echo(json.dumps(found.as_json()))
    else:
        _show(found, dated=path is not None)


def _recorded(config_file: Path, config: Mapping[str, Any], files: tuple[str, ...]) -> Iterator[Measurement]:
    from quaver.analysis.device import Analysis, Settings, analyze, prepare
    from quaver.cli.analyze import node_settings
    from quaver.cli.reading import load_recording
    from quaver.twin.dry_run import of_recording

    node = node_settings(config_file)
    machine = node["machine"]
    rpm, bearing = machine.pop("rpm", None), machine.pop("bearing", None)
    recordings = [recording for file in files for recording in load_recording(file, rpm=rpm).each()]
    rate_hz, samples, _ = prepare(recordings[0])
    settings = Settings(rpm or recordings[0].rpm, bearing, node=node)
    with Analysis(settings, rate_hz, samples=samples) as analysis:
        verdicts = (verdict for recording in recordings for verdict in analyze(recording, analysis))
        yield from of_recording(verdicts, config.get("interval_s", 60))


def _show(found: DryRun, dated: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    click.echo(f"{found.measurements:,} measurements over {_length(found.span_ms)}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("time (UTC)" if dated else "after", "rule", "what, and why"):
        table.add_column(heading, no_wrap=heading != "what, and why")
    table.add_column("value", justify="right")
    for act in found.acts[:_SHOWN]:
        when = f"{datetime.fromtimestamp(act.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if dated else _length(act.at_ms)
        table.add_row(when, act.rule, act.text, "" if act.value is None else f"{act.value:.4g}")
    if found.acts:
        Console(markup=False).print(table)
    else:
        click.echo("no rule would have acted")
    if len(found.acts) > _SHOWN:
        click.echo(f"and {len(found.acts) - _SHOWN} more: --json has all")
    for output, on_ms in found.on_ms.items():
        held = f"; held back by its minimum time: {found.held[output]}" if found.held[output] else ""
        click.echo(f"{output}: on for {_length(on_ms)}{held}")
    if found.left_out:
        click.echo(f"left out: {', '.join(found.left_out)} (of a sensor that is not measured here)")
    if found.inputs:
        click.echo(f"never true here: {', '.join(found.inputs)} (no record tells an input)")


def _length(ms: int) -> str:
    """A time as a person says it: 41 s, 12 min 5 s, 3 h 20 min, 5 d 2 h."""
    seconds = ms // 1000
    for unit, size, part, name in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{seconds} s"
