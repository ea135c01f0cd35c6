"""`quaver keys`: the device keys of nodes, in a store of their own; no command prints a key."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.fleet.keys import KeyStore

keys_option = click.option(
    "--keys",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="QUAVER_KEYS",
    show_envvar=True,
    metavar="FOLDER",
    help="The key store; by default in your data folder.",
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
@keys_option
def create(node_id: str, name: str, source: Path | None, folder: Path | None) -> None:
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
    node = store.create(parse_node_id(node_id), name, key)
    click.echo(f"{node.node_id.hex()}  {node.name}  generation {node.generation}  in {store.path}")


@command.command("list", short_help="List the nodes that have a key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per node.")
@keys_option
def list_(as_json: bool, folder: Path | None) -> None:
    """List the nodes that have a key: id, name, generations. The keys themselves are not shown."""
    nodes = open_store(folder).nodes()
    if as_json:
        for node in nodes:
            known = {"id": node.node_id.hex(), "name": node.name, "generations": sorted(node.keys)}
            click.echo(json.dumps(known | {"created": node.created}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(pad_edge=False)
    for heading in ("id", "name", "generations", "enrolled"):
        table.add_column(heading, overflow="fold")
    for node in nodes:
        generations = ", ".join(map(str, sorted(node.keys)))
        table.add_row(node.node_id.hex(), node.name, generations, time.strftime("%Y-%m-%d", time.gmtime(node.created)))
    Console(markup=False).print(table if nodes else "no node has a key; enrol one with: quaver keys create NODE_ID")


@command.command("rotate", short_help="Create a new key for a node, and keep the old one.")
@click.argument("node_id")
@keys_option
def rotate(node_id: str, folder: Path | None) -> None:
    """Create a new key for a node, of the next generation.

    The old keys stay: the node's messages open with them until the first message under the new key arrives.
    """
    from quaver.fleet.keys import parse_node_id

    node = open_store(folder).rotate(parse_node_id(node_id))
    click.echo(f"{node.name}: generation {node.generation}; both are accepted until the node has it")


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
