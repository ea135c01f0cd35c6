"""`quaver keys`: the device keys of nodes, in a store of their own; no command prints a key."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quaver.fleet.keys import KeyStore, NodeKeys

keys_option = click.option(
    "--keys",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="QUAVER_KEYS",
    show_envvar=True,
    metavar="FOLDER",
    help="The key store; by default in your data folder.",
)


class _Days(click.ParamType[int | None]):
    """A number of days, or `never`."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or isinstance(value, int):
            return value
        if value == "never":
            return None
        if value.isascii() and value.isdecimal() and 1 <= int(value) <= 36_500:
            return int(value)
        raise click.BadParameter(f"{value!r}: expected a number of days from 1 to 36500, or never", ctx, param)


expires_option = click.option(
    "--expires",
    "days",
    type=_Days(),
    default=-1,  # quaver.fleet.keys.INHERIT
    metavar="DAYS",
    help="Let the new key expire after DAYS, or never; by default like the node's key before it, the first never.",
)


def open_store(folder: Path | None) -> KeyStore:
    """The key store that a command was given, or the user's own."""
    from quaver.fleet.keys import KeyStore, default_folder

    return KeyStore(folder or default_folder())


@click.group("keys")
def command() -> None:
    """Create and list the device keys that seal what nodes send.

    NODE_ID is the chip's id in hexadecimal, as machine.unique_id() returns it on the node.
    """


@command.command("create", short_help="Enrol a node with a fresh key.")
@click.argument("node_id")
@click.option("--name", default="", metavar="NAME", help="The node's name in its topics; by default NODE_ID.")
@click.option("--from", "source", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Read the key from FILE, 32 bytes as `export` writes them.")  # fmt: skip
@click.option(
    "--expires", "days", type=_Days(), metavar="DAYS", help="Let the key expire after DAYS; by default never."
)
@keys_option
def create(node_id: str, name: str, source: Path | None, days: int | None, folder: Path | None) -> None:
    """Enrol a node with a fresh random key, or with one that another store exported."""
    from quaver.errors import KeyStoreError
    from quaver.fleet.keys import KEY_BYTES, parse_node_id

    key = None
    if source is not None:
        try:
            with source.open("rb") as file:
                key = file.read(KEY_BYTES + 1)
        except OSError as error:
            raise KeyStoreError(f"{source}: can't be read ({error.strerror}); name an exported key") from error
    store = open_store(folder)
    node = store.create(parse_node_id(node_id), name, key, days)
    click.echo(f"{node.node_id.hex()}  {node.name}  generation {node.generation}  in {store.path}")


@command.command("list", short_help="List the nodes that have a key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per node.")
@keys_option
def list_(as_json: bool, folder: Path | None) -> None:
    """List the nodes that have a key: id, name, generations, and when the newest ends. No key is shown.

    A key that expires within 30 days is told with the days that it has left.
    """
    store = open_store(folder)
    nodes, now = store.nodes(), time.time()
    if as_json:
        for node in nodes:
            known = {"id": node.node_id.hex(), "name": node.name, "generations": sorted(node.keys)}
            ends = {str(generation): vars(end) for generation, end in sorted(node.ends.items())}
            click.echo(json.dumps(known | {"created": node.created} | ({"ends": ends} if ends else {})))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(pad_edge=False)
    for heading in ("id", "name", "generations", "enrolled", "ends"):
        table.add_column(heading, overflow="fold")
    for node in nodes:
        generations = ", ".join(map(str, sorted(node.keys)))
        table.add_row(node.node_id.hex(), node.name, generations, _date(node.created), _end(node, now))
    Console(markup=False).print(table if nodes else "no node has a key; enrol one with: quaver keys create NODE_ID")


def _date(seconds: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _end(node: NodeKeys, now: float) -> str:
    """When a node's newest key ends or did, and why."""
    from quaver.fleet.keys import SOON_DAYS

    end, left = node.end(), node.days_left(now)
    if end.revoked is not None:
        return f"revoked {_date(end.revoked)}" + (f": {end.reason}" if end.reason else "")
    if end.expires is None:
        return "never"
    if left is None:
        return f"expired {_date(end.expires)}"
    soon = f" (in {left} day{'' if left == 1 else 's'})" if left < SOON_DAYS else ""
    return f"{_date(end.expires)}{soon}"


@command.command("rotate", short_help="Create a new key for a node, and keep the old one.")
@click.argument("node_id")
@expires_option
@keys_option
def rotate(node_id: str, days: int | None, folder: Path | None) -> None:
    """Create a new key for a node, of the next generation.

    The old keys stay: the node's messages open with them until the first message under the new key arrives.
    """
    from quaver.fleet.keys import parse_node_id

    node = open_store(folder).rotate(parse_node_id(node_id), days)
    click.echo(f"{node.name}: generation {node.generation}; both are accepted until the node has it")


@command.command("expire", short_help="Set when a node's key expires.")
@click.argument("node")
@click.argument("days", type=_Days())
@keys_option
def expire(node: str, days: int | None, folder: Path | None) -> None:
    """Let the newest key of NODE, a name or an id, expire DAYS from now, or `never`.

    It works for a key that has expired, too: its records are accepted again from then on.
    """
    from quaver.fleet.operator import check_name

    store = open_store(folder)
    known = store.expire(check_name(store, node).node_id, days)
    _renew_files(store, known)
    click.echo(f"{known.name}: generation {known.generation}, ends: {_end(known, time.time())}")


@command.command("revoke", short_help="End a node's keys at once, and refuse what comes under them.")
@click.argument("node")
@click.option("--reason", default="", metavar="TEXT", help="Why; shown by quaver keys list.")
@keys_option
def revoke(node: str, reason: str, folder: Path | None) -> None:
    """End the keys of NODE, a name or an id, at once and for good: it was stolen, or its key may be known.

    What reads with this store (ingest, monitor, commands) refuses the next record under them, without a restart, and
    counts it as `key_revoked`. Records that are stored already stay. Gateways on this machine lose their link keys for
    the node. To use the node again, give it a new key over its cable: quaver provision.
    """
    from quaver.fleet.operator import check_name

    store = open_store(folder)
    known = store.revoke(check_name(store, node).node_id, reason)
    generations = ", ".join(map(str, sorted(known.keys)))
    click.echo(f"{known.name}: generation {generations} revoked; what comes under it is refused from now on")
    others = _renew_files(store, known)
    if others:
        click.echo(
            f"{known.name}: these gateways elsewhere still fetch what it says, and can't read it; take it from them "
            f"with quaver gateway revoke GATEWAY {known.name}: {', '.join(others)}"
        )


def _renew_files(store: KeyStore, node: NodeKeys) -> list[str]:
    """Have the files of link keys on this machine fit the node's keys; the gateways that have theirs elsewhere."""
    from quaver.fleet.grants import GrantStore

    grants = GrantStore(store)
    others = []
    for gateway in grants.of(node.node_id):
        if gateway.file is not None and gateway.file.exists():
            grants.write(gateway)
        else:
            others.append(gateway.name)
    return others


@command.command("rename", short_help="Change the node's name in its topics.")
@click.argument("node_id")
@click.argument("name")
@keys_option
def rename(node_id: str, name: str, folder: Path | None) -> None:
    """Change the node's name in its topics: its messages on topics of another name are refused."""
    from quaver.fleet.keys import parse_node_id

    node = open_store(folder).rename(parse_node_id(node_id), name)
    click.echo(f"{node.node_id.hex()}  {node.name}")


@command.command("forget", short_help="Remove a node's old keys, keep the newest.")
@click.argument("node_id")
@keys_option
def forget(node_id: str, folder: Path | None) -> None:
    """Remove all keys of a node but the newest: messages sealed with the others can't be opened any more."""
    from quaver.fleet.keys import parse_node_id

    gone = open_store(folder).forget(parse_node_id(node_id))
    click.echo(
        f"forgotten: generation {', '.join(map(str, gone))}" if gone else "there is only one key, and it is kept"
    )


@command.command("remove", short_help="Remove a node and all its keys.")
@click.argument("node_id")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@keys_option
def remove(node_id: str, folder: Path | None, yes: bool) -> None:
    """Remove a node and all its keys. Its later messages are refused."""
    from quaver.errors import KeyStoreError
    from quaver.fleet.keys import parse_node_id

    store, identity = open_store(folder), parse_node_id(node_id)
    known = store.get(identity)
    if known is not None and not yes:
        words = f"Messages of {known.name} that were not opened yet can't be opened afterwards. Remove it?"
        if not click.confirm(words, err=True):
            raise KeyStoreError(f"node {known.name} keeps its keys: the answer was no")
    node = store.remove(identity)
    click.echo(f"removed: {node.node_id.hex()}  {node.name}")


@command.command("export", short_help="Write a node's key to a new file.")
@click.argument("node_id")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@keys_option
def export(node_id: str, file: Path, folder: Path | None) -> None:
    """Write a node's newest key, 32 bytes, to FILE, a new file that only its owner can read."""
    from quaver.fleet.keys import parse_node_id

    node = open_store(folder).export(parse_node_id(node_id), file)
    click.echo(
        f"{node.name}: the key of generation {node.generation} is in {file}; delete the file when the key "
        "is on the node"
    )


_passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read the passphrase from the first line of FILE, which only you can read; by default it is asked for.",
)


@command.command("backup", short_help="Write the whole key store into one encrypted file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_passphrase_option
@keys_option
def backup(file: Path, passphrase_file: Path | None, folder: Path | None) -> None:
    """Write all that the key store holds into FILE, a new one, encrypted with a passphrase of 12 characters or more.

    Keys, codes, grants of gateways and what else lies in its folder. Whoever has FILE and the passphrase has all keys.
    """
    from quaver.fleet.backup import back_up

    store = open_store(folder)
    count = back_up(store, file, _passphrase(passphrase_file, new=True))
    click.echo(f"{file}: {count} files, the keys of nodes: {len(store.nodes())}; keep the passphrase elsewhere")


def _passphrase(file: Path | None, *, new: bool) -> str:
    from quaver.fleet.backup import read_passphrase

    if file is not None:
        return read_passphrase(file)
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the passphrase: name a file with --passphrase-file")
    answer: str = click.prompt("passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return answer


@command.command("restore", short_help="Make a key store of an encrypted backup.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_passphrase_option
@keys_option
def restore(file: Path, passphrase_file: Path | None, folder: Path | None) -> None:
    """Make a key store of FILE, in a folder that is empty or not there yet.

    The numbers of commands go on a day or two ahead, so that none is used twice. What happened after the backup is not
    in it: revoke again what was revoked since.
    """
    from quaver.errors import KeyStoreError
    from quaver.fleet.backup import restore as put_back

    if not file.exists():
        raise KeyStoreError(f"{file}: there is no such file; name one that quaver keys backup has written")
    store = open_store(folder)
    found = put_back(file, store.folder, _passphrase(passphrase_file, new=False))
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.made))
    click.echo(
        f"{store.folder}: the keys of nodes: {found.nodes}, as of {when} UTC. Keys and gateways that were revoked "
        "after that are not revoked here: revoke them again. Stop using the store that this one replaces"
    )
