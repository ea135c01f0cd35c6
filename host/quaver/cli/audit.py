"""`quaver audit`: who did what on the page, and whether the trail of it is whole."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from quaver.cli.user import state_option


@click.group("audit")
def command() -> None:
    """Show what people did on the page, and check that nobody has edited the trail of it.

    Each row is bound to the one before by SHA-256, and the newest one is known to a second file, audit.head: an edited,
    moved or missing row is found, and a cut end. Copy audit.head elsewhere now and then: who may write both files can
    forge both.
    """


@command.command("verify", short_help="Check the whole trail; exit code 1 where it is broken.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@state_option
def verify(as_json: bool, folder: Path | None) -> int:
    """Check the whole trail, and tell the first row that does not hold; the exit code is 1 then."""
    from quaver.access.audit import verify as check
    from quaver.access.base import default_folder

    folder = folder or default_folder()
    found = check(folder)
    if as_json:
        click.echo(json.dumps({"rows": found.rows, "broken": found.broken or None, "why": found.why or None}))
    elif found.broken:
        click.echo(f"{folder}: the audit trail is broken: {found.why}; {found.rows} rows before it hold")
    else:
        click.echo(f"{folder}: the audit trail is whole: {found.rows} rows")
    return 1 if found.broken else 0


@command.command("show", short_help="Show the newest rows.")
@click.option("--count", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row.")
@state_option
def show(count: int, as_json: bool, folder: Path | None) -> None:
    """Show the newest rows, the newest last: when (UTC), who, what, about what, and details. It does not check them."""
    from quaver.access.audit import newest, open_trail
    from quaver.access.base import default_folder

    with open_trail(folder or default_folder()) as base:
        rows = newest(base, None, count)
    for row in reversed(rows):
        if as_json:
            click.echo(json.dumps(row._asdict() | {"details": json.loads(row.details), "hash": row.hash.hex()}))
            continue
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row.time_ms / 1000))
        details = "" if row.details == "{}" else f"  {row.details}"
        # As text, however it came: no row steers a terminal.
        click.echo(_printable(f"{row.number:6}  {when}  {row.who or '(stranger)'}  {row.what}  {row.about}{details}"))


@command.command("delete", short_help="Delete the rows before a date.")
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="YYYY-MM-DD",
              help="Older rows than this day, 0:00 UTC.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Delete; else it only shows how many there are.")
@state_option
def delete(before: datetime, yes: bool, folder: Path | None) -> None:
    """Delete the rows before a date: names and addresses in them are gone, and the rest can still be verified.

    A row tells who has deleted how many. A trail that is broken is left as it is.
    """
    from quaver.access.audit import last_before, open_trail
    from quaver.access.base import default_folder
    from quaver.alarms.base import forget_audited
    from quaver.cli.user import _access, _operator

    folder = folder or default_folder()
    before_ms = int(before.replace(tzinfo=UTC).timestamp() * 1000)
    if yes:
        with _access(folder) as access:
            count = access.audit.delete(before_ms, _operator())
        forget_audited(folder / "alarms.sqlite", before_ms)
    else:
        with open_trail(folder) as base:
            last = last_before(base, before_ms)
            rows = "SELECT count(*) FROM audit WHERE number <= ?"
            count = base.execute(rows, (last["number"],)).fetchone()[0] if last else 0
    click.echo(f"{folder}: {count} rows before {before:%Y-%m-%d} {'deleted' if yes else 'would go; say --yes'}")


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text).rstrip()
