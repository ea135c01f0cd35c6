"""`quaver release`: the firmware as one signed file for all boards, and the keys that sign it."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from quaver.release.bundle import Release
    from quaver.release.signing import PrivateKey, PublicKey

_ENV = "QUAVER_RELEASE_PASSPHRASE"
_NEXT_ENV = "QUAVER_RELEASE_NEXT_PASSPHRASE"
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("release")
def command() -> None:
    """Build, sign and check releases: one file of the firmware, which nodes verify first.

    The passphrase of a key is asked for, or taken from the environment: QUAVER_RELEASE_PASSPHRASE.
    """


@command.command("build", short_help="Build and sign a release of this quaver's firmware.")
@click.option("--sequence", type=click.IntRange(1, (1 << 32) - 1), required=True, metavar="N",
              help="Its sequence number: nodes take none that is not above their own.")  # fmt: skip
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="YYYY-MM-DD",
              help="No node takes the release from this day on, 0:00 UTC.")  # fmt: skip
@click.option(
    "--board",
    "boards",
    multiple=True,
    metavar="NAME",
    help="For this board; repeat it for several. By default the usual board of each chip.",
)
@click.option("--key", type=_FILE, metavar="FILE", help="The private key; by default the one in your data folder.")
@click.option("--next-key", type=_FILE, metavar="FILE",
              help="Sign with this key too; nodes take it as theirs once they confirmed the release.")  # fmt: skip
@click.option("--step-down", "nodes", multiple=True, metavar="NODE_ID",
              help="A node that may take the release although it runs a later one; repeat it for several.")  # fmt: skip
@click.option("--after", "earlier", type=_FILE, multiple=True, metavar="FILE",
              help="A release that nodes run: they fetch what differs from it; repeat it for several.")  # fmt: skip
@click.option("--with-image", is_flag=True,
              help="With MicroPython itself, for ESP32 boards that were flashed with --updatable.")  # fmt: skip
@click.option("-o", "--output", type=_FILE, metavar="FILE",
              help="By default quaver-VERSION-N.release in this folder.")  # fmt: skip
def build(
    sequence: int,
    expires: datetime,
    boards: tuple[str, ...],
    key: Path | None,
    next_key: Path | None,
    nodes: tuple[str, ...],
    earlier: tuple[Path, ...],
    with_image: bool,
    output: Path | None,
) -> None:
    """Build a release of this quaver's firmware, for the usual board of each chip or for those named, and sign it.

    The same input and key give the same bytes on any machine. The bill of materials (CycloneDX, JSON) is in the file,
    and beside it as FILE.cdx.json.
    """
    from quaver.board.chips import chips
    from quaver.build import write_flashable
    from quaver.cli.ui import download
    from quaver.fleet.keys import parse_node_id
    from quaver.release.bundle import build_release, read_release

    until = int(expires.replace(tzinfo=UTC).timestamp())
    if until <= datetime.now(UTC).timestamp():
        raise click.UsageError(f"--expires {expires:%Y-%m-%d}: is past: no node would take the release")
    down = [parse_node_id(node) for node in nodes]
    after = [read_release(path) for path in earlier]
    signer = _private(key, "", _ENV)
    following = _private(next_key, "next ", _NEXT_ENV) if next_key else None
    with download() as progress:
        release = build_release(
            boards or [chip.board for chip in chips().values()],
            sequence,
            expires=until,
            key=signer,
            next_key=following,
            downgrade=down,
            images=with_image,
            after=after,
            progress=progress,
        )
    path = output or Path(f"quaver-{release.manifest.version}-{sequence}.release")
    data = release.encode()
    sha256 = write_flashable(path, data, private=False)
    write_flashable(path.with_name(path.name + ".cdx.json"), release.sbom, private=False)
    click.echo(f"{path}: {len(data)} bytes, for {', '.join(sorted(release.manifest.boards))}")
    click.echo(f"sha256 {sha256}, signed by key {' and '.join(signer.hex() for signer in release.signers)}")


@command.command("show", short_help="Show what a release is and what is in it.")
@click.argument("file", type=_FILE)
@click.option("--board", metavar="NAME", help="List the files for this board.")
@click.option("--sbom", is_flag=True, help="Print the bill of materials: CycloneDX, JSON.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(file: Path, board: str | None, sbom: bool, as_json: bool) -> None:
    """Show what a release is and what is in it. Its signature is not checked: that is `quaver release verify`."""
    from quaver.release.bundle import read_release

    if sum((board is not None, sbom, as_json)) > 1:
        raise click.UsageError("--board, --sbom and --json: give one of them.")
    release = read_release(file)
    if sbom:
        click.echo(release.sbom.decode())
    elif board is not None:
        for entry in release.files(board):
            click.echo(f"{entry.sha256.hex()}  {entry.size:6}  {entry.path}")
    elif as_json:
        click.echo(json.dumps(_described(release)))
    else:
        _print(release)


@command.command("verify", short_help="Check that a release is whole, signed by a key, and not expired.")
@click.argument("file", type=_FILE)
@click.option("--key", type=_FILE, metavar="FILE",
              help="The public key (.pub.pem); by default that of the key in your data folder.")  # fmt: skip
def verify(file: Path, key: Path | None) -> None:
    """Check that a release is whole, signed by a key, and not expired: as a node does before it takes it."""
    from quaver.release.bundle import read_release
    from quaver.release.signing import default_key, public_of, read_public_key

    public = read_public_key(key or public_of(default_key()))
    release = read_release(file)
    release.verify(public)
    click.echo(
        f"{file}: whole, signed by key {public.key_id.hex()}, good until "
        f"{_date(release.manifest.expires)}; sequence number {release.manifest.sequence}"
    )


@command.command("publish", short_help="Put a release at a broker, for nodes to read.")
@click.argument("file", type=_FILE)
@broker_option
@ca_option
@click.option("--site", required=True, metavar="NAME", help="The site of the nodes: the first level of their topics.")
def publish(file: Path, url: str, ca: Path | None, site: str) -> None:
    """Put a release at a broker, for nodes to read: retained messages below SITE/release, only those not there yet.

    Nodes take it when they are told to: quaver node NAME update FILE.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.release.bundle import read_release
    from quaver.release.publish import publish

    release = read_release(file)
    broker = parse_broker_url(url)

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done + 1:,} of {total:,} chunks", nl=done + 1 >= total, err=True)

    found = publish(release, site, url=broker, ca=ca, progress=progress)
    click.echo(f"{broker}: {found.chunks} chunks, {found.bytes:,} bytes; {found.sent} were not there yet")


@command.command("sbom", short_help="Print the bill of materials of this installation.")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write it to FILE.")
def sbom(output: Path | None) -> None:
    """Print the bill of materials of this installation: CycloneDX 1.6, JSON.

    It has the Python packages as they are installed here, what of others is in the page, the system's packages that
    quaver uses, and what runs on the boards. The bill of one release for nodes: quaver release show FILE --sbom.
    """
    from quaver import __version__
    from quaver.board.spec import board_names, load_board
    from quaver.build import write_flashable
    from quaver.release.host_sbom import host_bill

    bill = host_bill(__version__, [load_board(name) for name in board_names()])
    for name in bill.unlocked:
        click.echo(f"not as locked: {name}", err=True)
    if output is None:
        click.echo(bill.document.decode())
    else:
        click.echo(f"{output}: sha256 {write_flashable(output, bill.document, private=False)}")


@command.group("keys")
def keys() -> None:
    """Create and show the key that signs releases. Nodes hold its public half; who has the key can change them all."""


@keys.command("create", short_help="Create a key, encrypted with a passphrase.")
@click.option("--key", type=_FILE, metavar="FILE", help="Where; by default in your data folder.")
def create(key: Path | None) -> None:
    """Create a key: FILE, encrypted with a passphrase and readable by you alone, and its public half beside it.

    Keep a copy of both where no fire reaches: without the key, nodes can be updated by cable only.
    """
    from quaver.release.signing import PASSPHRASE_MIN, create_key, default_key, public_of

    path = key or default_key()
    passphrase = os.environ.get(_ENV)
    if passphrase is None:
        _needs_terminal(_ENV)
        passphrase = click.prompt(
            f"Passphrase, at least {PASSPHRASE_MIN} characters", hide_input=True, confirmation_prompt=True, err=True
        )
    made = create_key(path, passphrase)
    click.echo(f"key {made.public.key_id.hex()}: {path}")
    click.echo(f"its public half: {public_of(path)}")


@keys.command("show", short_help="Show the id of a key.")
@click.option("--key", type=_FILE, metavar="FILE", help="A public key (.pub.pem); by default in your data folder.")
def show_key(key: Path | None) -> None:
    """Show the id of a key, and its public half as nodes hold it: x and y of the point, in hexadecimal."""
    from quaver.release.signing import default_key, public_of, read_public_key

    path = key or public_of(default_key())
    public: PublicKey = read_public_key(path)
    click.echo(f"key {public.key_id.hex()}: {path}")
    click.echo(public.xy.hex())


def _private(path: Path | None, which: str, variable: str) -> PrivateKey:
    from quaver.errors import ReleaseError
    from quaver.release.signing import default_key, read_private_key

    path = path or default_key()
    if not path.exists():
        raise ReleaseError(f"{path}: no such key; make one with: quaver release keys create")
    passphrase = os.environ.get(variable)
    if passphrase is None:
        _needs_terminal(variable)
        passphrase = click.prompt(f"Passphrase of the {which}key {path}", hide_input=True, err=True)
    return read_private_key(path, passphrase)


def _needs_terminal(variable: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask for the passphrase: set {variable}")


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _described(release: Release) -> dict[str, object]:
    manifest = release.manifest
    return {
        "version": manifest.version,
        "sequence": manifest.sequence,
        "expires": _date(manifest.expires),
        "signed_by": [signer.hex() for signer in release.signers],
        "next_key": manifest.next_key.hex() if manifest.next_key else None,
        "step_down": [node.hex() for node in manifest.downgrade],
        "images": {name: image.micropython for name, image in sorted(manifest.images.items())},
        "boards": {
            name: {
                "chip": part.chip,
                "micropython": list(part.micropython),
                "files": [
                    {"path": file.path, "size": file.size, "sha256": file.sha256.hex()} for file in release.files(name)
                ],
            }
            for name, part in sorted(manifest.boards.items())
        },
    }


def _print(release: Release) -> None:
    from rich.console import Console
    from rich.table import Table

    manifest = release.manifest
    click.echo(f"quaver {manifest.version}, sequence number {manifest.sequence}, until {_date(manifest.expires)}")
    click.echo(f"signed by key {' and '.join(signer.hex() for signer in release.signers)} (not checked)")
    if manifest.next_key:
        click.echo("nodes that confirm it take the second key as theirs")
    if manifest.downgrade:
        click.echo(f"may step down to it: {', '.join(node.hex() for node in manifest.downgrade)}")
    table = Table(pad_edge=False)
    for heading in ("board", "chip", "MicroPython", "files", "bytes"):
        table.add_column(heading, justify="right" if heading in ("files", "bytes") else "left")
    for name, part in sorted(manifest.boards.items()):
        files = release.files(name)
        size = sum(file.size for file in files)
        table.add_row(name, part.chip, ", ".join(part.micropython) or "any", str(len(files)), f"{size:,}")
    Console(markup=False).print(table)
    for name, image in sorted(manifest.images.items()):
        click.echo(f"{name}: with MicroPython {image.micropython} itself, where it was flashed with --updatable")
