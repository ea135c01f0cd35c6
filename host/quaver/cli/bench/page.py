"""`quaver bench page`: how quick the page is."""

from __future__ import annotations

from pathlib import Path

import click

from quaver.cli.bench import show


@click.command("page")
@click.option("--browsers", default=200, show_default=True, type=click.IntRange(1, 900), help="Live browsers.")
@click.option(
    "--rate", default=100, show_default=True, type=click.IntRange(1, 2000), help="Records a second, for each of them."
)
@click.option(
    "--fuxa",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Weigh the page of FUXA too: its package, as `npm pack @frangoteam/fuxa` fetches it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def command(browsers: int, rate: int, fuxa: Path | None, as_json: bool) -> None:
    """Print how quick the page is: a year of a node, 1,000 nodes, 200 live browsers, an alarm's way.

    quaver serve has one core of this machine; what asks it runs on the others. It needs a Mosquitto on this machine.
    With a Chromium here, what a person waits for is measured on its screen too.
    """
    from quaver.bench.fuxa import weigh
    from quaver.bench.page import run_page
    from quaver.bench.page_browser import why_not

    def step(said: str) -> None:
        if not as_json:
            click.echo(f"{said} ...", err=True)

    beside = [weigh(fuxa)] if fuxa else []
    missing = why_not()
    show("the page", run_page(browsers, rate, step, chromium=not missing) + beside, as_json)
    if missing:
        click.echo(f"quaver: nothing was measured on a screen: {missing}", err=True)
