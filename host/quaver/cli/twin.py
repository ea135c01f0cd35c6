"""`quaver twin`: a plant in a box that mirrors a live one, and where both disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import store_option
from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quaver.broker.session import Session
    from quaver.fleet.inventory import Entry
    from quaver.messages.sealing import Opener
    from quaver.store.location import Location
    from quaver.twin.follow import Disagreement, Follower

_TICK_S = 0.5
_CLASSES = ("telemetry", "event", "status")
_ask_option = click.option("--ask", is_flag=True, help="Ask each node for its configuration, over the broker.")
_timeout_option = click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=20.0, show_default=True, metavar="SECONDS",
    help="With --ask: how long to wait for a node's answer.",
)  # fmt: skip


@click.group("twin")
def command() -> None:
    """Mirror a live plant as a plant in a box, and tell where the two disagree."""


@command.command("new", short_help="Write the plant that mirrors a live one.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@store_option
@_ask_option
@_timeout_option
@click.option("--inventory", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Of the nodes; by default that of quaver inventory.")  # fmt: skip
@keys_option
@ca_option
@broker_option
def new(
    file: Path,
    path: Location,
    ask: bool,
    timeout: float,
    inventory: Path | None,
    folder: Path | None,
    ca: Path | None,
    url: str,
) -> None:
    """Write to FILE the plant.toml that mirrors the live plant: by its store, its inventory and, with --ask, the
    configurations of its nodes.

    It runs with quaver plant run, and is what quaver twin follow holds the live plant against. It has no secret.
    """
    from quaver.errors import PlantError
    from quaver.store.location import open_records
    from quaver.twin.device import Device
    from quaver.twin.mirror import mirror

    if file.exists():
        raise PlantError(f"{file}: is there already; give another name, or remove it")
    with open_records(path, write=False) as store, Device() as device:
        names = [live.topic.rpartition("/")[2] for live in store.nodes()]
        configs = dict(_asked(names, url, ca, folder, timeout)) if ask else {}
        made = mirror(store, file.stem, _entries(inventory), configs, device)
    try:
        with file.open("x") as out:
            out.write(made.plant.as_toml())
    except OSError as error:
        raise PlantError(f"{file}: can't write: {error.strerror}") from error
    for note in made.notes:
        click.echo(note, err=True)
    click.echo(f"{file}: the twin of {len(made.plant.node)} nodes; follow the plant with: quaver twin follow {file}")


@command.command("follow", short_help="Tell where a live plant and its twin disagree.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@store_option
@_ask_option
@_timeout_option
@click.option("--for", "limit_s", type=click.FloatRange(0), metavar="SECONDS", help="By default until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per disagreement.")
@keys_option
@ca_option
@broker_option
def follow(
    file: Path,
    path: Location,
    ask: bool,
    timeout: float,
    limit_s: float | None,
    as_json: bool,
    folder: Path | None,
    ca: Path | None,
    url: str,
) -> int:
    """Follow a live plant over its broker, and tell where it and its twin in FILE disagree.

    Each twin judges what its node says it measured, with the device's own code and the configuration in FILE; the
    store brings it to where its node is. Exits with 1 if there was a disagreement.
    """
    from quaver.broker.address import node_topics, parse_broker_url
    from quaver.broker.session import Session
    from quaver.messages.sealing import Opener
    from quaver.plant.spec import load_plant
    from quaver.store.location import open_records
    from quaver.twin.device import Device
    from quaver.twin.follow import Follower

    plant = load_plant(file)
    topics = [(topic, 1) for topic in node_topics(_CLASSES)]
    opener, count = Opener(open_store(folder)), 0
    # What comes while the store is read waits: the twin misses nothing.
    session = Session(parse_broker_url(url), topics, ca, may="read telemetry, event and status")
    with Device() as device, session:
        with open_records(path, write=False) as store:
            follower = Follower(plant, store, device)
        for note in follower.notes:
            click.echo(note, err=True)
        click.echo(f"following {len(follower.names())} nodes at {parse_broker_url(url)}", err=True)
        try:
            if ask:
                for name, config in _asked(follower.names(), url, ca, folder, timeout):
                    count += _tell(follower.configured(name, config), as_json)
            count += sum(_tell(found, as_json) for found in _heard(session, opener, follower, limit_s))
        except KeyboardInterrupt:
            pass
    judged, agreed = follower.compared
    click.echo(f"{judged} measurements judged by both, {agreed} alike; {count} disagreements", err=True)
    return 1 if count else 0


def _heard(
    session: Session, opener: Opener, follower: Follower, limit_s: float | None
) -> Iterator[Iterator[Disagreement]]:
    """What each message brings, and each silence."""
    import time

    from quaver.messages.sealing import SealError

    end = None if limit_s is None else time.monotonic() + limit_s
    while end is None or time.monotonic() < end:
        yield follower.silences()
        heard = session.get(_TICK_S)
        if heard is None or not heard.payload:
            continue
        prefix, _, message_class = heard.topic.rpartition("/")
        try:
            opened = opener.open(message_class, heard.payload)
        except SealError:
            continue  # quaver ingest counts what can't be opened
        yield follower.take(prefix, message_class, opened)


def _tell(found: Iterable[Disagreement], as_json: bool) -> int:
    count = 0
    for one in found:
        count += 1
        click.echo(json.dumps(one.as_json()) if as_json else f"{one.node}: {one.line}")
    return count


def _entries(inventory: Path | None) -> list[Entry]:
    """Those of the inventory, if there is one."""
    from quaver.errors import InventoryError
    from quaver.fleet.inventory import Inventory, default_path

    path = inventory or default_path()
    if not path.exists():
        if inventory is not None:
            raise InventoryError(f"{path}: there is no inventory; leave out --inventory, or name another")
        return []
    with Inventory(path) as found:
        return found.entries()


def _asked(
    names: Iterable[str], url: str, ca: Path | None, folder: Path | None, timeout: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The configuration of each node that answers; what did not is told on stderr."""
    from quaver.broker.address import parse_broker_url
    from quaver.errors import OperationError
    from quaver.fleet.operator import Operator
    from quaver.fleet.procedures import read_config

    for name in names:
        try:
            with Operator(parse_broker_url(url), open_store(folder), name=name, ca=ca, timeout_s=timeout) as node:
                yield name, read_config(node)
        except OperationError as error:
            click.echo(f"not asked: {error}", err=True)
