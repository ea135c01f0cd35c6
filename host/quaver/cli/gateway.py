"""`quaver gateway`: this machine as a gateway: nodes over Bluetooth on one side, a broker on the other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from quaver.gateway.health import Identity
    from quaver.gateway.spool import Spool


@click.command("gateway")
@broker_option
@ca_option
@click.option(
    "--nodes",
    "listed",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help='Visit these alone: JSON, {"<id>": "site/area/line/asset/node"}; by default the inventory\'s nodes.',
)
@click.option(
    "--store",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The SQLite file of what waits; by default one in the user's data.",
)
@click.option("--place", metavar="PLACE", help="The gateway's own, site/area/line/asset/name, for its health records.")
@click.option("--trust-clock", is_flag=True, help="This machine's clock is right, though no time server keeps it.")
@keys_option
def command(
    url: str,
    ca: Path | None,
    listed: Path | None,
    path: Path | None,
    place: str | None,
    trust_clock: bool,
    folder: Path | None,
) -> None:
    """Collect what nodes send over Bluetooth, keep it, and hand it on to a broker.

    Records stay sealed: a gateway needs no keys of nodes. A node may forget what is in the store's file, and a record
    leaves that when the broker has it. Commands for nodes wait in the same file. With --place the gateway tells of
    itself as a node does, under a key of the key store with its name. Nodes
    get the date from this machine's clock where a time server keeps it. Ctrl-C ends it.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.gateway.date import TrustedDate
    from quaver.gateway.nodes import inventory_nodes, read_nodes
    from quaver.gateway.run import gateway

    broker = parse_broker_url(url)
    places = read_nodes(listed) if listed else inventory_nodes()
    identity = _identity(place, folder) if place else None
    if path is None:
        import platformdirs

        path = Path(platformdirs.user_data_dir("quaver", appauthor=False)) / "gateway.sqlite"

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    with _opened(path, say) as spool:
        say(f"nodes to visit: {len(places)}; records that wait for {broker} in {path}: {len(spool)}")
        if spool.copied:
            _check_copy(spool, identity, say)
        date = TrustedDate(say, trust_clock)
        try:
            asyncio.run(gateway(broker, places, spool, say, ca=ca, identity=identity, unix_ms=date.unix_ms))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


def _opened(path: Path, say: Callable[[str], None]) -> Spool:
    """The file of what waits, once no other program holds it."""
    from quaver.errors import StoreBusy
    from quaver.gateway.spool import Spool

    told = False
    while True:
        try:
            return Spool(path)
        except StoreBusy as busy:
            if not told:
                say(f"{busy}; waiting until it is free")
            told = True


def _check_copy(spool: Spool, identity: Identity | None, say: Callable[[str], None]) -> None:
    """Say what follows for a file that is a copy. Raises GatewayError where two would seal alike."""
    from quaver.errors import GatewayError

    if identity is not None:
        raise GatewayError(
            f"{spool.path} is a copy of a gateway's file, and with it two would number alike what they seal; name a "
            "new file with --store, and start without --place until nothing waits in this one"
        )
    say(f"{spool.path} is a copy: its session at the broker is a new one, and commands on their way stay in the former")


def _identity(place: str, folder: Path | None) -> Identity:
    from quaver.errors import GatewayError
    from quaver.gateway.health import Identity
    from quaver.gateway.nodes import check_place

    try:
        name = check_place(place).rpartition("/")[2]
    except ValueError as error:
        raise GatewayError(f"--place {place[:40]!r}: {error}") from error
    for node in open_store(folder).nodes():
        if node.name == name:
            return Identity(node.node_id, place, node.generation, node.keys[node.generation])
    raise GatewayError(
        f"the key store has no {name!r}: give the gateway a key with quaver keys create ID --name {name}"
    )
