"""`quaver sync`: updates the firmware on a board."""

from __future__ import annotations

from pathlib import Path

import click

from quaver.cli.port import attached, drivers_option, port_option


@click.command("sync")
@port_option
@drivers_option
def command(port: str | None, drivers: Path | None) -> None:
    """Update the firmware on a board that runs MicroPython.

    Only the files that differ are sent. The board keeps its old firmware until all of them have arrived and are
    verified, then it gets the new one as a whole, even if the power fails in between. Its configuration and its data
    stay. It restarts afterwards. It gets the public half of your release key, if there is one. An update over the air
    that is under way ends. Drivers of your own that it has stay, unless --drivers brings others.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from quaver.build import own_drivers
    from quaver.desk.sync import current_firmware, sync
    from quaver.release.signing import trusted

    release_key = trusted()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    screen = Console(stderr=True, markup=False)
    with (
        attached(port) as board,
        Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars,
    ):
        task = bars.add_task("comparing", total=None)
        outcome = sync(
            board,
            lambda name: current_firmware(name) | release_key | (own_drivers(drivers, name) if drivers else {}),
            lambda done, total: bars.update(task, description="writing", completed=done, total=total),
        )
    if not outcome.changed and not outcome.removed:
        click.echo(f"{outcome.board}: up to date, {outcome.files} files compared in {outcome.seconds:.1f} s")
        return
    for path in outcome.changed:
        click.echo(f"  written  {path}")
    for path in outcome.removed:
        click.echo(f"  removed  {path}")
    click.echo(
        f"{outcome.board}: {len(outcome.changed)} of {outcome.files} files written ({outcome.bytes} bytes), "
        f"{len(outcome.removed)} removed in {outcome.seconds:.1f} s; the board restarts"
    )
