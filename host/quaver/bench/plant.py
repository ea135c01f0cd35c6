"""How fast a plant in a box goes: seconds of its time in a second, by number and kind of node, and what bounds it.

What counts is the processors' time, of all processes: a machine that does something else beside is no slower by it. The
first minute, in which nodes start, is left out of the pace. Memory is the proportional share (PSS) of all processes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.bench import Figure
from quaver.plant.spec import plant_of
from quaver.plant.world import Progress, World

_CORES = 2
_KINDS = ("node", "host", "ingest")
_STARTED_S = 60.0
_MEMORY_MB = 12.0
_VIBRATION = {"sensors": ["vibration"], "samples": 4096}
_SLOW = {"sensors": ["temperature", "energy"]}


@dataclass(frozen=True)
class Case:
    """So many nodes with such tables. goal: seconds of the plant's time in a second, on two processors."""

    name: str
    nodes: int
    table: dict[str, Any]
    goal: float | None = None


CASES = (
    Case("vibration, 4,096 samples", 1, _VIBRATION),
    Case("vibration, 4,096 samples", 20, _VIBRATION, 86_400 / 300),
    Case("vibration, 32,768 samples", 4, {**_VIBRATION, "samples": 32_768}),
    Case("temperature, energy", 20, _SLOW),
    Case("temperature, energy", 200, _SLOW, 3600 / 180),
)
MANY = Case("temperature", 1000, {"sensors": ["temperature"]})


@dataclass
class _Taken:
    """Seconds of a processor that each kind of process has taken, and MB of memory."""

    seconds: dict[str, float]
    memory_mb: dict[str, float]


def run_plant(minutes: float, many: bool, step: Callable[[str], None]) -> list[Figure]:
    """The figures of each case, each for so many of the plant's minutes; many: of 1,000 nodes that start, too."""
    figures: list[Figure] = []
    for case in CASES:
        step(f"{case.nodes} nodes: {case.name}")
        figures += _pace(case, minutes)
    if many:
        step(f"{MANY.nodes} nodes start")
        figures += _start(MANY)
    return figures


def _world(case: Case, duration_s: float, folder: str) -> World:
    tables = {
        "duration": f"{duration_s:g}s",
        "machine": [{"place": "works/hall/line/machine-{n}", "count": case.nodes}],
        "node": [
            {"name": "node-{n}", "place": "works/hall/line/machine-{n}", "count": case.nodes, **case.table},
        ],
    }
    return World(plant_of(tables), Path(folder), _CORES)


def _pace(case: Case, minutes: float) -> Iterator[Figure]:
    seen: list[tuple[float, _Taken]] = []
    end_s = _STARTED_S + 60 * minutes

    def border(progress: Progress) -> None:
        if (not seen and progress.time_s >= _STARTED_S) or progress.time_s >= end_s:
            seen.append((progress.time_s, _taken()))

    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as folder, _world(case, end_s, folder) as world:
        world.run(border)
    (began_s, before), (ended_s, after) = seen[0], seen[-1]
    taken = {kind: after.seconds[kind] - before.seconds[kind] for kind in _KINDS}
    total, passed = sum(taken.values()), ended_s - began_s
    name = f"{case.nodes} x {case.name}"
    yield Figure(f"{name}: pace on {_CORES} cores", round(_CORES * passed / total, 1), "s/s", case.goal, at_least=True)
    yield Figure("  of a core, a node and minute", round(60_000 * total / passed / case.nodes, 1), "ms")
    for kind in _KINDS:
        yield Figure(f"    {kind}", round(60_000 * taken[kind] / passed / case.nodes, 1), "ms")
    yield from _memory(case, after)


def _memory(case: Case, taken: _Taken) -> Iterator[Figure]:
    yield Figure("  memory of a node's process", round(taken.memory_mb["node"] / case.nodes, 1), "MB", _MEMORY_MB)
    rest = taken.memory_mb["host"] + taken.memory_mb["ingest"]
    yield Figure("  memory of all others", round(rest), "MB")


def _start(case: Case) -> Iterator[Figure]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quaver-bench-") as folder, _world(case, _STARTED_S, folder) as world:
        world.run()
        taken = _taken()
        heard = sum(view.seen_s is not None for view in world.progress.nodes.values())
    yield Figure(f"{case.nodes} nodes that start: heard", heard, "nodes", case.nodes, at_least=True)
    yield Figure("  until they were, by the wall clock", round(time.monotonic() - began), "s")
    yield Figure("  of a core, a node", round(1000 * sum(taken.seconds.values()) / case.nodes), "ms")
    yield from _memory(case, taken)


def _taken() -> _Taken:
    """Of this process ("ingest"), its workers ("host") and their boards ("node")."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            parents[int(entry.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    mine = os.getpid()
    seconds, memory = dict.fromkeys(_KINDS, 0.0), dict.fromkeys(_KINDS, 0.0)
    for pid, (parent, taken) in parents.items():
        above = parents.get(parent, (0, 0.0))[0]
        kind = "ingest" if pid == mine else "host" if parent == mine else "node" if above == mine else ""
        if kind:
            seconds[kind] += taken
            memory[kind] += _memory_mb(pid)
    return _Taken(seconds, memory)


def _memory_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
