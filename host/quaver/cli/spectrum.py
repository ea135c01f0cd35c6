"""`quaver node NAME spectrum`: pictures of a node's spectra, from the store of `quaver ingest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import store_option

if TYPE_CHECKING:
    from quaver.store.location import Location


def _picture(_ctx: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    from quaver.analysis.verdict_plot import check_picture

    if path:
        check_picture(path)
    return path


_UNITS_S = {"m": 60, "h": 3600, "d": 86400}


def parse_since(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """Milliseconds since 1970 of a date, or of so long ago."""
    import time
    from datetime import UTC, datetime

    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and len(number) < 7 and unit in _UNITS_S:
        return max(0, round(1000 * (time.time() - int(number) * _UNITS_S[unit])))
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"--since {text}: expected a date (2026-09-21, 2026-09-21T14:00), or 90m, 12h or 30d"
        ) from None
    return max(0, round(1000 * (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()))


@click.command("spectrum", short_help="Draw the last spectrum that a store has, or all of them.")
@store_option
@click.option("--waterfall", is_flag=True, help="Draw all spectra of the store, time over frequency.")
@click.option("--since", "since_ms", metavar="DATE|AGE", callback=parse_since,
              help="With --waterfall: from a date on, in UTC (2026-09-21), or an age (90m, 12h, 30d).")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", callback=_picture,
              help="The picture, .png, .svg or .pdf. By default NAME-spectrum.png, or NAME-waterfall.png.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the levels in hexadecimal.")
@click.pass_obj
def spectrum(
    name: str, path: Location, waterfall: bool, since_ms: int | None, output: Path | None, as_json: bool
) -> None:
    """Draw the last spectrum that the node sent, from the store of quaver ingest, or with --waterfall all of them.

    A node sends its spectra at an alarm, when a level or its diagnosis changes, and every
    vibration.spectrum_every measurements. The bearing's lines are marked. The node itself is not asked.
    """
    from datetime import UTC, datetime

    from quaver.analysis.spectrum_plot import draw_spectrum_record
    from quaver.errors import OperationError
    from quaver.store.location import open_records
    from quaver.store.spectra import find_node, last_spectrum
    from quaver_wire.fields import LEVELS

    if waterfall:
        _waterfall(name, path, since_ms or 0, output, as_json)
        return
    if since_ms is not None:
        raise click.UsageError("--since: give --waterfall too; without it the last spectrum is drawn.")
    with open_records(path, write=False) as store:
        found = last_spectrum(store, find_node(store, name))
    if found is None:
        raise OperationError(
            f"{path}: has no spectrum of {name}; its node sends one when a level changes, or sooner with "
            f"quaver node {name} config set vibration.spectrum_every=1"
        )
    name = found.topic.rpartition("/")[2]
    level = LEVELS[min(found.level, len(LEVELS) - 1)]
    stamp = datetime.fromtimestamp(found.time_ms / 1000, UTC).isoformat(timespec="seconds")
    shaft_hz = next(iter(found.marks_hz), None)
    speed = f"; {shaft_hz * 60:.0f} 1/min" if shaft_hz else "; no speed"
    picture = draw_spectrum_record(
        _pictured(f"{name}-spectrum.png") if output is None else output,
        f"{name}, {stamp.replace('+00:00', ' UTC').replace('T', ' ')}: {level}{speed}",
        found.spectrum,
        found.envelope,
        spectrum_hz=found.spectrum_hz,
        envelope_hz=found.envelope_hz,
        marks_hz=found.marks_hz,
        band_hz=found.band_hz,
        level=level,
    )
    if as_json:
        about: dict[str, Any] = {
            "node": name,
            "file": str(picture),
            "time": stamp,
            "dated_by": found.dated_by,
            "level": level,
        }
        about |= {"spectrum_hz": found.spectrum_hz, "envelope_spectrum_hz": found.envelope_hz}
        levels = {"spectrum": found.spectrum.hex(), "envelope_spectrum": found.envelope.hex()}
        click.echo(json.dumps({**about, "marks_hz": found.marks_hz, **levels}))
    else:
        click.echo(f"{name}: spectrum of {stamp}, {level}, in {picture}")


def _waterfall(name: str, store_path: Location, since_ms: int, output: Path | None, as_json: bool) -> None:
    from datetime import UTC, datetime

    from quaver.analysis.waterfall import Row, draw_waterfall
    from quaver.errors import OperationError
    from quaver.store.location import open_records
    from quaver.store.spectra import find_node, spectra

    with open_records(store_path, write=False) as store:
        found = list(spectra(store, find_node(store, name), since_ms))
    if len(found) < 2:
        raise OperationError(
            f"{store_path}: has {len(found)} spectra of {name}{' since then' if since_ms else ''}, "
            "and a waterfall needs two; its node sends one every vibration.spectrum_every measurements"
        )
    name = found[0].topic.rpartition("/")[2]
    first, last = (datetime.fromtimestamp(each.time_ms / 1000, UTC) for each in (found[0], found[-1]))
    stamps = f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    rows = [Row(each.time_ms / 1000, each.level, each) for each in found]
    picture = draw_waterfall(
        _pictured(f"{name}-waterfall.png") if output is None else output,
        f"{name}: {len(found)} spectra, {stamps}",
        rows,
    )
    if as_json:
        about = {"node": name, "file": str(picture), "spectra": len(found)}
        click.echo(json.dumps({**about, "first": first.isoformat(), "last": last.isoformat()}))
    else:
        click.echo(f"{name}: {len(found)} spectra, {stamps}, in {picture}")


def _pictured(file: str) -> Path:
    from quaver.analysis.verdict_plot import check_picture

    path = Path(file)
    check_picture(path)
    return path
