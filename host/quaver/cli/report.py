"""`quaver report`: energy, availability, control charts and remaining life, from the records of a store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import store_option
from quaver.cli.spectrum import parse_since

if TYPE_CHECKING:
    from quaver.reports import Report
    from quaver.reports.spec import Spec
    from quaver.store.location import Location

_ROWS_SHOWN = 20  # of a table on a terminal
_DAYS = 30  # of a report that is not told its begin


@click.group("report")
def command() -> None:
    """Report on a plant's machines: energy, availability, control charts, remaining life; as CSV and PDF.

    Each figure has the records behind it, and what is not known is said.
    """


@command.command("new", short_help="Write an example of the file of the plant: shifts, tariffs, CO2, limits.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def new(path: Path) -> None:
    """Write an example of the file of the plant to FILE: shifts, tariffs, CO2, machines and limits."""
    from quaver.errors import ReportError
    from quaver.reports.spec import EXAMPLE

    try:
        with path.open("x") as file:
            file.write(EXAMPLE.read_text())
    except OSError as error:
        raise ReportError(f"{path}: can't be written ({error.strerror}); name a new file") from error
    click.echo(f"{path}: written; give it to quaver report as --config {path}")


@command.command("co2", short_help="List the table of CO2 by country and year, with its sources.")
def co2() -> None:
    """List the grams of CO2 of a kilowatt hour by country and year, with their sources."""
    from quaver.reports.spec import factors

    for one in factors():
        click.echo(f"{one.country} {one.year}: {one.g_per_kwh:g} g/kWh ({one.gas}, {one.state}); {one.source}")


def _until(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    try:
        return parse_since(ctx, parameter, text)
    except click.UsageError as error:
        raise click.UsageError(error.message.replace("--since", "--until")) from None


def _options(of_one: bool) -> Callable[[Any], Any]:
    """The options that all four share; of_one: of one node and one quantity."""
    found = [
        store_option,
        click.option("--node", "nodes", multiple=True, metavar="NAME", help="A node: its name, id or topic prefix."
                     + ("" if of_one else " Several may be given; by default all.")),
        click.option("--since", "since_ms", metavar="DATE|AGE", callback=parse_since,
                     help=f"From a date on, in UTC (2026-09-21), or an age (12h, 30d). By default {_DAYS} days."),
        click.option("--until", "until_ms", metavar="DATE|AGE", callback=_until, help="To there. By default now."),
        click.option("--config", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="The plant: shifts, tariffs, CO2, limits; quaver report new writes an example."),
        click.option("--language", type=click.Choice(["en", "de"]), help="By default that of LANG."),
        click.option("--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Write the main table there, and the others beside it, as FILE-NAME.csv."),
        click.option("--pdf", "pdf_path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                     help="Write it there as a PDF."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object, with the records behind each figure."),
    ]  # fmt: skip
    if not of_one:
        found.insert(2, click.option("--topic", "prefix", default="", metavar="PREFIX",
                                     help="All nodes below a topic, as in site/area/line."))  # fmt: skip
    else:
        found.insert(2, click.option("--quantity", default="velocity_mm_s", show_default=True, metavar="NAME",
                                     help="The feature, such as rms_g, envelope_g or temperature_c."))  # fmt: skip

    def add(function: Any) -> Any:
        for option in reversed(found):
            function = option(function)
        return function

    return add


@command.command("energy", short_help="kWh by machine, shift and tariff; peaks, idle energy, CO2.")
@_options(of_one=False)
def energy(**given: Any) -> None:
    """Report energy by machine, shift and tariff, the peaks of 15 minutes, idle energy and CO2.

    By the counter of the meter. Over gaps in the records the counter tells how much, and not when; the report says so.
    """
    _report("energy", **given)


@command.command("availability", short_help="Availability, MTBF and MTTR by running state and alarms; OEE.")
@_options(of_one=False)
def availability(**given: Any) -> None:
    """Report availability, MTBF with its interval, and MTTR, by what nodes say of running and of alarms.

    OEE needs a counter of pieces in the file of the plant.
    """
    _report("availability", **given)


@command.command("control", short_help="A feature's control charts: I-MR, EWMA, Nelson's rules, Cp and Cpk.")
@_options(of_one=True)
def control(**given: Any) -> None:
    """Report whether a feature is in statistical control: individuals, moving range, EWMA, Nelson's rules, capability.

    Cp and Cpk need [[limits]] in the file of the plant.
    """
    _report("control", **given)


@command.command("life", short_help="Before when a feature will hardly pass its limit, or nothing.")
@_options(of_one=True)
@click.option("--limit", type=float, metavar="VALUE",
              help="By default that of the file, or that of the node's last alarm.")  # fmt: skip
def life(**given: Any) -> None:
    """Report the remaining life: the time before which a feature hardly passes its limit, or why there is none.

    docs/reports.md has how often it held on bearings that were run to failure.
    """
    _report("life", **given)


def _report(
    kind: str,
    *,
    path: Location,
    nodes: tuple[str, ...],
    since_ms: int | None,
    until_ms: int | None,
    config: Path | None,
    language: str | None,
    csv_path: Path | None,
    pdf_path: Path | None,
    as_json: bool,
    **more: Any,
) -> None:
    from quaver.knowledge import language as of_environment
    from quaver.reports import Question, report
    from quaver.reports.spec import Spec, read_spec
    from quaver.reports.words import as_json as shown
    from quaver.store.location import open_records

    spec = Spec() if config is None else read_spec(config)
    code = language or of_environment()
    until = round(time.time() * 1000) if until_ms is None else until_ms
    since = until - _DAYS * 86_400_000 if since_ms is None else since_ms
    with open_records(path, write=False) as store:
        found = report(store, Question(kind, since, until, nodes, **more), spec)
    if csv_path:
        _write_sheets(found, code, csv_path)
    if pdf_path:
        _write_pdf(found, code, spec, pdf_path)
    if as_json:
        click.echo(json.dumps(shown(found, code), ensure_ascii=False))
    elif not (csv_path or pdf_path):
        _print(found, code)


def _write(path: Path, data: bytes) -> None:
    from quaver.errors import ReportError
    from quaver.files.pinned import write_atomically

    if not path.absolute().parent.is_dir():
        raise ReportError(f"{path}: can't be written: {path.parent} is no folder; choose another place")
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ReportError(f"{path}: can't be written ({error.strerror}); choose another place") from error


def _write_sheets(found: Report, code: str, path: Path) -> None:
    from quaver.reports.sheets import sheets

    texts = sheets(found, code)
    for number, (key, text) in enumerate(texts.items()):
        place = path if not number else path.with_name(f"{path.stem}-{key}{path.suffix or '.csv'}")
        _write(place, text.encode())
        click.echo(f"{place}: written", err=True)


def _write_pdf(found: Report, code: str, spec: Spec, path: Path) -> None:
    from quaver.reports.paper import pdf

    _write(path, pdf(found, code, spec.name, round(time.time() * 1000)))
    click.echo(f"{path}: written", err=True)


def _print(found: Report, code: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from quaver.reports.words import Words

    words = Words(code, found.zone)
    console = Console(markup=False, highlight=False)
    title = words.text(found.kind) + "".join(f": {words.text(value)}" for value in found.about.values())
    console.print(f"{title}, {words.time(found.since_ms)} {words.text('until')} {words.time(found.until_ms)}")
    console.print(words.text("zone", zone=found.zone))
    subject = None
    for one in found.figures:
        if one.subject != subject:
            subject = one.subject
            console.print(f"\n{subject}")
        console.print(f"  {words.text(one.key)}: {words.figure(one)}")
    for table in found.tables:
        console.print()
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=words.text(table.key), title_justify="left")
        for column in table.columns:
            unit = words.unit(column.unit) if column.kind != "seconds" else ""
            shown.add_column(f"{words.text(column.key)}{f' ({unit})' if unit else ''}", overflow="fold",
                             justify="left" if column.kind in ("text", "time") else "right")  # fmt: skip
        for row in table.rows[:_ROWS_SHOWN]:
            shown.add_row(*words.cells(row, table))
        console.print(shown)
        if len(table.rows) > _ROWS_SHOWN:
            console.print(words.text("more_rows", shown=_ROWS_SHOWN, all=len(table.rows)))
    for said in found.notes:
        console.print(f"- {words.note(said)}")
