"""`quaver analyze`: recordings through the device's own analysis, its features and verdicts on the screen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quaver.analyze import Settings, Verdict
    from quaver.recordings import Recording

_WHERE = {"unix": "unix:", "rp2040": "rp2040:", "pico_w": "rp2040:", "esp32_c3": "esp32_c3:"}


@click.command("analyze")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--board", type=click.Choice(sorted(_WHERE)), default="unix", show_default=True, help="Where the code runs."
)
@click.option("--rpm", type=click.FloatRange(1, 60000), help="The shaft's speed; else the file's, else looked for.")
@click.option(
    "--bearing",
    metavar="NAME|RATIOS|FILE",
    help='A name of the library ("6205"); BPFO,BPFI,BSF,FTF; or a .toml or .json with its geometry or ratios.',
)
@click.option("--baseline", metavar="FILE", help="A recording of the healthy machine, to learn from first.")
@click.option(
    "--learn", type=click.IntRange(2, 1000), default=10, show_default=True, help="Measurements to learn from."
)
@click.option("--band", metavar="LOW,HIGH", default="2000,5000", show_default=True, help="The envelope's band, Hz.")
@click.option("--group", type=click.IntRange(1, 2), help="The machine group of ISO 20816-3, for zones A to D.")
@click.option("--mounting", type=click.Choice(["rigid", "flexible"]), default="rigid", show_default=True)
@click.option("--channel", metavar="NAME", help="Which signal of a recording with several.")
@click.option("--rate", type=float, metavar="HZ", help="The sampling rate of a file that does not say it.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the last measurement's spectra, with what was found in them: .png, .svg or .pdf.",
)
@click.option("--json", "as_json", is_flag=True, help="One measurement a line.")
def command(
    files: tuple[str, ...],
    board: str,
    rpm: float | None,
    bearing: str | None,
    baseline: str | None,
    learn: int,
    band: str,
    group: int | None,
    mounting: str,
    channel: str | None,
    rate: float | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Run the device's own analysis over recordings and print features and verdicts.

    Each FILE (.npz, .mat, .csv, .wav or mfpt:NAME) is cut into measurements as a node takes them, one after the
    other. With --baseline each file is judged against that healthy one; without, against its own first measurements.
    """
    from quaver.analyze import Analysis, Settings, analyze, learned_from, prepare
    from quaver.picture import check_picture, draw_verdict

    if picture is not None:
        if len(files) > 1:
            raise click.UsageError("--picture draws one recording: give one FILE.")
        check_picture(picture)  # told now, not after the work
    if rpm is not None and not math.isfinite(rpm):
        raise click.UsageError(f"--rpm {rpm}: expected a number")
    low, high = _numbers(band, 2, "--band")
    known = None if bearing is None else _bearing(bearing)
    learned = None
    with _naming(bearing):
        if baseline is not None:
            healthy = _load(baseline, channel, rate)
            rate_hz, samples, blocks = prepare(healthy)
            settings = Settings(rpm or healthy.rpm, known, (low, high), min(learn, len(blocks)), group, mounting)
            with Analysis(settings, rate_hz, samples=samples, where=_WHERE[board]) as analysis:
                for verdict in analyze(healthy, analysis):
                    _show(healthy.name, verdict, as_json)
                learned = learned_from(healthy, analysis, settings.learn)
        for file in files:
            recording = _load(file, channel, rate)
            if baseline is None:  # else as the healthy one: only what was measured alike can be compared
                rate_hz, samples, _ = prepare(recording)
            settings = Settings(rpm or recording.rpm, known, (low, high), learn, group, mounting)
            with Analysis(settings, rate_hz, samples=samples, baseline=learned, where=_WHERE[board]) as analysis:
                last: Verdict | None = None
                for last in analyze(recording, analysis):
                    _show(recording.name, last, as_json)
                if last is not None and picture is not None:
                    draw_verdict(picture, recording.name, last, analysis.spectra())
            if last is not None and not as_json:
                _conclude(recording, settings, last)


def _load(file: str, channel: str | None, rate: float | None) -> Recording:
    from quaver.recordings import load, mfpt_path

    path = mfpt_path(file.removeprefix("mfpt:")) if file.startswith("mfpt:") else Path(file)
    return load(path, channel=channel, rate=rate)


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise click.UsageError(f"{option} {text}: expected {count} numbers with commas between them")
    return numbers


def _bearing(text: str) -> str | tuple[float, ...] | dict[str, Any]:
    from quaver.bearings import SUFFIXES, load_bearing

    if text.lower().endswith(SUFFIXES):
        return load_bearing(Path(text))
    return _numbers(text, 4, "--bearing") if "," in text else text


@contextmanager
def _naming(bearing: str | None) -> Iterator[None]:
    """Tell with what the device refuses of a bearing in which file that was."""
    from quaver.analyze import AnalysisError
    from quaver.bearings import SUFFIXES

    try:
        yield
    except AnalysisError as error:
        if bearing is not None and bearing.lower().endswith(SUFFIXES) and str(error).startswith("bearing"):
            raise AnalysisError(f"{bearing}: {error}") from error
        raise


def _show(name: str, verdict: Verdict, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"recording": name, **asdict(verdict)}))
        return
    f = verdict.features
    velocity = "   -   " if f["velocity_mm_s"] is None else f"{f['velocity_mm_s']:7.3f}"
    zone = f" {verdict.zone}" if verdict.zone else ""
    quality = [flag for flag in ("clipped", "stuck") if f[flag]]
    said = ", ".join([verdict.fault] if verdict.fault else sorted(verdict.causes))
    said += f"  quality: {', '.join(quality)}" if quality else ""
    click.echo(
        f"{name} {verdict.index:4}  rms {f['rms_g']:8.4f} g  peak {f['peak_g']:7.3f} g  kurtosis {f['kurtosis']:6.2f}"
        f"  {velocity} mm/s{zone}  envelope {f['envelope_g']:8.4f} g  {verdict.state:8}  {verdict.level:7}  {said}"
    )


def _conclude(recording: Recording, settings: Settings, verdict: Verdict) -> None:
    """What the last measurement says of its lines, and why no fault is named."""
    f = verdict.features
    speed = f"{f['shaft_hz'] * 60:.0f} 1/min, confidence {f['shaft_confidence']:.2f}" if f["shaft_hz"] else "not found"
    click.echo(f"{recording.name}: speed {speed}")
    for line in verdict.lines:
        heights = " ".join(f"{height:.1f}" for height in line["heights"])
        click.echo(
            f"  {line['name']:5} {line['hz']:7.2f} Hz  {line['g']:.4f} g  over the background, by harmonic: {heights}"
        )
    if verdict.fault:
        click.echo(f"  {verdict.fault}, {verdict.margin_db:.0f} dB before the next line")
    elif verdict.abstained and settings.bearing is not None:
        click.echo(f"  no fault named: {verdict.abstained}")
