"""How records and nodes look on a terminal: the live table, the one-line forms, the progress bars."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from quaver.cli.advice import advice_lines, advices, told
from quaver.fleet.state import Fleet, NodeState
from quaver.knowledge.sentences import event_details, event_head, evidence
from quaver.messages.record import Record

if TYPE_CHECKING:
    from quaver.knowledge import Advice
    from quaver.messages.monitor import Item, Link, Notice, Problem

_STYLES = {
    "ok": "green",
    "warning": "yellow",
    "alarm": "bold white on red",
    "offline": "red",
    "online": "green",
    "via gateway": "green",
}


def styled(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, ""))


def _number(values: Mapping[str, Any], name: str, form: str) -> str:
    return format(values[name], form) if name in values else "-"


def _peak(values: Mapping[str, Any]) -> str:
    peaks = values.get("peaks") or []
    if not peaks:
        return "-"
    frequency, _ = max(peaks, key=lambda peak: float(peak[1]))
    return f"{frequency:.0f} Hz"


# heading, whether a narrow terminal shows it; numbers stand right, words left.
_WORDS = (("node", True), ("state", True), ("level", True))
_NUMBERS = (
    ("n", True),
    ("rms g", True),
    ("peak g", True),
    ("crest", True),
    ("kurt.", True),
    ("top peak", False),
    ("°C", False),
    ("W", False),
    ("seen", True),
)
_EVENTS_BESIDE = 3
_WIDE = 120  # columns of a terminal that shows everything


def fleet_table(
    fleet: Fleet, now: float | None = None, width: int = _WIDE, events: int | None = None
) -> RenderableType:
    """All nodes with their last features, and below them the last events, all that are kept or so many.

    width: the terminal's columns.
    """
    now = time.time() if now is None else now
    columns = (*_WORDS, *_NUMBERS, ("quality", False))
    shown = [wide or width >= _WIDE for _, wide in columns]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for (heading, _), show in zip(columns, shown, strict=True):
        if show:
            word = (heading, True) in _WORDS or heading == "quality"
            fold = heading in ("node", "quality")
            table.add_column(
                heading,
                justify="left" if word else "right",
                no_wrap=not fold,
                overflow="fold",
                min_width=12 if heading == "node" else None,
            )
    parts: list[RenderableType] = [table]
    for prefix in sorted(fleet.nodes):
        cells = _row(fleet.nodes[prefix], now)
        table.add_row(*(cell for cell, show in zip(cells, shown, strict=True) if show))
        if not shown[-1] and cells[-1]:
            parts.append(Text(f"{prefix}: quality {cells[-1]}", style="yellow"))
    for prefix, node in sorted(fleet.nodes.items()):
        if "nodes" in node.telemetry:
            parts.append(Text(_clean(f"{prefix}: {_gateway(node.telemetry)}")))
        if own := _own(node.telemetry):  # which have no column
            parts.append(Text(_clean(f"{prefix}: {', '.join(own)}")))
    if not fleet.nodes:
        parts.append(Text("no node has published yet", style="dim"))
    shown_events = list(fleet.events)[-events:] if events else fleet.events
    parts.extend(event_text(record) for record in shown_events)
    return Group(*parts)


def _row(node: NodeState, now: float) -> list[RenderableType]:
    values = node.telemetry
    blind = any(name.endswith("_failed") or name == "stuck" for name in values.get("quality", []))
    energy = values.get("energy", {})
    return [
        node.prefix,
        styled(node.state),
        # What a sensor that failed would have said is not known to be well.
        (node.level if blind and node.level == "ok" else styled(node.level)) if values or node.raised else "-",
        str(node.captures),
        _number(values, "rms_g", ".3f"),
        _number(values, "peak_g", ".2f"),
        _number(values, "crest", ".1f"),
        _number(values, "kurtosis", ".1f"),
        _peak(values),
        _number(values, "temperature_c", ".1f"),
        _number(energy, "power_w", ".0f"),
        f"{max(now - node.last_seen, 0):.0f} s",
        ", ".join(values.get("quality", [])),
    ]


def event_words(record: Record) -> str:
    """An event in one line, e.g. "ALARM site/…/node-1: kurtosis 9.31, limit 4.5"."""
    more = "".join(f"; {words}" for words in evidence(record.values))
    head = _clean(f"{event_head(record.values)} {record.node}")
    return f"{head}: {_clean(event_details(record.values))}{_clean(more)}"


def event_text(record: Record) -> Text:
    style = _STYLES.get(str(record.values.get("event_level", "")), "") if record.values.get("code") == "level" else ""
    stamp = time.strftime("%H:%M:%S", time.localtime(record.received))
    return Text.assemble((f"{stamp} ", "dim"), (event_words(record), style))


def record_line(record: Record) -> str:
    """One record as one plain line, for a terminal that can't redraw."""
    values = record.values
    if record.kind == "event":
        return event_words(record)
    if record.kind == "status":
        words = [str(values.get("state", "?")), *(str(values[k]) for k in ("board", "firmware") if k in values)]
        return _clean(f"{record.node}: {' '.join(words)}")
    if "nodes" in values:
        return _clean(f"{record.node}: {_gateway(values)}")
    if record.kind == "spectrum":
        return _clean(
            f"{record.node}: {values.get('level', '-')}, a spectrum up to {values.get('spectrum_hz', 0):,.0f} Hz"
        )
    parts = [str(values.get("level", "-")), _vibration(values), *_verdict(values)]
    parts.append(f"{values['temperature_c']:.1f} °C" if "temperature_c" in values else "no temperature")
    if "humidity_pct" in values:
        parts.append(f"{values['humidity_pct']:.0f} % RH")
    parts += _own(values)
    if values.get("quality"):
        parts.append(f"quality: {', '.join(values['quality'])}")
    return _clean(f"{record.node}: {', '.join(parts)}")


def _own(values: Mapping[str, Any]) -> list[str]:
    """What few nodes measure, in words: the phases of a meter, a motor's current, and what a machine names itself."""
    phases = values.get("phases", {})
    parts = [
        f"L{phase} {_number(phases, f'l{phase}_voltage_v', '.1f')} V {_number(phases, f'l{phase}_current_a', '.2f')} A"
        f" {_number(phases, f'l{phase}_power_w', '.0f')} W"
        for phase in (1, 2, 3)
        if phases
    ]
    if "current_a" in values:
        parts.append(f"{values['current_a']:.2f} A, {_line(values)}")
    return parts + [f"{name} {own['value']:.4g} {own['unit']}" for name, own in values.get("quantities", {}).items()]


def _line(values: Mapping[str, Any]) -> str:
    if "line_hz" not in values:
        return "no line in it"
    sides = values.get("sidebands", {})
    if "level_db" in sides and "offset_hz" in sides:
        beside = f"sidebands ±{sides['offset_hz']:.2f} Hz at {sides['level_db']:.1f} dB"
    else:
        beside = f"no sidebands above {_number(sides, 'noise_db', '.0f')} dB"
    return f"{values['line_hz']:.2f} Hz, {beside}"


def _vibration(values: Mapping[str, Any]) -> str:
    if not values.keys() & {"rms_g", "peak_g", "crest", "kurtosis", "peaks"}:
        return "no vibration"
    return (
        f"rms {_number(values, 'rms_g', '.3f')} g, peak {_number(values, 'peak_g', '.2f')} g, "
        f"crest {_number(values, 'crest', '.1f')}, kurtosis {_number(values, 'kurtosis', '.1f')}, "
        f"top peak {_peak(values)}"
    )


def _gateway(values: Mapping[str, Any]) -> str:
    """A gateway's health: which nodes it hears, when it last connected to them, what waits for delivery."""
    parts = [f"gateway, {values.get('nodes_heard', 0):.0f} of {values['nodes']:.0f} nodes heard"]
    ages = [age for age in values.get("visit_ages_s", []) if age is not None]
    never = len(values.get("visit_ages_s", [])) - len(ages)
    if ages:
        span = f"{min(ages):.0f} to {max(ages):.0f}" if len(ages) > 1 else f"{ages[0]:.0f}"
        parts.append(f"connected {span} s ago{f', {never} never' if never else ''}")
    parts.append(f"{values.get('backlog', 0):.0f} records and {values.get('commands_waiting', 0):.0f} commands wait")
    if "heap_free" in values:
        parts.append(f"heap {values['heap_free'] / 1000:.0f} kB free")
    return "; ".join(parts)


def _verdict(values: Mapping[str, Any]) -> list[str]:
    """The node's verdict, as far as the record has one."""
    words = []
    if "velocity_mm_s" in values:
        zone = f", zone {values['zone']}" if "zone" in values else ""
        words.append(f"velocity {values['velocity_mm_s']:.1f} mm/s{zone}")
    if values.get("machine") in ("stopped", "learning"):
        words.append(str(values["machine"]))
    if "class" in values:
        words.append(f"class {values['class']:.0f}")
    elif "class_learned" in values and "abstained" in values:
        words.append(str(values["abstained"]))
    if "fault" in values:
        words.append(f"fault: {values['fault']}")
    return words


def _clean(text: str) -> str:
    """Text from elsewhere, without terminal control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def print_record(record: Record, as_json: bool) -> None:
    """One record to stdout, at once: whoever reads a pipe wants it now."""
    line = json.dumps(record.as_json()) if as_json else record_line(record)
    print(line, flush=True)


def print_note(item: Problem | Link | Notice) -> None:
    """A problem, a change of the link or a notice, to stderr, so that stdout stays records alone."""
    print(f"quaver: {item.line}", file=sys.stderr, flush=True)


def counted(problems: Mapping[str, int]) -> str:
    """Counted problems in one line: "3 messages with problems: 2 cbor, 1 topic"."""
    total = sum(problems.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(problems.items()))
    return f"{total} message{'s' if total != 1 else ''} with problems: {kinds}"


def terminal() -> Console | None:
    """The console to redraw on, or None when stdout is not a terminal."""
    console = Console(markup=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None


@contextmanager
def download() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for fetched files; yields what takes (name, bytes so far, bytes in all or 0)."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True, markup=False), transient=True)
    tasks: dict[str, Any] = {}

    def progress(name: str, done: int, total: int) -> None:
        bars.start()  # not before: what is cached shows nothing
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total or None)
        bars.update(tasks[name], completed=done, total=total or None)

    try:
        yield progress
    finally:
        if tasks:
            bars.stop()


class Display:
    """Shows what arrives, in the form that stdout can take: a live table, lines, or JSON lines.

    title: a line above the table. problems: the counter of the monitor, told at the end. total: how many
    captures are awaited, for a progress bar; None for no bar. lang: of what a verdict means, None for the user's own.
    """

    def __init__(
        self,
        as_json: bool,
        title: str,
        problems: Mapping[str, int] | None = None,
        total: int | None = None,
        lang: str | None = None,
    ) -> None:
        self.fleet = Fleet()
        self._lang = lang
        self._told: dict[str, list[str]] = {}  # node -> the entries that were shown since it was last well
        self._advice: tuple[str, Advice] | None = None
        self.title = title
        self.problems: Mapping[str, int] = problems if problems is not None else {}
        self._json = as_json
        self._words = self._shown = ""
        console = None if as_json else terminal()
        self._width = console.width if console else _WIDE
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console) if total is not None else None
        self._task = self._bar.add_task("starting", total=total) if self._bar is not None else None
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=4) if console else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start(refresh=True)
        elif not self._json:
            print(self.title, file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self.problems:
            print(f"quaver: {counted(self.problems)}", file=sys.stderr, flush=True)

    def headline(self, title: str) -> None:
        """Change the line above the table. Without a table it is on stderr, beside JSON too: it may hold addresses."""
        self.title = title
        if self._live is None:
            print(title, file=sys.stderr, flush=True)

    def step(self, words: str) -> None:
        """What the command waits for now; printed once, however often it is reported."""
        if words == self._words:
            return
        self._words = words
        self._show(words)
        if self._live is None and not self._json:
            print(words, file=sys.stderr, flush=True)

    def fetching(self, _name: str, done: int, total: int) -> None:
        """How far the step's download is, in bytes; where nothing can be redrawn, the step alone is enough."""
        if total:
            self._show(f"{self._words}: {100 * done // total} %")

    def _show(self, words: str) -> None:
        self._shown = words
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=words)

    def advance(self, completed: int) -> None:
        """How many captures of `total` are there."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=completed)

    def take(self, item: Item | None) -> None:
        """Show one item of a monitor; None, after a silence, is fine."""
        if isinstance(item, Record):
            self.fleet.update(item)
            if self._live is None:
                print_record(item, self._json)
            if not self._json:
                self._advise(item)
        elif item is not None:
            print_note(item)

    def _advise(self, record: Record) -> None:
        """Show what a record means that calls for it, once until its node is well again."""
        # An event overtakes the records of the measurements before it: what it raised stands until it is cleared.
        well = self.fleet.nodes[record.node].level == "ok" and not record.values.get("quality")
        if record.kind == "telemetry" and well:
            self._told.pop(record.node, None)
            if self._advice and self._advice[0] == record.node:
                self._advice = None
            return
        shown = self._told.setdefault(record.node, [])
        new = [key for key in told(record) if key not in shown]
        shown += new
        for advice in advices(new, self._lang):
            self._advice = record.node, advice
            if self._live is None:  # on stderr: stdout stays records alone
                print("\n".join(advice_lines(advice)), file=sys.stderr, flush=True)

    def _picture(self) -> RenderableType:
        # What the last verdict means takes room that a small screen has not for all events.
        table = fleet_table(self.fleet, width=self._width, events=_EVENTS_BESIDE if self._advice else None)
        parts: list[RenderableType] = [Text(self.title, style="bold"), table]
        if self._advice is not None:
            node, advice = self._advice
            first, *rest = advice_lines(advice, self._width)
            parts += [Text(_clean(node), style="dim"), Text(first, style="bold"), Text("\n".join(rest))]
        if self.problems:
            parts.append(Text(counted(self.problems), style="yellow"))
        if self._bar is not None:
            parts.append(self._bar)
        elif self._shown:
            parts.append(Text(self._shown, style="dim"))
        return Group(*parts)
