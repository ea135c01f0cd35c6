"""`quaver label`: labels for nodes that were flashed here, with their id and code."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("label")
@click.argument("nodes", nargs=-1, metavar="[NODE]…")
@click.option(
    "--pdf", type=click.Path(dir_okay=False, path_type=Path), help="Write a sheet (A4, 3 by 8) to this new file."
)
@click.option("--png", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Write one picture per label to this folder.")  # fmt: skip
@click.option(
    "--keys",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="QUAVER_KEYS",
    show_envvar=True,
    metavar="FOLDER",
    help="The key store, which also holds the codes; by default in your data folder.",
)
def command(nodes: tuple[str, ...], pdf: Path | None, png: Path | None, folder: Path | None) -> None:
    """Make labels: a QR code that `quaver provision` accepts, and the id and code as text.

    NODE is an id, or its last digits; without it every node that was flashed here gets a label. Whoever reads a label
    can take over its node, so only you can read the files (mode 0600), and the command never prints a code.
    """
    from quaver.errors import SessionError
    from quaver.files.private import write_private
    from quaver.fleet.keys import default_folder
    from quaver.provision.identity import Codes
    from quaver.provision.labels import Label, picture, sheet

    if (pdf is None) == (png is None):
        raise click.UsageError("name the output: --pdf FILE or --png FOLDER.")
    codes = Codes(folder or default_folder())
    labels = [Label(node, code) for node, code in codes]
    if nodes:
        wanted = [node.lower().replace(":", "") for node in nodes]
        for text, given in zip(wanted, nodes, strict=True):
            count = sum(label.node_id.hex().endswith(text) for label in labels)
            if count != 1:
                if not count:
                    raise SessionError(f"{given}: no node with that id was flashed here; quaver flash creates its code")
                raise SessionError(
                    f"{given}: matches the ids of {count} nodes that were flashed here; give more digits"
                )
        labels = [label for label in labels if any(label.node_id.hex().endswith(text) for text in wanted)]
    if not labels:
        raise SessionError(f"{codes.path}: there is no code; quaver flash creates one for each node")
    if pdf is not None:
        write_private(pdf, sheet(labels), SessionError, fresh=True)
        click.echo(f"{pdf}: {len(labels)} label{'s' if len(labels) != 1 else ''}")
    elif png is not None:
        for label in labels:
            file = png / f"{label.node_id.hex()}.png"
            write_private(file, picture(label), SessionError, fresh=True)
            click.echo(str(file))
