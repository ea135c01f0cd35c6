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

    from quaver.gateway.own import Identity
    from quaver.gateway.spool import Spool
    from quaver.modbus.spec import Machine


@click.command("gateway")
@broker_option
@ca_option
@click.option(
    "--nodes",
    "listed",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help='Connect to these nodes only: JSON, {"<id>": "site/area/line/asset/node"}; by default the inventory\'s nodes.',
)
@click.option(
    "--modbus",
    "machines_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Ask these machines by Modbus, each as a node: TOML, docs/modbus.md. Without --nodes there is no Bluetooth.",
)
@click.option(
    "--store",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The SQLite file of waiting records; by default in your data folder.",
)
@click.option(
    "--place",
    metavar="PLACE",
    help="The gateway's own topic prefix, site/area/line/asset/name, for its health records.",
)
@click.option("--trust-clock", is_flag=True, help="Trust this machine's clock, although no time server sets it.")
@keys_option
def command(
    url: str,
    ca: Path | None,
    listed: Path | None,
    machines_file: Path | None,
    path: Path | None,
    place: str | None,
    trust_clock: bool,
    folder: Path | None,
) -> None:
    """Collect messages from nodes over Bluetooth, store them, and forward them to a broker.

    Records stay sealed: a gateway needs no keys of nodes. A node deletes a record once it is in the store's file, and
    the gateway deletes it once the broker has it. Commands for nodes wait in the same file. With --place the gateway
    publishes its own status and health records, with the key of that name in the key store. Nodes get the date from
    this machine's clock if a time server sets it. Ctrl-C ends the command.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.gateway.date import TrustedDate
    from quaver.gateway.nodes import inventory_nodes, read_nodes
    from quaver.gateway.run import gateway

    broker = parse_broker_url(url)
    machines = _machines(machines_file, folder) if machines_file else []
    prefixes = read_nodes(listed) if listed else {} if machines else inventory_nodes()
    identity = _identity(place, folder) if place else None
    if path is None:
        import platformdirs

        path = Path(platformdirs.user_data_dir("quaver", appauthor=False)) / "gateway.sqlite"

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    with _opened(path, say) as spool:
        asked = f"; machines: {len(machines)}" if machines else ""
        say(f"nodes: {len(prefixes)}{asked}; records that wait for {broker} in {path}: {len(spool)}")
        if spool.copied:
            _check_copy(spool, identity or next((one for _, one in machines), None), say)
        date = TrustedDate(say, trust_clock)
        try:
            asyncio.run(
                gateway(
                    broker, prefixes, spool, say,
                    ca=ca, identity=identity, machines=machines, unix_ms=date.unix_ms,
                )
            )  # fmt: skip
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


def _opened(path: Path, say: Callable[[str], None]) -> Spool:
    """The file of waiting records, once no other program has locked it."""
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
    """Print what it means that the file is a copy. Raises GatewayError if two gateways would use the same nonces."""
    from quaver.errors import GatewayError

    if identity is not None:
        raise GatewayError(
            f"{spool.path} is a copy of a gateway's file, so two gateways would seal messages with the "
            "same numbers; name a "
            "new file with --store, and start without --place until nothing waits in this one"
        )
    say(f"{spool.path} is a copy: its session at the broker is a new one, and commands on their way stay in the former")


def _machines(path: Path, folder: Path | None) -> list[tuple[Machine, Identity]]:
    from quaver.errors import GatewayError
    from quaver.modbus.spec import read_machines

    found = []
    for machine in read_machines(path):
        try:
            found.append((machine, _identity(machine.place, folder)))
        except GatewayError as error:
            raise GatewayError(f"{path}: {error}") from error
    return found


def _identity(place: str, folder: Path | None) -> Identity:
    from quaver.errors import GatewayError
    from quaver.gateway.nodes import check_topic_prefix
    from quaver.gateway.own import Identity

    try:
        name = check_topic_prefix(place).rpartition("/")[2]
    except ValueError as error:
        raise GatewayError(f"place {place[:40]!r}: {error}") from error
    for node in open_store(folder).nodes():
        if node.name == name:
            return Identity(node.node_id, place, node.generation, node.keys[node.generation])
    raise GatewayError(f"the key store has no {name!r}: create its key with quaver keys create ID --name {name}")
