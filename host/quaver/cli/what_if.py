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
    from quaver.twin.again import One, Remeasured
    from quaver.twin.what_if import Answer

_SHOWN = 20  # changes of level in the table; --json has all
_WAVEFORMS_SHOWN = 3


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
    to give what the node told, then as changed. Waveforms in the store are measured again, and spectra tell where a
    bearing's lines stand. What none of them can answer is refused.
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
    if not answer.by_records:
        click.echo(f"alarms as it was: {told}; with {changed}: not known, for its records are of another measurement")
    elif answer.certain:
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
    lines = _lines(rows, answer.dropped, answer.by_records)
    for cells in lines[:_SHOWN]:
        table.add_row(*cells)
    if lines:
        Console(markup=False).print(table)
    if len(lines) > _SHOWN:
        click.echo(f"and {len(lines) - _SHOWN} more: --json has all")
    _show_again(answer)
    for line in _reservations(answer):
        click.echo(line)


def _show_again(answer: Answer) -> None:
    """What waveforms and spectra say."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    for one in answer.remeasured[-_WAVEFORMS_SHOWN:]:
        kind = "the waveform of an alarm" if one.alarm else "a waveform"
        click.echo(f"{kind} of {_date(one.time_ms)}, by itself, without what was learned: {_material(one)}")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("", "as it was", "changed"):
            table.add_column(heading, no_wrap=True)
        for cells in _beside(one):
            table.add_row(*cells)
        Console(markup=False).print(table)
    if len(answer.remeasured) > _WAVEFORMS_SHOWN:
        click.echo(f"and {len(answer.remeasured) - _WAVEFORMS_SHOWN} waveforms before: --json has all")
    if answer.stood:
        was, would = (
            ", ".join(f"{one.line} in {count}" for one in answer.stood if (count := getattr(one, which)) is not None)
            or "no bearing is known"
            for which in ("was", "would")
        )
        click.echo(
            f"of {answer.stood[0].spectra} spectra of the envelope the bearing's line stands out, as it was: {was}; "
            f"changed: {would} (this names no fault: a bin is as wide as 4 lines)"
        )


def _material(one: Remeasured) -> str:
    if one.of is None:
        return f"{one.samples:,} samples, of which the store has no record"
    if one.alike is None:
        return f"the first {one.samples:,} of {one.of:,} samples, which say less than all"
    if one.alike:
        return f"all its {one.samples:,} samples, and as it was they say what its record does"
    return f"all its {one.samples:,} samples, but its record says something else: the configuration is not the node's"


def _beside(one: Remeasured) -> list[tuple[str, str, str]]:
    """A line for each feature that is another, or has a level, and for each of the bearing's lines."""
    from quaver_wire.fields import LEVELS, LIMITED, LINES

    names = {key: name for name, key in LIMITED.items()}

    def cell(of: One, key: str) -> str:
        value, level = of.features[key], of.levels.get(names.get(key, key.partition("_")[0]), 0)
        return "-" if value is None else f"{value:.4g}" + (f" {LEVELS[level]}" if level else "")

    rows = [(key, cell(one.was, key), cell(one.would, key)) for key in one.was.features]
    rows = [row for row in rows if row[1] != row[2] or " " in row[1]]
    if one.was.zone is not None or one.would.zone is not None:
        before, after = ("-" if of.zone is None else "ABCD"[of.zone] for of in (one.was, one.would))
        rows.append(("zone", before, after))
    for line in LINES:
        before, after = (
            next((f"{hz:.4g} Hz, {db:.0f} dB of evidence" for name, hz, db in of.lines if name == line and db > 0), "-")
            for of in (one.was, one.would)
        )
        if (before, after) != ("-", "-"):
            rows.append((line, before, after))
    return rows or [("all", "within its limits", "within its limits")]


def _lines(
    rows: list[tuple[Any, str]], dropped: Sequence[str], by_records: bool
) -> list[tuple[str, str, str, str, str]]:
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
            line.get("would", "?" if feature in dropped or not by_records else "-"),
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
    if answer.spectra and not answer.stood:
        lines.append(f"not judged: {answer.spectra} spectra (they say where a bearing's lines stand, and no level)")
    if answer.incomplete:
        lines.append(f"not judged: {answer.incomplete} waveforms of which parts are missing")
    return lines + list(answer.notes)


def _date(time_ms: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
