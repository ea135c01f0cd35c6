"""`quaver emulate`: one node on an emulated board with a recording at its sensor; prints its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from quaver.cli.image import chosen, image_options
from quaver.cli.reading import FORMATS, Reading, load_recording, reading_options
from quaver_wire.fields import LIMITED

if TYPE_CHECKING:
    from quaver.recordings import Source

_MODELS = ("healthy", "outer", "inner", "ball")


@click.command("emulate")
@click.argument("board", metavar="BOARD")
@click.option("--recording", metavar="FILE", help=f"What the sensor measures: {FORMATS}.")
@click.option("--model", type=click.Choice(_MODELS), help="A modelled machine instead of a recording.")
@click.option(
    "--baseline", metavar="FILE", help="A recording of the healthy machine, from which the baseline is learned first."
)
@click.option(
    "--baseline-captures",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    metavar="N",
    help="Number of captures for the baseline.",
)
@reading_options("", "--recording")
@reading_options("baseline-", "--baseline")
@click.option("--captures", type=click.IntRange(1), metavar="N", help="End after N measurements; by default at Ctrl-C.")
@click.option(
    "--broker",
    "url",
    envvar="QUAVER_BROKER",
    metavar="URL",
    help="mqtt://[user:password@]host[:port]; by default an embedded broker.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per record.")
@click.option("--node", default="node-1", show_default=True, metavar="NAME", help="The node's name in its topics.")
@click.option(
    "--interval",
    type=click.FloatRange(0, 86400),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Interval between captures.",
)
@click.option(
    "--samples",
    type=click.IntRange(0, 32768),
    default=0,
    metavar="N",
    help="Samples of one capture; by default 1.23 s, 32,768.",
)
@click.option("--rpm", type=click.FloatRange(1, 60000), help="Shaft speed in 1/min; by default the node estimates it.")
@click.option("--bearing", metavar="NAME", help='A bearing in the library ("6205"), whose lines the node looks for.')
@image_options
@click.option("--real-time", is_flag=True, help="Run the node's clock no faster than real time.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="FEATURE=WARNING,ALARM",
    help="A limit on rms, peak, crest, kurtosis, velocity, envelope or temperature; repeatable.",
)
def command(
    board: str,
    recording: str | None,
    model: str | None,
    baseline: str | None,
    baseline_captures: int,
    captures: int | None,
    url: str | None,
    as_json: bool,
    node: str,
    interval: float,
    samples: int,
    rpm: float | None,
    bearing: str | None,
    place: str | None,
    sha256: str | None,
    real_time: bool,
    limits: tuple[str, ...],
    **options: Any,
) -> None:
    """Run a node on an emulated board with a recording at its sensor.

    BOARD is pico_w (the official MicroPython image in an RP2040 emulator) or unix, which is faster. Without
    --broker an embedded broker listens on a free port of this machine. The command prints the broker's URL, for
    `quaver monitor`, and the address of the board's console, for `mpremote connect`. The node learns its baseline
    from the captures of --baseline, or else from its first ten, and raises warnings and alarms when it is exceeded.
    """
    from quaver.board.image import fetch_image
    from quaver.broker.address import parse_broker_url
    from quaver.cli.ui import Display
    from quaver.plant.node import Emulation, Plan, TopicPrefix, board_of
    from quaver.recordings import Playlist
    from quaver_wire.bearings import LIBRARY

    name = board_of(board)
    if (recording is None) == (model is None):
        raise click.UsageError("What should the sensor measure? Give one of --recording FILE or --model FAULT.")
    reading, baseline_reading = Reading.of(options), Reading.of(options, "baseline_")
    for file, prefix, given, said in (
        ("--recording", "", recording, reading),
        ("--baseline", "baseline-", baseline, baseline_reading),
    ):
        if given is None and said != Reading():
            raise click.UsageError(
                f"--{prefix}channel, --{prefix}rate and similar options describe a {file} FILE: none is given."
            )
    topics = TopicPrefix(node=node)
    warned = _limits(limits)
    if bearing is not None and bearing.lower() not in LIBRARY:
        # The node would measure without it, and say so in an event.
        raise click.UsageError(f"--bearing {bearing}: not in the library: {', '.join(sorted(LIBRARY))}")
    source: Source = _model(model) if model else _source(recording or "", reading, "", rpm)
    if baseline is not None:
        healthy = _source(baseline, baseline_reading, "baseline-", rpm)
        source = Playlist([(healthy, baseline_captures), (source, None)])
    other = chosen(name, place, sha256)
    machine: dict[str, object] = {"learn": max(2, baseline_captures)} if baseline is not None else {}
    machine |= {key: value for key, value in (("rpm", rpm), ("bearing", bearing)) if value is not None}
    plan = Plan(
        name,
        source,
        prefix=topics,
        interval_s=interval,
        limits=warned,
        real_time=real_time,
        machine=machine,
        samples=samples,
        image=fetch_image(other) if other else None,
    )
    title = f"{name}: {recording or f'{model} model'}"
    broker = parse_broker_url(url) if url else None
    with (
        Display(as_json, title, total=captures) as display,
        Emulation(plan, broker, display.step, display.fetching) as emulation,
    ):
        display.headline(f"{title}: at {emulation.broker}; console: mpremote connect {emulation.board.address}")
        display.problems = emulation.monitor.problems
        display.step("measuring")
        for item in emulation.items(captures):
            display.take(item)
            display.advance(emulation.captures)


def _source(name: str, reading: Reading, prefix: str, rpm: float | None) -> Source:
    """The recording at the sensor; prints on stderr how it was read, and which axis the node measures."""
    from quaver.recordings import ChannelError, RecordingSource

    recording = load_recording(name, reading, prefix, rpm)
    try:
        source = RecordingSource(recording)
    except ChannelError as error:
        raise ChannelError(f"{error} (--{prefix}channel NAME)") from error
    several = len(recording.taken) > 1
    for taken in recording.taken:
        axis = (
            ", at the sensor's "
            + (f"{taken.axis}" if several else "z")
            + (", which the node measures" if not several or taken.axis == "z" else "")
        )
        click.echo(f"{name}: {taken}{axis}", err=True)
    return source


def _model(fault: str) -> Source:
    from quaver.recordings.sources import Machine

    return Machine(fault=None if fault == "healthy" else fault)


def _limits(given: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Limits by feature; what the firmware would refuse on the device is refused here, where a person sees it."""
    limits = {}
    for text in given:
        feature, _, pair = text.partition("=")
        try:
            warning, alarm = (float(value) for value in pair.split(","))
            if feature not in LIMITED or not 0 < warning <= alarm < 1e9:
                raise ValueError
        except ValueError:
            raise click.BadParameter(
                f"{text!r}: expected {'|'.join(LIMITED)}=WARNING,ALARM with 0 < WARNING <= ALARM",
                param_hint="--limit",
            ) from None
        limits[feature] = (warning, alarm)
    return limits
