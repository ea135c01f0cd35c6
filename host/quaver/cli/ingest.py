"""`quaver ingest`: from a broker into a store, every record opened, verified, dated, and there once."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import ca_option

if TYPE_CHECKING:
    from quaver.broker.address import BrokerUrl, NatsUrl
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
@click.option(
    "--broker",
    "url",
    default="mqtt://127.0.0.1:1883",
    envvar="QUAVER_BROKER",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="A broker, mqtt://HOST[:PORT], or NATS servers, nats://HOST[:PORT][,HOST…]; for TLS mqtts:// and tls://.",
)
@click.option(
    "--login-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="QUAVER_LOGIN_FILE",
    show_envvar=True,
    metavar="FILE",
    help="user:password at the broker in a line, in a file of yours with mode 0600.",
)
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
@click.option("--leave", is_flag=True, help="With --worker: take what waits for it, leave the others, and end.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records; by default at Ctrl-C.")
def command(
    url: str,
    login_file: Path | None,
    ca: Path | None,
    path: Location,
    folder: Path | None,
    allow_plain: bool,
    moved: bool,
    worker: str,
    leave: bool,
    count: int | None,
) -> None:
    """Open, verify, date and store the messages that nodes publish at a broker.

    A message is acknowledged once it is on the disk, so a kill or a full disk loses none: messages that were not
    acknowledged stay at the broker, which keeps this store's session. Refused messages are counted in the store, and
    the first of each reason is printed on stderr. While another program locks the store nothing is acknowledged, and
    ingest continues when the store is free. A copy of a store gets a session of its own. When this machine's clock is
    set, earlier records are dated again. Put user and password into QUAVER_BROKER or a --login-file, where no process
    list shows them. Several workers, each with a --worker NAME, may write one store in PostgreSQL: the broker, or the
    NATS servers, hand each message to one.
    If there is an inventory (QUAVER_INVENTORY), ingest writes there when each node was last heard.
    """
    from rich.console import Console

    from quaver.broker.address import NatsUrl
    from quaver.fleet.inventory import default_path
    from quaver.ingest.run import ingest
    from quaver.store.location import open_records

    if leave and not worker:
        raise click.UsageError("--leave: give --worker NAME too")
    broker = _broker(url, login_file)
    if leave and isinstance(broker, NatsUrl):
        raise click.UsageError("--leave: is for MQTT; with NATS nothing waits for one worker: stop it")
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
        with (
            open_records(path, wait=once(say, "the broker keeps new messages"), worker=worker) as store,
            status or contextlib.nullcontext(),
        ):
            for tally in ingest(
                broker,
                store,
                keys,
                ca=ca,
                plain=allow_plain,
                inventory=default_path(),
                moved=moved,
                leave=leave,
                say=say,
            ):
                if status:
                    status.update(_told(tally, time.monotonic() - began))
                if count is not None and tally.received >= count:
                    return
    finally:
        if tally is not None:
            say(_told(tally, time.monotonic() - began))


def _broker(text: str, login_file: Path | None) -> BrokerUrl | NatsUrl:
    """Where the messages come from, with the login. Raises BrokerError."""
    from quaver.broker.address import is_nats, parse_broker_url, parse_nats_url
    from quaver.errors import BrokerError
    from quaver.files.private import read_login

    broker = parse_nats_url(text) if is_nats(text) else parse_broker_url(text)
    if is_nats(text) and broker.password and _given("url"):
        raise BrokerError(
            "the URL of the broker has a password, which every user of this machine can read: put user:password into "
            "a --login-file, or the URL into QUAVER_BROKER"
        )
    if login_file is None:
        return broker
    user, password = read_login(login_file, BrokerError)
    return dataclasses.replace(broker, user=user, password=password)


def _given(name: str) -> bool:
    """Whether an option is in the command line, and not in the environment."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def once(say: Callable[[str], None], meanwhile: str) -> Callable[[str], None]:
    """What is said of a store that is locked or away, once each time. meanwhile: what becomes of what comes."""
    waiting = False

    def wait(line: str) -> None:
        nonlocal waiting
        if bool(line) != waiting:
            waiting = bool(line)
            say(f"{line}; {meanwhile}" if line else "the store is free again")

    return wait


def _told(tally: Tally, seconds: float) -> str:
    refused = "".join(f", {count} {reason}" for reason, count in sorted(tally.refused.items()))
    rate = tally.received / max(seconds, 1e-3)
    return f"{tally.received} records stored ({rate:.0f}/s), {tally.duplicates} duplicates{refused}"
