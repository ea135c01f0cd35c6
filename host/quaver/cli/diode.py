"""`quaver diode`: records one way, over UDP without a return path or on a medium."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.ingest import once, store_option

if TYPE_CHECKING:
    from quaver.store.location import Location

_FILE = click.Path(path_type=Path, dir_okay=False)
_state_option = click.option("--state", type=_FILE, metavar="FILE", default="diode.sqlite", show_default=True,
                             help="What has been sent or has come; readable for you alone.")  # fmt: skip
_folder_option = click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="Bundles as files there."
)


@click.group("diode")
def command() -> None:
    """Carry records one way: over UDP without a return path, or as signed bundles on a medium.

    The near side sends what its store has and gets. The far side checks each bundle's signature, and puts its records
    into a store of its own, where quaver ledger shows what the way lost. It has no device key: nothing there can reach
    a node.
    """


@command.command("key", short_help="Make the sender's key pair.")
@click.argument("path", type=_FILE, metavar="FILE")
def key(path: Path) -> None:
    """Make the key that signs bundles, in FILE, and its public half, FILE.pub, for the far side."""
    from quaver.diode.bundle import create_key

    public = create_key(path)
    click.echo(f"wrote {path}, which stays here, and {public}, which the far side needs")


@command.command("send", short_help="Send what a store has and gets.")
@store_option
@click.option("--key", "key_file", type=_FILE, required=True, metavar="FILE", help="Of quaver diode key.")
@click.option("--udp", metavar="HOST:PORT", help="Datagrams to there.")
@_folder_option
@_state_option
@click.option("--begin", type=click.Choice(("first", "now")), default="first", show_default=True,
              help="At the first start: with the store's first record, or with the next one.")  # fmt: skip
@click.option("--again", is_flag=True, help="Send all that the store has once more, such as after a loss.")
@click.option("--until-done", is_flag=True, help="End when all that the store has is sent; by default at Ctrl-C.")
@click.option("--rate", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, metavar="KB/S",
              help="At most, over UDP.")  # fmt: skip
def send(
    path: Location,
    key_file: Path,
    udp: str | None,
    folder: Path | None,
    state: Path,
    begin: str,
    again: bool,
    until_done: bool,
    rate: int,
) -> None:
    """Send the records of a store, opened as they are there, in signed bundles of up to 200.

    Nobody answers: what has been sent is not sent again, but with --again.
    """
    from quaver.diode.bundle import read_key
    from quaver.diode.send import Folder, Sending
    from quaver.diode.udp import Sender

    _one_way(udp, folder)
    private = read_key(key_file)
    count = 0

    def told(records: int) -> None:
        nonlocal count
        count += records

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    with ExitStack() as stack:
        way = stack.enter_context(closing(Sender(udp, 1000.0 * rate))) if udp else Folder(folder or Path())
        wait = once(say, "what is new waits there")
        sending = stack.enter_context(closing(Sending(path, state, way, private, begin == "first", wait)))
        if again:
            sending.again()
        try:
            if until_done:
                sending.send(told)
            else:
                sending.follow(told, say)
        except KeyboardInterrupt:
            pass
        finally:
            say(f"stream {sending.stream}: {count} records sent")


@command.command("receive", short_help="Put what comes into a store.")
@store_option
@click.option("--from", "key_file", type=_FILE, required=True, metavar="FILE", help="The sender's FILE.pub.")
@click.option("--udp", metavar="ADDRESS:PORT", help="Listen for datagrams there, until Ctrl-C.")
@_folder_option
@_state_option
def receive(path: Location, key_file: Path, udp: str | None, folder: Path | None, state: Path) -> int:
    """Check what comes, and put its records into a store.

    Of a folder every bundle is taken once, and the command ends: with 1 where one was refused.
    """
    from quaver.diode.bundle import read_public_key
    from quaver.diode.receive import Receiving
    from quaver.diode.udp import Receiver
    from quaver.store.location import open_records

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    _one_way(udp, folder)
    public = read_public_key(key_file)
    with ExitStack() as stack:
        files = _bundles(folder) if folder else []
        receiver = stack.enter_context(closing(Receiver(udp))) if udp else None
        store = stack.enter_context(open_records(path))
        receiving = stack.enter_context(closing(Receiving(store, state, public, say)))
        try:
            for file in files:
                receiving.take(_content(file), file.name)
            if receiver is not None:
                say(f"listening at {receiver.address}")
                for data in receiver.bundles():
                    if data is not None:
                        receiving.take(data, "a bundle")
        except KeyboardInterrupt:
            pass
        finally:
            say(f"{receiving.records} new records in {receiving.bundles} bundles, {receiving.refused} refused")
        return 1 if receiving.refused and folder else 0


@command.command("status", short_help="Show which bundles have not come.")
@_state_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a stream.")
def status(state: Path, as_json: bool) -> int:
    """Show of each stream how many bundles have come, and which are missing. Exits with 1 where one is."""
    from quaver.diode.receive import standing
    from quaver.errors import DiodeError

    if not state.exists():
        raise DiodeError(f"{state}: there is no such file; quaver diode receive writes it")
    found = standing(state)
    for entry in found:
        if as_json:
            click.echo(json.dumps(entry))
            continue
        missing = entry["missing"]
        listed = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
        words = f"; {len(missing)} missing: {listed}" if missing else ""
        click.echo(f"{entry['stream']}: {entry['bundles'] - len(missing)} of {entry['bundles']} bundles{words}")
    if not found and not as_json:
        click.echo("nothing has come")
    return 1 if any(entry["missing"] for entry in found) else 0


def _one_way(udp: str | None, folder: Path | None) -> None:
    if (udp is None) == (folder is None):
        raise click.UsageError("give one of --udp and --folder")


def _bundles(folder: Path) -> list[Path]:
    from quaver.errors import DiodeError

    if not folder.is_dir():
        raise DiodeError(f"{folder}: is no folder; mount the medium, or name a folder that exists")
    return sorted(folder.glob("*.bundle"))


def _content(file: Path) -> bytes:
    from quaver.diode.bundle import BUNDLE_MAX
    from quaver.errors import DiodeError

    try:
        with file.open("rb") as opened:
            return opened.read(BUNDLE_MAX + 1)
    except OSError as error:
        raise DiodeError(f"{file}: can't be read ({error.strerror}); check the medium") from error
