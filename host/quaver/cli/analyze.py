"""`quaver analyze`: run the device's analysis on recordings and print features and verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.advice import advice_lines, advices, lang_option
from quaver.cli.reading import Reading, load_recording, reading_options

if TYPE_CHECKING:
    from quaver.analysis.device import Settings, Verdict
    from quaver.recordings import Recording

_WHERE = {"unix": "unix:", "rp2040": "rp2040:", "pico_w": "rp2040:", "esp32_c3": "esp32_c3:"}


@click.command("analyze")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--board", type=click.Choice(sorted(_WHERE)), default="unix", show_default=True, help="Where the code runs."
)
@click.option(
    "--rpm", type=click.FloatRange(1, 60000), help="Shaft speed in 1/min; by default the file's, else it is estimated."
)
@click.option(
    "--bearing",
    metavar="NAME|RATIOS|FILE",
    help='A name in the library ("6205"); BPFO,BPFI,BSF,FTF; or a .toml or .json file with geometry or ratios.',
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge as a node with this config.json does; options given beside it win.",
)
@click.option(
    "--baseline", metavar="FILE", help="A recording of the healthy machine, from which the baseline is learned."
)
@click.option(
    "--learn",
    type=click.IntRange(2, 1000),
    default=10,
    show_default=True,
    help="Number of measurements for the baseline.",
)
@click.option(
    "--band", metavar="LOW,HIGH", default="2000,5000", show_default=True, help="The band of the envelope, in Hz."
)
@click.option("--group", type=click.IntRange(1, 2), help="The machine group of ISO 20816-3, for zones A to D.")
@click.option("--mounting", type=click.Choice(["rigid", "flexible"]), default="rigid", show_default=True)
@reading_options()
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the last measurement's spectra, with the lines found in them: .png, .svg or .pdf.",
)
@click.option(
    "--waterfall",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the spectra of all measurements, time over frequency: .png, .svg or .pdf.",
)
@lang_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per measurement.")
def command(
    files: tuple[str, ...],
    board: str,
    rpm: float | None,
    bearing: str | None,
    config_file: Path | None,
    baseline: str | None,
    learn: int,
    band: str,
    group: int | None,
    mounting: str,
    picture: Path | None,
    waterfall: Path | None,
    lang: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run the device's analysis on recordings and print features and verdicts.

    Each FILE (.csv and other text, .npz, .npy, .mat, .h5, .wav, .tdms, .uff, or mfpt:NAME) is cut into measurements
    as a node takes them, one after the other; each axis of a file with several is analysed in turn. With --baseline
    each is compared with that healthy machine; without it, with its own first measurements.
    """
    from quaver.analysis.device import Analysis, Settings, analyze, learned_from, prepare
    from quaver.analysis.verdict_plot import check_picture, draw_verdict
    from quaver.analysis.waterfall import Row, draw_waterfall
    from quaver_wire.fields import LEVELS

    for option, place in (("--picture", picture), ("--waterfall", waterfall)):
        if place is not None:
            if len(files) > 1:
                raise click.UsageError(f"{option} draws one recording: give one FILE.")
            check_picture(place)  # told now, not after the work
    if rpm is not None and not math.isfinite(rpm):
        raise click.UsageError(f"--rpm {rpm}: expected a number")
    low, high = _numbers(band, 2, "--band")
    known = None if bearing is None else _bearing(bearing)
    node = {} if config_file is None else node_settings(config_file)
    machine = node.get("machine", {})
    rpm = machine.pop("rpm", None) or rpm
    known = machine.pop("bearing", None) or known
    learn = machine.pop("learn", learn)
    reading = Reading.of(options)
    with _naming(bearing):
        learned: dict[str, tuple[float, int, Any]] = {}
        if baseline is not None:
            for healthy in load_recording(baseline, reading, rpm=rpm).each():
                rate_hz, samples, blocks = prepare(healthy)
                wanted = min(learn, len(blocks))
                settings = Settings(
                    rpm or healthy.rpm, known, band=(low, high), learn=wanted, group=group, mounting=mounting, node=node
                )
                with Analysis(settings, rate_hz, samples=samples, where=_WHERE[board]) as analysis:
                    _say(healthy, as_json)
                    for verdict in analyze(healthy, analysis):
                        _show(healthy, verdict, as_json)
                    learned[_axis(healthy)] = rate_hz, samples, learned_from(healthy, analysis, settings.learn)
        for file in files:
            recordings = load_recording(file, reading, rpm=rpm).each()
            if (picture or waterfall) and len(recordings) > 1:
                option = "--picture" if picture else "--waterfall"
                raise click.UsageError(f"{option} draws one axis, and {file} has {len(recordings)}: give --channel.")
            for recording in recordings:
                # With a baseline as the healthy one: only what was measured alike can be compared.
                rate_hz, samples, taught = (
                    _as_learned(recording, learned) if learned else (*prepare(recording)[:2], None)
                )
                settings = Settings(
                    rpm or recording.rpm,
                    known,
                    band=(low, high),
                    learn=learn,
                    group=group,
                    mounting=mounting,
                    node=node,
                )
                with Analysis(settings, rate_hz, samples=samples, baseline=taught, where=_WHERE[board]) as analysis:
                    _say(recording, as_json)
                    last: Verdict | None = None
                    rows: list[Row] = []
                    for last in analyze(recording, analysis):
                        _show(recording, last, as_json)
                        if waterfall is not None:
                            at = last.index if recording.record_samples else (last.index + 0.5) * samples / rate_hz
                            rows.append(Row(at, LEVELS.index(last.level), analysis.spectra().levels))
                    if last is not None and waterfall is not None:
                        draw_waterfall(
                            waterfall,
                            f"{recording.name}: {len(rows)} measurements, the last: {last.level}",
                            rows,
                            "record" if recording.record_samples else "time (s)",
                        )
                    if last is not None and picture is not None:
                        draw_verdict(picture, recording.name, last, analysis.spectra())
                if last is not None and not as_json:
                    _conclude(recording, settings, last, lang)


_SENSORS_OWN = ("driver", "bus", "cs", "address", "range_g", "sensitivity_mv_g", "drdy_pin", "samples")
# option -> the settings of a node that it stands for
_SETTINGS = {
    "rpm": ("machine.rpm",),
    "bearing": ("machine.bearing",),
    "learn": ("machine.learn",),
    "group": ("machine.group",),
    "mounting": ("machine.mounting",),
    "band": ("vibration.band_low_hz", "vibration.band_high_hz"),
}


def node_settings(path: Path) -> dict[str, dict[str, Any]]:
    """What a node's configuration says of its analysis, without what an option on the command line replaces.

    What it says of the sensor is left out: the recording stands for it. So are classes: it is of one speed and load.
    Raises BuildError.
    """
    from click.core import ParameterSource

    from quaver.build.config import read_config

    config = read_config(path)
    context = click.get_current_context()
    sections = {name: dict(config.get(name) or {}) for name in ("machine", "vibration", "alarm", "limits")}
    replaced = [*(f"vibration.{key}" for key in _SENSORS_OWN), "machine.classes"]
    for option, settings in _SETTINGS.items():
        if context.get_parameter_source(option) == ParameterSource.COMMANDLINE:
            replaced += settings
    for setting in replaced:
        section, _, key = setting.partition(".")
        sections[section].pop(key, None)
    return sections


def _axis(recording: Recording) -> str:
    """The axis, or the name, of a recording's one signal."""
    return next((taken.axis or taken.column for taken in recording.taken), "")


def _as_learned(recording: Recording, learned: dict[str, tuple[float, int, Any]]) -> tuple[float, int, Any]:
    """The baseline of the same axis; if only one axis was learned and only one is compared, that one."""
    from quaver.recordings import ChannelError

    found = learned.get(_axis(recording))
    if found is None and len(learned) == 1 and not recording.several:
        found = next(iter(learned.values()))
    if found is None:
        raise ChannelError(
            f"{recording.name}: {_axis(recording)} has no baseline to compare with: the baseline has "
            f"{', '.join(learned)}: "
            "choose one (--channel NAME)"
        )
    return found


def _say(recording: Recording, as_json: bool) -> None:
    """Print how the file was read; with --json each line has it."""
    for taken in recording.taken if not as_json else ():
        click.echo(f"{recording.name}: {taken}")


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise click.UsageError(f"{option} {text}: expected {count} numbers separated by commas")
    return numbers


def _bearing(text: str) -> str | tuple[float, ...] | dict[str, Any]:
    from quaver.analysis.bearing_file import SUFFIXES, load_bearing

    if text.lower().endswith(SUFFIXES):
        return load_bearing(Path(text))
    return _numbers(text, 4, "--bearing") if "," in text else text


@contextmanager
def _naming(bearing: str | None) -> Iterator[None]:
    """Add the file's name to the device's refusal of a bearing."""
    from quaver.analysis.bearing_file import SUFFIXES
    from quaver.analysis.device import AnalysisError

    try:
        yield
    except AnalysisError as error:
        if bearing is not None and bearing.lower().endswith(SUFFIXES) and str(error).startswith("bearing"):
            raise AnalysisError(f"{bearing}: {error}") from error
        raise


def _show(recording: Recording, verdict: Verdict, as_json: bool) -> None:
    name = recording.title
    if as_json:
        taken = asdict(recording.taken[0]) if recording.taken else None
        click.echo(json.dumps({"recording": recording.name, "taken": taken, **asdict(verdict)}))
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


def _conclude(recording: Recording, settings: Settings, verdict: Verdict, lang: str | None) -> None:
    """Print the lines of the last measurement, why no fault is named, and what the verdict means."""
    from quaver.knowledge import keys_of

    f = verdict.features
    speed = f"{f['shaft_hz'] * 60:.0f} 1/min, confidence {f['shaft_confidence']:.2f}" if f["shaft_hz"] else "not found"
    click.echo(f"{recording.title}: speed {speed}")
    for line in verdict.lines:
        heights = " ".join(f"{height:.1f}" for height in line["heights"])
        click.echo(
            f"  {line['name']:5} {line['hz']:7.2f} Hz  {line['g']:.4f} g  over the background, by harmonic: {heights}"
        )
    if verdict.fault:
        click.echo(f"  {verdict.fault}, {verdict.margin_db:.0f} dB before the next line")
    elif verdict.abstained and settings.bearing is not None:
        click.echo(f"  no fault named: {verdict.abstained}")
    keys = keys_of(
        fault=verdict.fault,
        causes=[cause for cause, level in verdict.causes.items() if level],
        zone=verdict.zone,
        quality=[flag for flag in ("clipped", "stuck") if f[flag]],
        machine=verdict.state,
        abstained=verdict.abstained if verdict.level != "ok" else None,
    )
    for advice in advices(keys, lang):
        click.echo("\n".join(advice_lines(advice)))
