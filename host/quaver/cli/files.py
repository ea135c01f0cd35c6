"""`quaver files`: lists, reads and writes files on a board."""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.port import attached, port_option, say_stopped

if TYPE_CHECKING:
    from quaver.errors import BoardError


@click.group("files")
def command() -> None:
    """List, read and write files on a board.

    This stops the firmware on it; quaver reset starts it again. The node's keys (device.key, session.code, link.keys,
    random.seed) are never copied; only you can read a copy of its configuration, which contains passwords.
    """


_KEYS = ("device.key", "session.code", "link.keys", "random.seed")


def _no_key(path: str) -> None:
    """Refuse the node's keys. A copy of one would let another node, or this one with its count of boots lost, use a
    nonce twice.
    """
    from quaver.errors import QuaverError

    if posixpath.normpath("/" + path.lstrip("/"))[1:].removesuffix(".new") in _KEYS:
        raise QuaverError(f"{path}: is a key, which must exist only once: quaver provision sends a node a new one")


@contextlib.contextmanager
def _transport(port: str | None, path: str) -> Iterator[Any]:
    """mpremote's transport to the board; a failure of its file system names the path."""
    from quaver.board.repl import DeviceError, failed_with
    from quaver.errors import BoardError

    try:
        with attached(port) as board, board.transport() as transport:
            try:
                yield transport
            except OSError as error:
                raise _failed(path, error.errno) from None
    except DeviceError as error:  # one that mpremote does not know by its number
        number = failed_with(error)
        raise (_failed(path, number) if number else BoardError(f"{path} on the board: {error}")) from None


def _failed(path: str, number: int | None) -> BoardError:
    from quaver.errors import BoardError

    return BoardError(f"{path} on the board: {os.strerror(number or 0)}; see quaver files ls")


@command.command("ls")
@click.argument("path", default="/")
@port_option
def ls(path: str, port: str | None) -> None:
    """List a folder on the board, / by default: size and name."""
    with _transport(port, path) as transport:
        entries = transport.fs_listdir(path)
    for entry in sorted(entries):
        click.echo(f"{entry.st_size:10} {entry.name}{'/' if entry.st_mode & 0x4000 else ''}")
    say_stopped()


@command.command("cat")
@click.argument("path")
@port_option
def cat(path: str, port: str | None) -> None:
    """Print a file of the board."""
    _no_key(path)
    with _transport(port, path) as transport:
        data = transport.fs_readfile(path, chunk_size=2048)
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    say_stopped()


@command.command("get")
@click.argument("path")
@click.argument("local", required=False, type=click.Path(path_type=Path))
@port_option
def get(path: str, local: Path | None, port: str | None) -> None:
    """Copy a file of the board to this machine.

    LOCAL is a file or a folder; by default the same name in the current folder.
    """
    from quaver.errors import QuaverError
    from quaver.files.pinned import write_atomically

    _no_key(path)
    name = PurePosixPath(path).name
    if name in ("", ".."):
        raise QuaverError(f"{path}: is a folder; name a file of the board")
    target = Path(name) if local is None else local / name if local.is_dir() else local
    with _transport(port, path) as transport:
        data = bytes(transport.fs_readfile(path, chunk_size=2048))
    try:
        write_atomically(target, data, private=name.startswith("config."))
    except OSError as error:
        raise QuaverError(f"{target}: can't be written ({error.strerror}); choose another path") from None
    click.echo(f"{target}: {len(data)} bytes")
    say_stopped()


@command.command("put")
@click.argument("local", type=click.Path(path_type=Path))
@click.argument("path", required=False)
@port_option
def put(local: Path, path: str | None, port: str | None) -> None:
    """Copy a file of this machine to the board.

    PATH is the file on the board, whose folders are created; by default the same name in /.
    """
    from quaver.errors import QuaverError

    try:
        data = local.read_bytes()
    except OSError as error:
        raise QuaverError(f"{local}: can't be read ({error.strerror}); check the name") from None
    target = "/" + local.name if path is None else path + local.name if path.endswith("/") else path
    _no_key(target)
    with attached(port) as board:
        board.put(target, data)
    click.echo(f"{target}: {len(data)} bytes")
    say_stopped()


@command.command("rm")
@click.argument("path")
@port_option
def rm(path: str, port: str | None) -> None:
    """Remove a file, or an empty folder, from the board."""
    with _transport(port, path) as transport:
        if transport.fs_isdir(path):
            transport.fs_rmdir(path)
        else:
            transport.fs_rmfile(path)
    say_stopped()
