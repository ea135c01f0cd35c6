"""Follows a live plant beside its twin, and tells where they disagree.

The twin does not measure: another machine's vibration has other features. It judges: each node's twin is the device's
code under the twin's configuration, and gets what the live node's records say it measured. What the live node tells of
that and its twin does not, or the other way round, is a disagreement; so are another firmware, interval or
configuration, a restart, a silence, and a node that the twin does not have. The store brings each twin to where its
node is now.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quaver import __version__
from quaver.messages.sealing import Opened
from quaver.plant.island import node_config
from quaver.plant.spec import Node, Plant
from quaver.store.store import Store
from quaver.twin.device import Device, aside
from quaver.twin.mirror import drift, lines
from quaver.twin.records import Change, History, Measured, history
from quaver.twin.replay import replayed
from quaver_wire.fields import LEVELS

_SILENT = 3  # intervals without a word
_AT_LEAST_S = 30.0


@dataclass(frozen=True)
class Disagreement:
    """Where a live node and its twin are not alike. time_ms: since 1970. kind: "level", "version", "interval",
    "configuration", "restart", "silence" or "stranger"; line: for a person, without the node's name."""

    time_ms: int
    node: str
    kind: str
    line: str

    def as_json(self) -> dict[str, Any]:
        return vars(self)


@dataclass
class _Pair:
    """A node and its twin."""

    node: Node
    config: Mapping[str, Any]
    past: History
    teach: bool = False
    judged: int = 0
    agreed: int = 0
    boot: int = 0
    heard: float = field(default_factory=time.monotonic)
    silent: bool = False
    version: str = ""


class Follower:
    """plant: the twin. device: in which each node's twin judges. `notes` says what is not compared, in lines.

    Raises StoreError, WhatIfError.
    """

    def __init__(self, plant: Plant, store: Store, device: Device) -> None:
        self.notes: list[str] = []
        self._device = device
        self._pairs: dict[str, _Pair] = {}
        self._strangers: set[str] = set()
        ids = {live.topic: live.id.hex() for live in store.nodes()}
        machines = plant.machines()
        for node in plant.nodes():
            prefix = f"{node.place}/{node.name}"
            found = history(store, ids[prefix]) if prefix in ids else History()
            pair = _Pair(node, node_config(node, machines[node.place]), found)
            self._pairs[prefix] = pair
            self._begin(pair)

    def _begin(self, pair: _Pair) -> None:
        """Bring a twin to where its node is."""
        name, found = pair.node.name, pair.past
        past = replayed(self._device, name, found, pair.config)
        pair.teach = past.teach
        pair.boot = found.at[0]
        if past.note:
            self.notes.append(f"{name}: {past.note}")
        others = sum(
            len(list(_apart(one, told, pair.teach)))
            for one, (_, _, told) in zip(found.measured, past.judged, strict=True)
        )
        if others:
            self.notes.append(f"{name}: {others} changes of level in the store are not explained by its twin")

    @property
    def compared(self) -> tuple[int, int]:
        """Measurements that were judged by a twin, and those of them that it agreed with."""
        return sum(pair.judged for pair in self._pairs.values()), sum(pair.agreed for pair in self._pairs.values())

    def names(self) -> list[str]:
        return [pair.node.name for pair in self._pairs.values()]

    def configured(self, name: str, config: Mapping[str, Any]) -> Iterator[Disagreement]:
        """What the live node says of its configuration, beside its twin's."""
        pair = next(pair for pair in self._pairs.values() if pair.node.name == name)
        for line in lines(drift(self._device, config, pair.config)):
            yield Disagreement(_now_ms(), name, "configuration", line)

    def take(self, prefix: str, message_class: str, opened: Opened) -> Iterator[Disagreement]:
        """A message of a live node."""
        pair = self._pairs.get(prefix)
        if pair is None:
            measures = message_class == "telemetry" and "nodes" not in opened.record  # which is a gateway's
            if measures and prefix not in self._strangers and len(self._strangers) < 1000:
                self._strangers.add(prefix)
                yield Disagreement(_now_ms(), prefix, "stranger", "the twin has no such node")
            return
        pair.heard, pair.silent = time.monotonic(), False
        record = opened.record
        time_ms = record.get("time_ms") or _now_ms()
        name = pair.node.name
        if message_class == "status":
            yield from self._status(pair, record, time_ms)
            return
        if (opened.boot, opened.seq) <= pair.past.at and message_class == "telemetry":
            return  # the store has it already
        if opened.boot > pair.boot:
            if pair.boot > 0:
                yield Disagreement(time_ms, name, "restart", f"has restarted, boot {opened.boot}; its twin has not")
            pair.boot = opened.boot
        measured = pair.past.take(opened.boot, opened.seq, message_class, time_ms, record.get("uptime_ms", 0), record)
        if measured is None:
            return
        pair.past.measured.clear()  # it is judged now, and never again
        [(_, _, told)] = self._device.judge([(name, measured, pair.teach, False)])
        apart = list(_apart(measured, told, pair.teach))
        pair.judged += 1
        pair.agreed += not apart
        for change, live in apart:
            level = LEVELS[min(change.level, len(LEVELS) - 1)]
            value = "" if change.value is None else f" ({change.value:.4g}, limit {change.limit or 0:.4g})"
            who = "told by the node, not by its twin" if live else "told by its twin, not by the node"
            yield Disagreement(time_ms, name, "level", f"{change.feature} {level}{value}: {who}")

    def _status(self, pair: _Pair, record: Mapping[str, Any], time_ms: int) -> Iterator[Disagreement]:
        name = pair.node.name
        version = record.get("firmware", "")
        if version and version not in (__version__, pair.version):
            yield Disagreement(time_ms, name, "version", f"runs quaver {version}, its twin {__version__}")
        pair.version = version or pair.version
        interval = record.get("interval_s")
        if interval and interval != int(pair.node.interval):
            line = f"measures every {interval} s, its twin every {pair.node.interval:g} s"
            yield Disagreement(time_ms, name, "interval", line)

    def silences(self) -> Iterator[Disagreement]:
        """Nodes that have said nothing for three intervals; each is told once, until it is heard again."""
        for pair in self._pairs.values():
            quiet_s = time.monotonic() - pair.heard
            if not pair.silent and quiet_s > max(_AT_LEAST_S, _SILENT * pair.node.interval):
                pair.silent = True
                yield Disagreement(_now_ms(), pair.node.name, "silence", f"has said nothing for {quiet_s:.0f} s")


def _apart(measured: Measured, told: list[Change], teach: bool) -> Iterator[tuple[Change, bool]]:
    """The changes of level that one of both told alone, and whether it was the live node."""
    left_out = aside(teach)
    live = [one for one in measured.told if one.feature not in left_out]
    for mine, other, is_live in ((live, told, True), (told, live, False)):
        count = Counter((one.feature, one.level) for one in other)
        for one in mine:
            if count[one.feature, one.level]:
                count[one.feature, one.level] -= 1
            else:
                yield one, is_live


def _now_ms() -> int:
    return round(time.time() * 1000)
