"""`quaver demo`: the main job from end to end, with nothing but the package installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.cli.ui import Display
    from quaver.messages.record import Record
    from quaver.plant.node import Emulation
    from quaver.recordings import Source

# The same rig, bearing and load (270 lbf), before and after.
_HEALTHY = "mfpt:baseline_1"
_FAULTY = "mfpt:OuterRaceFault_3"
_HEALTHY_CAPTURES = 3
_AWAITED_CAPTURES = _HEALTHY_CAPTURES + 2
_MOST_CAPTURES = 12  # an alarm takes two captures of a fault; by then it will not come
# NICE bearing of the MFPT rig: 8 rollers of 0.235 in on a pitch circle of 1.245 in.
_ROLLERS, _ROLLER_MM, _PITCH_MM = 8, 5.969, 31.623
_SHAFT_HZ = 25.0
_BEARING = "nice"  # as firmware/build/bearings.py calls it
_SAMPLES = 32768  # 1.2 s: the lines of the bearing lie far enough apart to name a race
_PICTURED_S = 3.0


@click.command("demo")
@click.option(
    "--board", default="pico_w", show_default=True, metavar="BOARD", help="pico_w, esp32_c3, or unix, the fastest."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="quaver-demo.png",
    show_default=True,
    metavar="FILE",
    help="Where to save the spectra: .png, .svg or .pdf.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per record, and the summary on stderr.")
def command(board: str, output: Path, as_json: bool) -> None:
    """Show the main job: a bearing fails on an emulated board, an alarm reaches the broker.

    The emulated sensor plays an MFPT baseline recording first, then one of an outer-race fault. The real firmware
    measures both through its real driver, and sends the alarm over MQTT.
    """
    import time

    from quaver.analysis.verdict_plot import check_picture
    from quaver.cli.reading import load_recording
    from quaver.cli.ui import Display
    from quaver.knowledge.sentences import event_details
    from quaver.plant.node import Emulation, Plan, TopicPrefix, board_of
    from quaver.recordings import Playlist, RecordingSource

    started = time.monotonic()
    name = board_of(board)
    check_picture(output)  # told now, not after a minute's work
    healthy, faulty = (RecordingSource(load_recording(each)) for each in (_HEALTHY, _FAULTY))
    source = Playlist([(healthy, _HEALTHY_CAPTURES), (faulty, None)])
    title = f"{name}: {_HEALTHY} for {_HEALTHY_CAPTURES} captures, then {_FAULTY}"
    with Display(as_json, title, total=_AWAITED_CAPTURES) as display:
        machine = {"rpm": 60 * _SHAFT_HZ, "bearing": _BEARING, "learn": _HEALTHY_CAPTURES}
        plan = Plan(name, source, TopicPrefix(asset="bearing-rig", node=name), machine=machine, samples=_SAMPLES)
        emulation = Emulation(plan, step=display.step, progress=display.fetching)
        with emulation:
            display.problems = emulation.monitor.problems
            alarm = _alarm(emulation, display)
            seconds = time.monotonic() - started
        display.step("drawing the spectra")
        picture = _picture(output, healthy, faulty)
    click.echo(
        f"alarm after {seconds:.1f} s on {name}: {event_details(alarm.values)}; "
        f"none in {_HEALTHY_CAPTURES} healthy captures before\nspectra in {picture}",
        err=as_json,
    )


def _alarm(emulation: Emulation, display: Display) -> Record:
    """Show records until the alarm comes and the measurement that raised it; returns the alarm's event.

    Raises BoardError when it is wrong or never comes.
    """
    from quaver.errors import BoardError

    alarm: Record | None = None
    for item in emulation.items(_MOST_CAPTURES):
        display.take(item)
        display.advance(min(emulation.captures, _AWAITED_CAPTURES))
        if emulation.captures:
            display.step("healthy bearing" if emulation.captures < _HEALTHY_CAPTURES else "outer-race fault")
        # An event overtakes the telemetry of its capture, and even of the one before.
        alarm = alarm or emulation.alarm(item)
        if alarm is None or not emulation.measured(item) or item.values.get("level") != "alarm":
            continue
        if emulation.captures <= _HEALTHY_CAPTURES:
            raise BoardError(f"demo: an alarm in capture {emulation.captures}, of the healthy bearing; --json shows it")
        display.advance(_AWAITED_CAPTURES)
        return alarm
    raise BoardError(f"demo: no alarm in {_MOST_CAPTURES} captures; --json shows what was measured")


def _picture(path: Path, healthy: Source, faulty: Source) -> Path:
    """Both signals at the rate of the node's sensor, on its vertical axis, before it clips and quantises them."""
    from quaver.analysis.spectra import Line, draw
    from quaver.emulator.sensors.iis3dwb import ODR_HZ
    from quaver.recordings.sources import Bearing

    bearing = Bearing(_ROLLERS, _ROLLER_MM, _PITCH_MM)
    count = int(_PICTURED_S * ODR_HZ)
    signals = [source.samples(0, ODR_HZ, 0, count)[:, 2] for source in (healthy, faulty)]
    lines = [Line(f"{k} x BPFO" if k > 1 else "BPFO", k * bearing.bpfo * _SHAFT_HZ) for k in range(1, 6)]
    titles = (f"healthy ({_HEALTHY})", f"outer-race fault ({_FAULTY})")
    return draw(path, signals[0], signals[1], ODR_HZ, lines=lines, titles=titles)
