"""`quaver benchmark`: the device's code on recordings of real machines, blind, and the page of its hits and misses."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click


@click.group("benchmark")
def command() -> None:
    """Judge recordings of real machines with the device's code, blind, and count hits and misses."""


@command.command("run", short_help="Judge the recordings, without knowing what is wrong with them.")
@click.argument("names", metavar="[GROUP]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("verdicts.json"),
    show_default=True,
    help="Where the verdicts go.",
)
def run(names: tuple[str, ...], output: Path) -> None:
    """Judge the recordings of each GROUP, or of all, and write what the device says; nothing is known of their truth.

    Groups: cwru-drive-12k, cwru-fan-12k, cwru-drive-48k, mfpt, pronostia. A recording that was not fetched (`quaver
    recordings fetch`) is written down as not measured.
    """
    from quaver import __version__
    from quaver.benchmark import groups, run_group

    known = {group.name: group for group in groups()}
    for name in names:
        if name not in known:
            raise click.UsageError(f"{name}: is not a group: expected {', '.join(known)}")
    _check(output)  # told now, not after the work
    taken: dict[str, Any] = {}
    for name in names or known:
        began = time.monotonic()
        results = run_group(known[name])
        measured = [result for result in results if not result.missing]
        click.echo(
            f"{name}: {len(measured)} of {len(results)} recordings measured, "
            f"{sum(result.measurements for result in measured)} measurements, {time.monotonic() - began:.0f} s"
        )
        taken[name] = [asdict(result) for result in results]
    _write(output, json.dumps({"quaver": __version__, "groups": taken}, indent=1) + "\n")
    click.echo(f"{output}: written; quaver benchmark join {output} holds it against the truth")


@command.command("join", short_help="Hold verdicts against the truth, and print or write the page.")
@click.argument("verdicts", type=click.Path(path_type=Path), metavar="VERDICTS")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the page there; without it the tables are printed.",
)
def join(verdicts: Path, output: Path | None) -> None:
    """Hold the VERDICTS of `quaver benchmark run` against the truth: hits, abstentions, wrong names and misses."""
    from quaver.benchmark import groups, score, truths
    from quaver.benchmark.page import page, table

    if output is not None:
        _check(output)
    said = _read(verdicts)
    known = {group.name: group for group in groups()}
    labels = {name: truths(name) for name in said}
    results = [(known[name], results) for name, results in said.items()]
    if output is not None:
        _write(output, page(results, labels))
        click.echo(f"{output}: written")
        return
    for group, own in results:
        click.echo(f"{group.title}\n\n{table(score(own, labels[group.name]))}")


def _read(path: Path) -> dict[str, Any]:
    from quaver.benchmark import Result, groups
    from quaver.errors import RecordingError

    try:
        taken = json.loads(path.read_text())["groups"]
        said = {name: [Result(**result) for result in results] for name, results in taken.items()}
        known = {group.name: set(group.records) for group in groups()}
        if any({result.name for result in results} != known[name] for name, results in said.items()):
            raise ValueError
    except OSError as error:
        raise RecordingError(f"{path}: can't be read ({error.strerror}): give the file of a run") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path}: holds no verdicts of this version's groups: run the benchmark again") from error
    return said


def _check(path: Path) -> None:
    from quaver.errors import RecordingError

    if not path.absolute().parent.is_dir():
        raise RecordingError(f"{path}: can't be written: {path.parent} is not a folder; choose another place")


def _write(path: Path, text: str) -> None:
    from quaver.errors import RecordingError
    from quaver.files.pinned import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise RecordingError(f"{path}: can't be written ({error.strerror}): choose another place") from error
