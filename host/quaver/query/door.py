"""The door: every question about a plant goes through it, whichever engine its store lies in.

Each thread that asks has a connection of its own to the store, which is only read.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from quaver.errors import PageError, StoreError
from quaver.messages.quantities import QUANTITIES, numbers
from quaver.query import health as healths
from quaver.query import signals
from quaver.query.events import Diagnosis, Event, Limit, diagnosis, event, limits, readings
from quaver.query.nodes import Fleet, NodeRow
from quaver.query.rollups import Rollups
from quaver.query.series import Series, series
from quaver.query.source import Reading, Source
from quaver.query.waveforms import Waveform
from quaver.store.ledger import Account, Stranger, ledger
from quaver.store.location import Location
from quaver.store.rows import Node

EVER_MS = (1 << 53) - 1
_LEDGER_S = 60.0  # it reads all numbers of a store; a page that is opened twice has the same
_LOOKED = 200  # of the newest events: what a node's limits and its diagnosis are taken from
_LISTED = 10_000  # events, the newest, that a range is looked for in


@dataclass(frozen=True)
class Value:
    """title: what it is. unit: UCUM. value: the newest, of time_ms."""

    title: str
    unit: str
    value: float
    time_ms: int | None


@dataclass(frozen=True)
class Count:
    count: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True)
class NodeConfig:
    """A node's configuration as it answered last. values: without passwords. read_ms, read_by: the asking."""

    values: dict[str, Any]
    read_ms: int
    read_by: str


@dataclass(frozen=True, kw_only=True)
class NodeShown(NodeRow):
    """limits: by quantity, from the node's events. marks_hz: of its newest spectrum.

    config: as the node answered last to who asked through this page; None where nobody did, or something was set since,
    and config_unknown says what to do, for a store has none. told: what its newest telemetry says in words: machine,
    quality, peaks, lines.
    """

    quantities: dict[str, Value]
    limits: dict[str, Limit]
    marks_hz: dict[str, float]
    told: dict[str, Any]
    spectra: Count
    waveforms: int
    config: NodeConfig | None = None
    config_unknown: str | None = "not known: ask for it by the command config_get"


@dataclass(frozen=True)
class Ledger:
    """made_ms: when it was drawn up; it is kept for a minute."""

    made_ms: int
    accounts: list[Account]
    strangers: list[Stranger]


class Door:
    """location: of the store. rollups: without them long ranges are refused. clock_ms: since 1970.

    Everything raises StoreError where the store can't be read, and PageError for what is not there.
    """

    def __init__(
        self,
        location: Location,
        rollups: Rollups | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.location = location
        self.rollups = rollups
        self.clock_ms = clock_ms
        self._own = threading.local()
        self._fleet = Fleet()
        self._ledger: tuple[float, Ledger] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Of the thread that calls; those of others close as they end."""
        source: Source | None = self._own.__dict__.pop("source", None)
        if source is not None:
            source.store.close()
        if self.rollups is not None:
            self.rollups.close()

    @contextlib.contextmanager
    def source(self) -> Iterator[Source]:
        """The store, for this thread; opened anew after it failed."""
        source: Source | None = getattr(self._own, "source", None)
        if source is None:
            source = self._own.source = Source(self.location)
        try:
            yield source
        except StoreError:
            self.close()
            raise

    # The plant.

    def nodes(self) -> list[NodeRow]:
        """What the newest records of each node say, by topic."""
        with self.source() as source:
            return self._fleet.rows(source, self.clock_ms())

    def find(self, source: Source, name: str) -> Node:
        """By its id, or by its name where that is one node's."""
        found = [node for node in source.store.nodes() if name.lower() == node.id.hex()]
        found = found or [node for node in source.store.nodes() if name == node.topic.rpartition("/")[2]]
        if not found:
            raise PageError("there is no such node", 404)
        if len(found) > 1:
            raise PageError("several nodes have that name; ask by the id", 409)
        return found[0]

    # A node.

    def node(self, name: str) -> NodeShown:
        with self.source() as source:
            node = self.find(source, name)
            telemetry = self._fleet.telemetry(source, node)
            told = self._events(source, node)
            store = source.store
            spectra = signals.count(store, node)
            newest = signals.listed(store, node, 0, EVER_MS, 1) if spectra else []
            marks = signals.shown(store, node, newest[0].boot, newest[0].seq).marks_hz if newest else {}
            first = signals.first(store, node) if spectra else None
            values = telemetry.values if telemetry else {}
            return NodeShown(
                **vars(self._row(source, node)),
                quantities={
                    name: Value(about.title, about.ucum, float(value), telemetry.time_ms if telemetry else None)
                    for name, about, value in numbers(values)
                },
                limits=limits(told),
                marks_hz=marks,
                told={
                    name: values[name]
                    for name in ("machine", "quality", "peaks", "lines", "bands", "abstained", "class_learned")
                    if name in values
                },
                spectra=Count(spectra, first, newest[0].time_ms if newest else None),
                waveforms=len(signals.waveform_rows(store, node)),
            )

    def series(self, name: str, quantity: str, since_ms: int, until_ms: int, points: int) -> Series:
        with self.source() as source:
            node = self.find(source, name)
            about = QUANTITIES.get(quantity)
            if about is None:  # a machine's own says in its record what it is
                telemetry = self._fleet.telemetry(source, node)
                own = {one: about for one, about, _ in numbers(telemetry.values)} if telemetry else {}
                if quantity not in own:
                    raise PageError("there is no such quantity; GET /nodes/{node} lists a node's", 404)
                about = own[quantity]
            return series(source, self.rollups, node, quantity, about, since_ms, until_ms, points)

    def events(self, name: str, since_ms: int, until_ms: int, limit: int, language: str = "en") -> list[Event]:
        """The newest first; of those that nothing dates too."""
        with self.source() as source:
            found = []
            for reading in readings(source, self.rollups, self.find(source, name), "event", _LISTED):
                if reading.time_ms is None or since_ms <= reading.time_ms <= until_ms:
                    found.append(event(reading, language))
                    if len(found) == limit:
                        break
            return found

    def diagnosis(self, name: str, language: str) -> Diagnosis:
        with self.source() as source:
            node = self.find(source, name)
            row = self._row(source, node)
            return diagnosis(row, self._fleet.telemetry(source, node), self._events(source, node), language)

    def spectra(self, name: str, since_ms: int, until_ms: int, limit: int) -> list[signals.SpectrumRow]:
        with self.source() as source:
            return signals.listed(source.store, self.find(source, name), since_ms, until_ms, limit)

    def spectrum(self, name: str, boot: int, seq: int) -> signals.SpectrumShown:
        with self.source() as source:
            return signals.shown(source.store, self.find(source, name), boot, seq)

    def spectrum_png(self, name: str, boot: int, seq: int) -> bytes:
        with self.source() as source:
            return signals.as_png(source.store, self.find(source, name), boot, seq)

    def waterfall(
        self, name: str, kind: Literal["spectrum", "envelope"], since_ms: int, until_ms: int, rows: int
    ) -> signals.Waterfall:
        with self.source() as source:
            return signals.waterfall(source.store, self.find(source, name), kind, since_ms, until_ms, rows)

    def waveforms(self, name: str) -> list[signals.WaveformRow]:
        with self.source() as source:
            return signals.waveform_rows(source.store, self.find(source, name))

    def waveform(self, name: str, identity: str) -> Waveform:
        with self.source() as source:
            return signals.waveform(source.store, self.find(source, name), identity)

    def _row(self, source: Source, node: Node) -> NodeRow:
        return next(row for row in self._fleet.rows(source, self.clock_ms()) if row.node == node.id.hex())

    def _events(self, source: Source, node: Node) -> list[Event]:
        return [event(one) for one in readings(source, self.rollups, node, "event", _LOOKED)]

    def telemetry(self, name: str) -> Reading | None:
        """The newest."""
        with self.source() as source:
            return self._fleet.telemetry(source, self.find(source, name))

    # The whole.

    def ledger(self) -> Ledger:
        with self._lock:
            held = self._ledger
            if held is None or time.monotonic() - held[0] > _LEDGER_S:
                with self.source() as source:
                    held = self._ledger = time.monotonic(), Ledger(self.clock_ms(), *ledger(source.store))
            return held[1]

    def refusals(self, node: str | None, reason: str | None, since_ms: int, limit: int) -> list[healths.Refusal]:
        with self.source() as source:
            return healths.refusals(source, node, reason, since_ms, limit)

    def clocks(self) -> healths.Clocks:
        accounts = self.ledger().accounts
        with self.source() as source:
            return healths.clocks(source, accounts)

    def health(self, folder: Path) -> healths.Health:
        """folder: the disk of which is told."""
        with self.source() as source:
            return healths.health(source, self.rollups, self.location, folder, self.clock_ms())
