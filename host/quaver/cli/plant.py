"""`quaver plant`: a whole plant of emulated nodes in one virtual time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from quaver.plant.judge import Outcome
    from quaver.plant.world import Progress, World

_STORE, _FILE = "records.sqlite", "plant.toml"


@click.group("plant")
def command() -> None:
    """Run a plant of emulated nodes in one virtual time, and judge what they said of it."""


@command.command("new", short_help="Write an example of a plant.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def new(path: Path) -> None:
    """Write an example of a plant to FILE, to start from."""
    from quaver.errors import PlantError
    from quaver.plant.spec import EXAMPLE

    try:
        with path.open("x") as file:
            file.write(EXAMPLE.read_text())
    except FileExistsError as error:
        raise PlantError(f"{path}: is there already; give another name, or remove it") from error
    except OSError as error:
        raise PlantError(f"{path}: can't write: {error.strerror}") from error
    click.echo(f"{path}: a plant of 4 nodes; run it with: quaver plant run {path}")


@command.command("run", short_help="Run a plant to its end.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), metavar="PLANT")
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where records and report go; by default a folder beside PLANT, named after it.",
)
@click.option("--seed", type=click.IntRange(0), help="In place of the file's.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default one for each processor.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def run(path: Path, folder: Path | None, seed: int | None, workers: int | None, as_json: bool) -> int:
    """Run PLANT (plant.toml) to its end; the same file and seed give the same records.

    Exits with 1 if an expectation of the file is not met.
    """
    from quaver.plant.judge import judge
    from quaver.plant.spec import load_plant
    from quaver.plant.world import World

    plant = load_plant(path)
    if seed is not None:
        plant = plant.model_copy(update={"seed": seed})
    folder = folder or path.with_suffix("")
    with World(plant, folder, workers) as world:
        shutil.copyfile(path, folder / _FILE)
        _live(world, as_json)
        outcome = judge(plant, world.store)
    return _tell(outcome, as_json)


@command.command("report", short_help="Tell again how a run went.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def report(folder: Path, as_json: bool) -> int:
    """Tell again how the run went whose records are in FOLDER."""
    from quaver.plant.judge import judge
    from quaver.plant.spec import load_plant
    from quaver.store.store import Store

    plant = load_plant(folder / _FILE)
    with Store(folder / _STORE, write=False) as store:
        outcome = judge(plant, store)
    return _tell(outcome, as_json)


def _live(world: World, as_json: bool) -> None:
    import time

    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    began = time.monotonic()
    if as_json or not console.is_terminal:
        world.run()
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        world.run(lambda progress: live.update(_shown(world, progress, time.monotonic() - began), refresh=False))


def _shown(world: World, progress: Progress, took_s: float) -> RenderableType:
    from rich.text import Text

    plant = world.plant
    share = progress.time_s / plant.duration
    width = 30
    bar = "#" * round(share * width)
    pace = progress.time_s / took_s if took_s else 0.0
    return Text(
        f"{plant.name}: {_time(progress.time_s)} of {_time(plant.duration)} [{bar:<{width}}] {pace:.0f} s a second, "
        f"{progress.records} records"
    )


def _tell(outcome: Outcome, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(outcome.as_json(), default=str))
        return 1 if outcome.failed else 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False)
    if outcome.detections:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("machine", "fault", "wear begins", "fails", "alarm", "after", "named"):
            table.add_column(heading, justify="left" if heading in ("machine", "fault", "named") else "right")
        for one in outcome.detections:
            after = "-" if one.delay is None else _time(one.delay)
            alarm = "none" if one.alarmed is None else _time(one.alarmed)
            table.add_row(one.place, one.fault, _time(one.begins), _time(one.fails), alarm, after, one.named or "-")
        console.print(table)
    plant = outcome.plant
    unexplained = sum(account.unexplained for account in outcome.accounts)
    click.echo(
        f"{plant.name}, seed {plant.seed}: {_time(plant.duration)}, {len(outcome.accounts)} nodes, "
        f"{outcome.records} records, {unexplained} unexplained, {len(outcome.false_alarms)} false alarms, "
        f"{len(outcome.injected)} faults injected"
    )
    for said in outcome.false_alarms:
        click.echo(f"false alarm: {said.node} at {_time(said.at)}, {said.subject}")
    for line in outcome.failed:
        click.echo(f"not as expected: {line}")
    return 1 if outcome.failed else 0


def _time(seconds: float) -> str:
    """5025.0 as "1:23:45", with days before."""
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    text = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text
