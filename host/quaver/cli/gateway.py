"""`quaver gateway`: this machine as a gateway: nodes over Bluetooth or wires on one side, a broker on the other."""

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


@click.group("gateway", invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")
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
    "--serial",
    "ports",
    multiple=True,
    metavar="PORT[:BAUDRATE]",
    help="Collect from the node at this serial port, 115200 baud by default; repeatable. Then there is no Bluetooth.",
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
@click.option(
    "--link-keys",
    "links",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="QUAVER_LINK_KEYS",
    show_envvar=True,
    metavar="FILE",
    help="The link keys, as quaver gateway grant writes them; by default in your data folder.",
)
@click.option(
    "--old-links",
    is_flag=True,
    help="Connect to nodes with firmware of before link keys, too: whoever is near can take and fake what they say.",
)
@click.option("--trust-clock", is_flag=True, help="Trust this machine's clock, although no time server sets it.")
@keys_option
@click.pass_context
def command(
    ctx: click.Context,
    url: str,
    ca: Path | None,
    listed: Path | None,
    machines_file: Path | None,
    ports: tuple[str, ...],
    path: Path | None,
    place: str | None,
    links: Path | None,
    old_links: bool,
    trust_clock: bool,
    folder: Path | None,
) -> None:
    """Collect messages from nodes over Bluetooth or serial lines, store them, and forward them to a broker.

    Records stay sealed: a gateway has no device keys of nodes. It has a link key for each, by which the node believes
    it: quaver gateway grant. A node deletes a record once it is in the store's file, and the gateway deletes it once
    the broker has it. Commands for nodes wait in the same file. With --place the gateway publishes its own status and
    health records, with the key of that name in the key store. Nodes get the date from this machine's clock if a time
    server sets it. Ctrl-C ends the command.
    """
    if ctx.invoked_subcommand:
        return
    from quaver.broker.address import parse_broker_url
    from quaver.fleet.link_keys import default_path
    from quaver.gateway.date import TrustedDate
    from quaver.gateway.line import Line
    from quaver.gateway.links import KeyFile
    from quaver.gateway.nodes import inventory_nodes, read_nodes
    from quaver.gateway.run import gateway

    broker = parse_broker_url(url)
    lines = [Line.of(port) for port in ports]
    machines = _machines(machines_file, folder) if machines_file else []
    prefixes = read_nodes(listed) if listed else {} if machines and not lines else inventory_nodes()
    identity = _identity(place, folder) if place else None
    if path is None:
        import platformdirs

        path = Path(platformdirs.user_data_dir("quaver", appauthor=False)) / "gateway.sqlite"

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    with _opened(path, say) as spool:
        asked = f"; machines: {len(machines)}" if machines else ""
        say(f"nodes: {len(prefixes)}{asked}; records that wait for {broker} in {path}: {len(spool)}")
        keys = KeyFile(links or default_path())
        missing = sum(not keys.has(node_id) for node_id in prefixes)
        if missing:
            say(f"no link key for {missing} of them in {links or default_path()}: quaver gateway grant makes them")
        if spool.copied:
            _check_copy(spool, identity or next((one for _, one in machines), None), say)
        date = TrustedDate(say, trust_clock)
        try:
            asyncio.run(
                gateway(
                    broker, prefixes, keys, spool, say,
                    ca=ca, identity=identity, machines=machines, lines=lines, unix_ms=date.unix_ms,
                    old_links=old_links,
                )
            )  # fmt: skip
        except ExceptionGroup as group:
            raise group.exceptions[0] from group


_gateway_argument = click.argument("gateway")
_timeout_option = click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), default=60.0, show_default=True, metavar="SECONDS",
    help="How long to wait for each answer.",
)  # fmt: skip


@command.command("grant", short_help="Let a gateway visit nodes: give it link keys.")
@_gateway_argument
@click.argument("nodes", nargs=-1, required=True, metavar="NODE...")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the keys for a Linux machine; by default where quaver gateway here looks for them.",
)
@click.option("--board", is_flag=True, help="The gateway is a board: send it the keys, sealed, over the broker.")
@click.option("--expires", type=click.FloatRange(0.1, 2_592_000), metavar="SECONDS",
              help="With --board: how long it may take them, if it is offline now. By default --timeout.")  # fmt: skip
@_timeout_option
@broker_option
@ca_option
@keys_option
def grant(
    gateway: str,
    nodes: tuple[str, ...],
    file: Path | None,
    board: bool,
    expires: float | None,
    timeout: float,
    url: str,
    ca: Path | None,
    folder: Path | None,
) -> None:
    """Let a gateway visit nodes: make the link keys by which they believe it, and give it those.

    GATEWAY is its name. NODE is a node's name, or its id, in the key store. The nodes are not asked. The keys of a
    Linux machine are in a file that only you can read: copy it there. They open no record.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.fleet.grants import GrantStore
    from quaver.fleet.handing import renew
    from quaver.fleet.link_keys import default_path
    from quaver.fleet.operator import Operator, check_name

    if board and file:
        raise click.UsageError("--board and --file exclude each other")
    broker = parse_broker_url(url)
    keys = open_store(folder)
    store = GrantStore(keys)
    ids = [check_name(keys, name).node_id for name in nodes]
    if board:
        check_name(keys, gateway)
    grants = store.grant(gateway, ids, None if board else (file or default_path()).absolute())
    click.echo(renew(store, grants, lambda name: Operator(broker, keys, name, ca, timeout, expires)))


@command.command("revoke", short_help="Have nodes refuse a gateway, as one that was stolen.")
@_gateway_argument
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option("--expires", type=click.FloatRange(1, 2_592_000), default=2_592_000.0, show_default=True,
              metavar="SECONDS", help="How long a node that is away may still be told.")  # fmt: skip
@_timeout_option
@broker_option
@ca_option
@keys_option
def revoke(
    gateway: str,
    nodes: tuple[str, ...],
    expires: float,
    timeout: float,
    url: str,
    ca: Path | None,
    folder: Path | None,
) -> None:
    """Have nodes refuse a gateway: all that it was granted, or each NODE.

    Each node is told by a sealed command, which reaches it through any other gateway. What nodes have not answered is
    sent again when this is called again. Granted anew, a gateway gets other keys.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.fleet.grants import GrantStore
    from quaver.fleet.handing import tell
    from quaver.fleet.operator import check_name

    broker = parse_broker_url(url)
    keys = open_store(folder)
    store = GrantStore(keys)
    ids = [check_name(keys, name).node_id for name in nodes] or None
    grants = store.revoke(gateway, ids)
    if grants.file is not None and grants.file.exists():
        store.write(grants)
    tell(
        keys,
        store,
        grants,
        broker,
        ca,
        timeout_s=timeout,
        expires_s=expires,
        say=lambda line: click.echo(line, err=True),
    )
    click.echo(f"{gateway}: refused by all nodes that it was taken from")


@command.command("grants", short_help="List the gateways, and which nodes each may visit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per gateway.")
@keys_option
def grants(as_json: bool, folder: Path | None) -> None:
    """List the gateways, and which nodes each may visit. The keys themselves are not shown."""
    import json

    from quaver.fleet.grants import GrantStore

    keys = open_store(folder)
    names = {node.node_id: node.name for node in keys.nodes()}
    for one in GrantStore(keys).all():
        granted = sorted(names.get(node_id, node_id.hex()) for node_id in one.granted())
        untold = sorted(names.get(node_id, node_id.hex()) for node_id in one.untold())
        if as_json:
            where = str(one.file) if one.file else None
            click.echo(json.dumps({"gateway": one.name, "file": where, "nodes": granted, "untold": untold}))
            continue
        more = f"; not yet told that it was revoked: {', '.join(untold)}" if untold else ""
        click.echo(f"{one.name} ({one.file or 'a board'}): {', '.join(granted) or 'no node'}{more}")


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
