"""`quaver ingest`: from a broker into a store, every record opened, verified, dated, and there once."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from quaver.ingest.intake import Tally
    from quaver.store.location import Location


class StoreType(click.Path):
    """A store as `quaver.store.location` has it; what is in the way is told before anything begins."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from quaver.store.location import parse_location

        location = parse_location(value) if isinstance(value, str) else value
        return super().convert(location, param, ctx) if isinstance(location, Path) else location


store_option = click.option(
    "--store",
    "path",
    required=True,
    type=StoreType(),
    metavar="FILE|URL",
    help="The records: a SQLite file, or postgresql://USER@HOST/NAME.",
)


def _worker(_ctx: click.Context, _parameter: click.Parameter, name: str) -> str:
    if name and not re.fullmatch("[A-Za-z0-9._-]{1,32}", name):
        raise click.BadParameter("expected at most 32 letters, digits, dots and dashes, such as a or host-2.")
    return name


@click.command("ingest")
@broker_option
@ca_option
@store_option
@keys_option
@click.option(
    "--allow-plain", is_flag=True, help="Accept messages that are not sealed too; their sender is not verified."
)
@click.option(
    "--moved", is_flag=True, help="The store was moved here from elsewhere: continue its session at the broker."
)
@click.option("--worker", default="", metavar="NAME", callback=_worker, help="One of several on one store: its name, "
              "which no other has and which it keeps. The broker hands each message to one of them.")  # fmt: skip
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records; by default at Ctrl-C.")
def command(
    url: str,
    ca: Path | None,
    path: Location,
    folder: Path | None,
    allow_plain: bool,
    moved: bool,
    worker: str,
    count: int | None,
) -> None:
    """Open, verify, date and store the messages that nodes publish at a broker.

    A message is acknowledged once it is on the disk, so a kill or a full disk loses none: messages that were not
    acknowledged stay at the broker, which keeps this store's session. Refused messages are counted in the store, and
    the first of each reason is printed on stderr. While another program locks the store nothing is acknowledged, and
    ingest continues when the store is free. A copy of a store gets a session of its own. When this machine's clock is
    set, earlier records are dated again. Put user and password into QUAVER_BROKER, where no process list shows them.
    If there is an inventory (QUAVER_INVENTORY), ingest writes there when each node was last heard.
    """
    from rich.console import Console

    from quaver.broker.address import parse_broker_url
    from quaver.fleet.inventory import default_path
    from quaver.ingest.run import ingest
    from quaver.store.location import open_records

    broker = parse_broker_url(url)
    known = open_store(folder)
    keys = None if allow_plain and not known.path.exists() else known
    if keys:
        keys.refresh()  # a store that can't be read is told before the broker's session begins
    began = time.monotonic()
    tally: Tally | None = None

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    status = Console(stderr=True, markup=False).status("waiting for records") if sys.stderr.isatty() else None
    try:
        with open_records(path, wait=_once(say), worker=worker) as store, status or contextlib.nullcontext():
            for tally in ingest(
                broker, store, keys, ca=ca, plain=allow_plain, inventory=default_path(), moved=moved, say=say
            ):
                if status:
                    status.update(_told(tally, time.monotonic() - began))
                if count is not None and tally.received >= count:
                    return
    finally:
        if tally is not None:
            say(_told(tally, time.monotonic() - began))


def _once(say: Callable[[str], None]) -> Callable[[str], None]:
    """What a store that is locked says, once each time that it is."""
    waiting = False

    def wait(line: str) -> None:
        nonlocal waiting
        if bool(line) != waiting:
            waiting = bool(line)
            say(f"{line}; the broker keeps new messages" if line else "the store is free again")

    return wait


def _told(tally: Tally, seconds: float) -> str:
    refused = "".join(f", {count} {reason}" for reason, count in sorted(tally.refused.items()))
    rate = tally.received / max(seconds, 1e-3)
    return f"{tally.received} records stored ({rate:.0f}/s), {tally.duplicates} duplicates{refused}"
