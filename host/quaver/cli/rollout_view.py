"""How a rollout looks: the live table, the lines where nothing can be redrawn, and the JSON object."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from quaver.cli.ui import terminal
from quaver.rollout.engine import (
    ENDS,
    LEFT_OUT,
    MISSED,
    PENALTY,
    RUNNING,
    UNDER_WAY,
    UNHEALTHY,
    UPDATED,
    WAITING,
    WATCHED,
    Engine,
    Member,
)
from quaver.rollout.plan import wave_names
from quaver.rollout.state import Rollout

_FAILED = (UNHEALTHY, PENALTY, MISSED, LEFT_OUT)
_STYLES = {
    UPDATED: "green",
    WATCHED: "cyan",
    WAITING: "dim",
    UNHEALTHY: "bold white on red",
    PENALTY: "red",
    MISSED: "yellow",
    LEFT_OUT: "yellow",
}
_COLUMNS = (
    ("waiting", (WAITING,)),
    ("under way", UNDER_WAY),
    ("watched", (WATCHED,)),
    ("updated", (UPDATED,)),
    ("failed", _FAILED),
)
_BAR = 20  # columns
_REFRESH_S = 0.5


def _wave_names(members: Sequence[Member]) -> list[str]:
    return wave_names([member.wave for member in members])


def title(rollout: Rollout) -> str:
    """E.g. "rollout 3: release 7, quaver 0.2.0, to plant/hall"."""
    return f"rollout {rollout.number}: release {rollout.sequence}, quaver {rollout.version}, to " + " ".join(
        rollout.selectors
    )


def worth_a_line(members: Sequence[Member]) -> list[Member]:
    """The nodes that are under way, or did not go well: the failed ones first."""
    found = [m for m in members if m.state in (*UNDER_WAY, *_FAILED) or (m.state == WAITING and m.reason)]
    return sorted(found, key=lambda m: (m.state not in _FAILED, m.state == WAITING, m.prefix))


def member_line(member: Member) -> Text:
    """One node, its state and the reason."""
    reason = "".join(mark if mark.isprintable() else "?" for mark in member.reason)
    failed = f"failed once: {reason}" if member.failures == 1 and member.state in (WAITING, *UNDER_WAY) else reason
    return Text.assemble(
        f"{member.prefix}: ", (member.state, _STYLES.get(member.state, "")), f": {failed}" if failed else ""
    )


def table(
    rollout: Rollout, members: Sequence[Member], state: str, why: str, *, offline: int | None, lines: int
) -> RenderableType:
    """offline: how many of those that wait are, where it is known. lines: of nodes, at most."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("wave", no_wrap=True)
    for heading in ("nodes", *(heading for heading, _ in _COLUMNS)):
        grid.add_column(heading, justify="right", no_wrap=True)
    for number, name in enumerate(_wave_names(members)):
        wave = [member for member in members if member.wave == number]
        cells = [sum(member.state in states for member in wave) for _, states in _COLUMNS]
        grid.add_row(name, str(len(wave)), *(str(cell) if cell else "-" for cell in cells))
    updated = sum(member.state == UPDATED for member in members)
    away = f", {offline} of those that wait are offline" if offline else ""
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(len(members), 1), completed=updated, width=_BAR),
        Text(f"{updated} of {len(members)} nodes updated{away}"),
    )
    shown = worth_a_line(members)
    parts: list[RenderableType] = [
        Text(title(rollout)),
        Text(f"{state}: {why}" if why else state, style="" if state == RUNNING else "yellow"),
        grid,
        bar,
        *(member_line(member) for member in shown[:lines]),
    ]
    if len(shown) > lines:
        parts.append(Text(f"and {len(shown) - lines} more: quaver rollout status lists them", style="dim"))
    return Group(*parts)


def as_json(rollout: Rollout, members: Sequence[Member], state: str, why: str) -> dict[str, Any]:
    """All of a rollout as one object."""
    names = _wave_names(members)
    return {
        "rollout": rollout.number,
        "sequence": rollout.sequence,
        "version": rollout.version,
        "to": list(rollout.selectors),
        "windows": list(rollout.windows),
        "state": state,
        "why": why,
        "nodes": [
            {
                "node": member.prefix,
                "id": member.id.hex(),
                "wave": names[member.wave],
                "state": member.state,
                "reason": member.reason,
                "failures": member.failures,
            }
            for member in members
        ],
    }


class Progress:
    """Shows a rollout that runs: a live table, or a line a step on stderr where that can't redraw. A context manager.

    quiet: shows nothing, as beside --json.
    """

    def __init__(self, rollout: Rollout, quiet: bool) -> None:
        self._rollout = rollout
        self._quiet = quiet
        self._engine: Engine | None = None
        self._told: dict[bytes, tuple[str, str]] = {}
        self._state = ""
        console = None if quiet else terminal()
        self._live = Live(console=console, get_renderable=self._picture, auto_refresh=False) if console else None
        self._console = console
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        elif not self._quiet:
            print(title(self._rollout), file=sys.stderr, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.refresh()
            self._live.stop()

    def show(self, engine: Engine) -> None:
        """How far it is."""
        self._engine = engine
        if self._live is not None:
            if time.monotonic() - self._drawn > _REFRESH_S:
                self._drawn = time.monotonic()
                self._live.refresh()
        elif not self._quiet:
            self._lines(engine)

    def _picture(self) -> RenderableType:
        engine = self._engine
        if engine is None or self._console is None:
            return Text(title(self._rollout))
        members = list(engine.members.values())
        waiting = [member for member in members if member.state == WAITING]
        offline = sum(not engine.seen[member.id].online for member in waiting)
        lines = max(self._console.height - len(_wave_names(members)) - 10, 3)
        closed = "no maintenance window is open" if engine.state == RUNNING and not engine.is_open else engine.why
        return table(self._rollout, members, engine.state, closed, offline=offline, lines=lines)

    def _lines(self, engine: Engine) -> None:
        for member in engine.members.values():
            now = (member.state, member.reason)
            before = self._told.get(member.id, (WAITING, ""))
            self._told[member.id] = now
            if now != before:
                print(member_line(member).plain, file=sys.stderr, flush=True)
        if engine.state != self._state:
            self._state = engine.state
            print(f"{engine.state}: {engine.why}" if engine.why else engine.state, file=sys.stderr, flush=True)


def summary(members: Sequence[Member]) -> str:
    """E.g. "97 of 100 nodes updated; 2 penalty box, 1 missed"."""
    updated = sum(member.state == UPDATED for member in members)
    rest = [f"{n} {state}" for state in (*UNDER_WAY, WATCHED, WAITING, *ENDS[1:]) if (n := _count(members, state))]
    return f"{updated} of {len(members)} nodes updated" + (f"; {', '.join(rest)}" if rest else "")


def _count(members: Sequence[Member], state: str) -> int:
    return sum(member.state == state for member in members)
