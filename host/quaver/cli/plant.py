"""`quaver plant`: a whole plant of emulated nodes in one virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from quaver.plant.judge import Outcome
    from quaver.plant.pace import Pace
    from quaver.plant.world import Progress, World

_STORE, _FILE = "records.sqlite", "plant.toml"


def _speed(_ctx: click.Context, _parameter: click.Parameter, text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 1 / 64 <= speed <= 1e6:
        raise click.UsageError(
            f"--speed {text}: expected max, or seconds of the plant's time in a second, as in 1 or 10"
        )
    return speed


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
    click.echo(f"{path}: a plant of 5 nodes; run it with: quaver plant run {path}")


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
@click.option(
    "--speed",
    default="max",
    show_default=True,
    metavar="SPEED",
    callback=_speed,
    help="Seconds of the plant's time in a second: 1 is real time, 0.5 is slower; max: as many as it can.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def run(
    path: Path, folder: Path | None, seed: int | None, workers: int | None, speed: float | None, as_json: bool
) -> int:
    """Run PLANT (plant.toml) to its end; the same file and seed give the same records.

    Writes report.html, report.json and report.xml (JUnit). Exits with 1 if an expectation of the file is not met.

    At a terminal, space pauses it and goes on, s does one step (the plant's `exchange`), + and - change the speed.
    """
    from quaver.plant.judge import judge
    from quaver.plant.spec import load_plant
    from quaver.plant.world import World

    plant = load_plant(path)
    if seed is not None:
        plant = plant.model_copy(update={"seed": seed})
    folder = folder or path.with_suffix("")
    with World(plant, folder, workers) as world:
        (folder / _FILE).write_text(plant.as_toml())  # with the seed that was given
        _live(world, speed, as_json)
        outcome = judge(plant, world.store)
    return _tell(outcome, folder, as_json)


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
    return _tell(outcome, folder, as_json)


@command.command("search", short_help="Search for faults that break what never may.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), metavar="PLANT")
@click.option("--tries", type=click.IntRange(1), default=20, show_default=True, help="Schedules of faults to run.")
@click.option("--faults", type=click.IntRange(1, 100), default=8, show_default=True, help="At most in one schedule.")
@click.option("--seed", type=click.IntRange(0), help="In place of the file's.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Runs at a time; by default one for each processor.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write the shortest plant that breaks; by default PLANT with -broken before its suffix.",
)
def search(path: Path, tries: int, faults: int, seed: int | None, jobs: int | None, output: Path | None) -> int:
    """Draw schedules of faults until one breaks what never may, and write the shortest that still does as a plant.

    The faults of PLANT are left out. What never may break: every missing record is explained, every machine that
    fails raises an alarm, no healthy one does, no node restarts by itself. Exits with 1 when something broke.
    """
    import os

    from quaver.errors import PlantError
    from quaver.plant import search as searching
    from quaver.plant.spec import load_plant

    plant = load_plant(path)
    if seed is not None:
        plant = plant.model_copy(update={"seed": seed})
    output = output or path.with_stem(f"{path.stem}-broken")
    if output.exists():
        raise PlantError(f"{output}: is there already; give another name with --output, or remove it")
    for found in searching.search(plant, tries, faults, jobs or os.cpu_count() or 1):
        try:
            output.write_text(found.plant.as_toml())
        except OSError as error:
            raise PlantError(f"{output}: can't write: {error.strerror}") from error
        click.echo(f"try {found.number + 1}, {found.tries} runs: {len(found.plant.fault)} faults break it")
        for line in found.broken:
            click.echo(f"broken: {line}")
        click.echo(f"run it again with: quaver plant run {output}")
        return 1
    click.echo(f"{tries} schedules of up to {faults} faults, seed {plant.seed}: nothing broke")
    return 0


def _live(world: World, speed: float | None, as_json: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from quaver.plant.pace import Keyboard, Pace

    console = Console(stderr=True)
    with Keyboard() as keyboard:
        pace = Pace(speed, keyboard.key)
        if as_json or not console.is_terminal:
            world.run(lambda progress: pace.keep(progress.time_s))
            return
        with Live(console=console, refresh_per_second=4, transient=True) as live:

            def border(progress: Progress) -> None:
                def shown() -> None:
                    live.update(_shown(world, progress, pace, console.height, keys=keyboard.there))

                shown()
                pace.keep(progress.time_s, shown)

            world.run(border)


_LEVELS = (("ok", "green"), ("warning", "yellow"), ("alarm", "bold white on red"))


def _shown(world: World, progress: Progress, pace: Pace, height: int, keys: bool) -> RenderableType:
    """A table of the nodes, those first that have something to tell, between a line of progress and the last events."""
    from rich import box
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from quaver.plant.pace import KEYS
    from quaver.plant.world import clock

    plant, now = world.plant, progress.time_s
    head = Text(f"{plant.name}: {clock(now)} of {clock(plant.duration)}, {pace.words(now)}, {progress.records} records")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    for heading, share in (("node", 4), ("machine", 3), ("level", None), ("named", 4), ("now", 3)):
        table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=share)  # who shares is cut short, no number
    power = any(view.drawn_ma is not None for view in progress.nodes.values())
    for heading in ("boots", "records", "heard", *(("mA",) if power else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    order = sorted(
        progress.nodes.items(), key=lambda item: (-item[1].level, item[1].until_s < now, not item[1].named, item[0])
    )
    events = 4
    rows = max(3, height - events - 8)
    for name, view in order[:rows]:
        level, style = _LEVELS[view.level]
        heard = "never" if view.seen_s is None else f"{now - view.seen_s:.0f} s"
        table.add_row(
            name,
            view.place.rpartition("/")[2],
            Text(level, style=style),
            view.named,
            view.injected if view.until_s >= now else "",
            str(view.boots),
            str(view.records),
            heard,
            *(("-" if view.drawn_ma is None else f"{view.drawn_ma:.2f}",) if power else ()),
        )
    more = Text(f"and {len(order) - rows} more" if len(order) > rows else "")
    last = Text("\n".join(list(progress.events)[-events:]), style="dim")
    help_line = Text(KEYS if keys else "", style="dim", no_wrap=True, overflow="ellipsis")
    return Group(head, ProgressBar(plant.duration, now), table, more, last, help_line)


def _tell(outcome: Outcome, folder: Path, as_json: bool) -> int:
    from quaver.plant.report import write

    page = write(outcome, folder)
    if as_json:
        click.echo(json.dumps(outcome.as_json(), default=str))
        return 1 if outcome.failed else 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from quaver.plant.world import clock

    console = Console(markup=False)
    if outcome.detections:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("machine", overflow="fold")
        for heading in ("fault", "wears", "fails", "alarm", "after", "named"):
            table.add_column(heading, justify="left" if heading in ("fault", "named") else "right", no_wrap=True)
        for one in outcome.detections:
            after = "-" if one.delay is None else clock(one.delay)
            alarm = "none" if one.alarmed is None else clock(one.alarmed)
            table.add_row(one.place, one.fault, clock(one.begins), clock(one.fails), alarm, after, one.named or "-")
        console.print(table)
    plant = outcome.plant
    unexplained = sum(account.unexplained for account in outcome.accounts)
    click.echo(
        f"{plant.name}, seed {plant.seed}: {clock(plant.duration)}, {len(outcome.accounts)} nodes, "
        f"{outcome.records} records, {unexplained} unexplained, {len(outcome.false_alarms)} false alarms, "
        f"{len(outcome.injected)} faults injected"
    )
    for said in outcome.false_alarms:
        click.echo(f"false alarm: {said.node} at {clock(said.at)}, {said.subject}")
    for line in outcome.failed:
        click.echo(f"not as expected: {line}")
    click.echo(f"report in {page}")
    return 1 if outcome.failed else 0
