"""`quaver ingest`: from a broker into a store, every record opened, verified, dated, and there once."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from quaver.ingest.intake import Tally

store_option = click.option(
    "--store",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The SQLite file of the records.",
)


@click.command("ingest")
@broker_option
@ca_option
@store_option
@keys_option
@click.option("--allow-plain", is_flag=True, help="Take messages that nobody sealed too; nothing vouches for them.")
@click.option("--moved", is_flag=True, help="The store was moved here from elsewhere: take up its session again.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records; otherwise Ctrl-C ends it.")
def command(
    url: str, ca: Path | None, path: Path, folder: Path | None, allow_plain: bool, moved: bool, count: int | None
) -> None:
    """Open, verify, date and store what nodes publish at a broker.

    A message is acknowledged once it is on the disk, so that a kill or a full disk loses none: what was not
    acknowledged stays at the broker, which keeps this store's session. Refused messages are counted in the store and
    the first of each kind is a line on stderr. While another program holds the store locked nothing is acknowledged,
    and it goes on when the store is free. A copy of a store has a session of its own. When this machine's clock is set,
    what came before is dated anew. A user and a password belong into QUAVER_BROKER, where no process list
    shows them. Where there is an inventory (QUAVER_INVENTORY), it learns when each node was last heard of.
    """
    from rich.console import Console

    from quaver.broker.address import parse_broker_url
    from quaver.fleet.inventory import default_path
    from quaver.ingest.run import ingest
    from quaver.store.store import Store

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
        with Store(path, wait=_once(say)) as store, status or contextlib.nullcontext():
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
            say(f"{line}; the broker keeps what comes" if line else "the store is free again")

    return wait


def _told(tally: Tally, seconds: float) -> str:
    refused = "".join(f", {count} {reason}" for reason, count in sorted(tally.refused.items()))
    rate = tally.received / max(seconds, 1e-3)
    return f"{tally.received} records stored ({rate:.0f}/s), {tally.duplicates} duplicates{refused}"
