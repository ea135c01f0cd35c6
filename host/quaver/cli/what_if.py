"""`quaver what-if`: what would have alarmed under another configuration or release, from the records of a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import store_option
from quaver.cli.spectrum import parse_since
from quaver.cli.values import value_of

if TYPE_CHECKING:
    from quaver.store.location import Location
    from quaver.twin.what_if import Answer

_SHOWN = 20  # changes of level in the table; --json has all


def _settings(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for change in given:
        path, mark, text = change.partition("=")
        if not mark or not path:
            raise click.UsageError(f"--set {change}: expected PATH=VALUE, as in limits.velocity=2.8,4.5")
        found[path] = value_of(text)
    return found


@click.command("what-if")
@click.option("--node", "name", required=True, metavar="NAME", help="The node, by its name or id.")
@store_option
@click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", callback=_settings,
              help="A change of the configuration, as in limits.velocity=2.8,4.5; null takes it away.")  # fmt: skip
@click.option("--release", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Judge by this release's firmware (made with --board unix too).")  # fmt: skip
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The node's configuration, as `quaver node NAME config get` shows it.")  # fmt: skip
@click.option("--since", "since_ms", metavar="DATE|AGE", callback=parse_since,
              help="From a date on, in UTC (2026-09-21), or an age (90m, 12h, 30d). By default all.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
def command(
    name: str,
    path: Location,
    changes: dict[str, Any],
    release: Path | None,
    config: Path | None,
    since_ms: int | None,
    as_json: bool,
) -> None:
    """Tell what a node would have alarmed under another configuration or release.

    The records in the store are judged again by the device's own code: first under the node's configuration, which has
    to give what the node told, then as changed. What records can't answer is refused.
    """
    if not changes and release is None:
        raise click.UsageError("nothing is changed: give --set PATH=VALUE, or --release FILE.")
    answer = ask(path, name, changes, release=release, config=_read(config), since_ms=since_ms)
    if as_json:
        click.echo(json.dumps(answer.as_json()))
    else:
        show(answer, changes)


def ask(
    store_path: Location,
    name: str,
    changes: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None,
    release: Path | None = None,
    since_ms: int | None = None,
) -> Answer:
    """The answer from a store; config: the node's, None for what the inventory tells of its machine."""
    from quaver.store.location import open_records
    from quaver.twin.what_if import what_if

    with open_records(store_path, write=False) as store:
        return what_if(
            store,
            name,
            changes,
            config=_of_inventory(name) if config is None else config,
            given=config is not None,
            release=release,
            since_ms=since_ms or 0,
        )


def _read(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    from quaver.build.config import read_config

    return read_config(path)


def _of_inventory(name: str) -> dict[str, Any]:
    """What the inventory says of the node's machine, if there is one and it has the node."""
    from quaver.fleet.inventory import Inventory, default_path

    if not default_path().exists():
        return {}
    with Inventory(default_path()) as inventory:
        entry = next((one for one in inventory.entries() if name in (one.name, one.id.hex())), None)
    if entry is None:
        return {}
    known = {"group": entry.machine_group, "mounting": entry.mounting, "bearing": entry.bearing, "rpm": entry.rpm}
    return {"machine": {key: value for key, value in known.items() if value is not None}}


def show(answer: Answer, changes: Mapping[str, Any]) -> None:
    """Print an answer for a person."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from quaver.twin.what_if import alarms

    first, last = answer.measured[0], answer.measured[-1]
    click.echo(
        f"{answer.node}: {len(answer.measured)} measurements from {_date(first.time_ms)} to {_date(last.time_ms)}, "
        f"judged by the code of {answer.firmware}"
    )
    told, would = alarms(answer.told), alarms(answer.would)
    changed = ", ".join(f"{path}={json.dumps(value)}" for path, value in changes.items()) or answer.firmware
    beside = f", beside {', '.join(answer.dropped)}, of which nothing can be said" if answer.dropped else ""
    if answer.certain:
        click.echo(f"alarms as it was: {told}; with {changed}: {would}{beside}")
    else:
        click.echo(f"not certain: alarms as it was: {told}; with {changed}: perhaps {would}{beside}")
    rows = sorted(
        [(one, "was") for one in answer.told] + [(one, "would") for one in answer.would],
        key=lambda row: (row[0].time_ms, row[0].feature, row[0].level),
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("time (UTC)", "feature", "as it was", "changed"):
        table.add_column(heading, no_wrap=True)
    table.add_column("value", justify="right")
    lines = _lines(rows, answer.dropped)
    for cells in lines[:_SHOWN]:
        table.add_row(*cells)
    if lines:
        Console(markup=False).print(table)
    if len(lines) > _SHOWN:
        click.echo(f"and {len(lines) - _SHOWN} more: --json has all")
    for line in _reservations(answer):
        click.echo(line)


def _lines(rows: list[tuple[Any, str]], dropped: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    """A line for each feature and moment; "?" for what there is no answer to."""
    from quaver_wire.fields import LEVELS

    found: dict[tuple[int, str], dict[str, Any]] = {}
    for one, which in rows:
        line = found.setdefault((one.time_ms // 1000, one.feature), {})
        line[which] = LEVELS[min(one.level, len(LEVELS) - 1)]
        if one.value is not None:
            line["value"] = f"{one.value:.4g}"
    return [
        (
            _date(1000 * at),
            feature,
            line.get("was", "-"),
            line.get("would", "?" if feature in dropped else "-"),
            line.get("value", ""),
        )
        for (at, feature), line in found.items()
    ]


def _reservations(answer: Answer) -> list[str]:
    """What the answer does not know, a line each."""
    total = len(answer.told)
    lines = [f"checked: its own configuration gives {answer.explained} of the {total} changes of level that it told"]
    if answer.unexplained:
        one, told = answer.unexplained[0]
        which = "told by the node alone" if told else "given by its configuration alone"
        lines.append(
            f"unexplained: {len(answer.unexplained)}, the first {one.feature} at {_date(one.time_ms)}, {which}: "
            "give its configuration with --config; or it was changed meanwhile, or records are missing"
        )
    if answer.kept:
        lines.append(f"not judged again, taken as told: {', '.join(answer.kept)} (records lack what they need)")
    if answer.dropped:
        lines.append(f"not answered: {', '.join(answer.dropped)} (the change bears on them, records lack how)")
    for feature, count in answer.close.items():
        lines.append(f"{feature}: {count} values lie within their rounding of a limit, and may have fallen otherwise")
    if answer.missing:
        gaps = ", ".join(f"{count} {reason}" for reason, count in answer.missing.items())
        lines.append(f"missing records, in all of the store: {gaps}")
    if answer.spectra or answer.waveform_parts:
        lines.append(f"not judged: {answer.spectra} spectra, {answer.waveform_parts} parts of waveforms")
    return lines + list(answer.notes)


def _date(time_ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
