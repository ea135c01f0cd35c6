"""A small plant with a past, for the page to show: a week of records whose numbers look like a machine's."""

import math
import random
import struct
from binascii import crc32
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from fleet import HOUR_MS, Node
from test_ingest import Bench

from quaver.broker.reader import Message
from quaver.fleet.keys import KeyStore
from quaver.rollout.engine import FETCHING, PAUSED, PENALTY, UPDATED, Member, Rules
from quaver.rollout.state import Rollouts
from quaver_wire.fields import EVENTS, FAULTS
from quaver_wire.names import ZONES
from quaver_wire.spectrum import BINS, REFERENCE_G, STEP_DB, envelope_edges, spectrum_edges

HOURS = 7 * 24
TOP_HZ, ENVELOPE_HZ, SHAFT_HZ = 13333.0, 833.4, 24.3
MARKS_HZ = [SHAFT_HZ, 87.1, 131.6, 112.4, 9.7]
# name -> place, and what is wrong with it
NODES = {
    "pump-1-de": ("north/hall-1/line-a/feed-pump-1", "outer race"),
    "pump-1-nde": ("north/hall-1/line-a/feed-pump-1", ""),
    "fan-2-de": ("north/hall-1/line-b/exhaust-fan-2", "warning"),
    "mill-3": ("north/hall-2/line-c/mill-3", ""),
    "gear-4": ("south/yard/line-d/conveyor-4", ""),
    "quiet-5": ("south/yard/line-d/conveyor-5", "gone"),
    "gateway-6": ("south/yard/line-d/cabinet", "gateway"),
}


class PlacedNode(Node):
    """A node anywhere: topics begin with its own place."""

    def __init__(self, keys: KeyStore, node_id: bytes, name: str, place: str) -> None:
        super().__init__(keys, node_id, name)
        self.place = place

    def topic(self, message_class: str) -> str:
        return f"{self.place}/{self.name}/{message_class}"


def fill(folder: Path, now_ms: int, names: tuple[str, ...] = tuple(NODES)) -> tuple[Path, dict[str, PlacedNode]]:
    """Makes plant.sqlite in a folder, a week up to now_ms, and returns its path and the nodes."""
    keys = KeyStore(folder / "keys")
    nodes = {
        name: PlacedNode(keys, bytes([0xA1, 0, 0, 0, 0, 0, 0, place]), name, NODES[name][0])
        for place, name in enumerate(names, 1)
    }
    bench = Bench(folder / "plant.sqlite", keys)
    for name, node in nodes.items():
        wrong = NODES[name][1]
        heard_ms = now_ms - 12 * HOUR_MS if wrong == "gone" else now_ms
        bench.take(*_week(node, wrong, now_ms), now=heard_ms)
    bench.store.close()
    rollout(folder / "rollouts.sqlite", nodes, now_ms / 1000)
    return folder / "plant.sqlite", nodes


def rollout(
    path: Path, nodes: dict[str, PlacedNode], now: float, why: str = "restarted before it was confirmed"
) -> None:
    """One that its second wave has paused. now: s since 1970."""
    states = [(UPDATED, ""), (UPDATED, ""), (PENALTY, why), (FETCHING, "")]
    members = [
        Member(
            node.id, f"{node.place}/{name}", min(place, 2), *(states[place] if place < len(states) else ()), since=now
        )
        for place, (name, node) in enumerate(nodes.items())
    ]
    with Rollouts(path) as rollouts:
        one = rollouts.start(
            sequence=7, version="1.4.1", envelopes=[b"one"], selectors=["north", "south"], windows=["22:00-05:00"],
            rules=Rules(3, 100, 10, now + 86_400), members=members,
        )  # fmt: skip
        rollouts.save(one, PAUSED, f"the canary failed: {why}", members)


def amplitudes_as_levels(amplitudes: list[float]) -> bytes:
    """As a node sends them, the other way round than quaver_wire.spectrum.amplitude_g."""
    return bytes(
        max(0, min(255, round(20 / STEP_DB * math.log10(max(g, REFERENCE_G) / REFERENCE_G)))) for g in amplitudes
    )


def spectrum_values(grown: float, seed: int) -> dict[str, Any]:
    """A spectrum record's fields. grown: how far a flaw of the outer race has come, 0 to 1."""
    draw = random.Random(seed)
    middles = [(low + high) / 2 for low, high in pairwise(spectrum_edges(TOP_HZ))]
    lines = [2e-4 * (1 + draw.random()) * (1 + (hz / 3000) ** 0.3) for hz in middles]
    for order, g in ((1, 0.02), (2, 0.008), (3, 0.004)):
        lines[min(range(BINS), key=lambda at: abs(middles[at] - SHAFT_HZ * order))] += g
    lines = [g + 0.03 * grown * math.exp(-(((hz - 3200) / 500) ** 2)) for g, hz in zip(lines, middles, strict=True)]
    middles = [(low + high) / 2 for low, high in pairwise(envelope_edges(ENVELOPE_HZ))]
    envelope = [3e-4 * (1 + draw.random()) for _ in middles]
    for order in range(1, 8):
        envelope[min(range(BINS), key=lambda at: abs(middles[at] - 87.1 * order))] += 0.02 * grown / order
        envelope[min(range(BINS), key=lambda at: abs(middles[at] - SHAFT_HZ * order))] += 0.002 / order
    return {
        "spectrum": amplitudes_as_levels(lines), "envelope_spectrum": amplitudes_as_levels(envelope),
        "spectrum_hz": TOP_HZ, "envelope_spectrum_hz": ENVELOPE_HZ, "band_low_hz": 2000, "band_high_hz": 6000,
        "marks_hz": MARKS_HZ, "rms_g": None, "kurtosis": None,
    }  # fmt: skip


def measured(grown: float, seed: int) -> dict[str, Any]:
    """Telemetry's fields."""
    draw = random.Random(seed)
    velocity = 2.1 * (1 + 1.9 * grown) + 0.1 * draw.gauss(0, 1)
    return {
        "rms_g": 0.21 + 0.3 * grown + 0.01 * draw.gauss(0, 1), "peak_g": 0.8 + 2.5 * grown + 0.05 * draw.gauss(0, 1),
        "crest": 3.6 + 3 * grown, "kurtosis": 3.0 + 4 * grown + 0.1 * draw.random(), "velocity_mm_s": velocity,
        "zone": sum(velocity > bound for bound in (1.4, 2.8, 4.5)) if grown else ZONES.index("B"),
        "envelope_g": 0.02 + 0.12 * grown, "temperature_c": 44 + 6 * grown + 2 * math.sin(seed / 4),
        "shaft_hz": SHAFT_HZ + 0.2 * math.sin(seed / 9), "shaft_confidence": 0.98,
        "energy": [231.0, 6.2, 1300 + 200 * grown, 1430.0, 0.91, 50.0, seed * 1.3],
        "machine": 2,
    }  # fmt: skip


def _week(node: PlacedNode, wrong: str, now_ms: int) -> Iterator[Message]:
    begin = now_ms - HOURS * HOUR_MS

    def at(hours: float) -> dict[str, int]:
        return {"uptime_ms": round(hours * HOUR_MS), "time_ms": begin + round(hours * HOUR_MS)}

    role = {"role": 1} if wrong == "gateway" else {}
    yield node.says("status", firmware="1.4.0", board="pico_w", interval_s=3600, **role, **at(0))
    yield node.says("event", code=EVENTS.index("boot"), **at(0))
    if wrong == "gateway":
        yield node.says(rms_g=None, kurtosis=None, nodes=6, nodes_heard=6, visits=900, backlog=0, **at(HOURS - 0.1))
        return
    ends = HOURS - 12 if wrong == "gone" else HOURS
    for hour in range(ends):
        hours = hour + 0.9
        grown = max(0.0, (hours - 96) / 72) ** 1.5 if wrong == "outer race" else 0.0
        if wrong == "warning" and hours > 160:
            grown = 0.4
        level = 2 if grown > 0.8 else 1 if grown > 0.35 else 0
        named = {"fault": FAULTS.index("outer race"), "margin_db": 12.0} if level == 2 else {}
        yield node.says(**measured(grown, hour), level=level, **named, **at(hours))
        if hour % 3 == 0:
            yield node.says(**spectrum_values(grown, hour), level=level, **at(hours + 0.01))
        if hour == 24:
            yield node.says("event", code=EVENTS.index("baseline_learned"), subject="baseline", **at(hours + 0.02))
    if wrong == "outer race":
        level = EVENTS.index("level")
        yield node.says("event", code=level, event_level=1, subject="velocity", value=3.6, limit=3.4, **at(134))
        yield node.says("event", code=level, event_level=2, subject="velocity", value=5.5, limit=5.4, **at(158))
        yield node.says(
            "event", code=EVENTS.index("fault"), event_level=2, subject="outer race", evidence_line=0, evidence_hz=87.1,
            evidence_g=0.02, evidence_db=21.0, margin_db=12.0, signs=3, harmonics_db=[21.0, 15.0, 9.0], **at(158.1),
        )  # fmt: skip
        yield from waveform(node, at(159))
    if wrong == "warning":
        code = EVENTS.index("level")
        yield node.says("event", code=code, event_level=1, subject="velocity", value=3.7, limit=3.4, **at(160.5))


def waveform(node: PlacedNode, when: dict[str, int]) -> Iterator[Message]:
    """2,048 samples of a knocking bearing, in the parts in which a node answers."""
    draw = random.Random(1)
    samples = [
        0.05 * math.sin(math.tau * SHAFT_HZ * n / 26667) + 0.02 * draw.gauss(0, 1)
        + 0.5 * math.exp(-(n % 306) / 20) * math.sin(n * 0.8)
        for n in range(2048)
    ]  # fmt: skip
    data = struct.pack("<2048h", *(round(1000 * g) for g in samples))
    about = {"size": len(data), "crc": crc32(data), "part": 512, "rate_hz": 26667.0, "scale_g": 0.001}
    yield node.says("answer", result=about, **when)
    for begin in range(0, len(data), 512):
        yield node.says("answer", result={"at": begin, "data": data[begin : begin + 512]}, **when)
