"""The sink of a Sparkplug edge node whose devices are the nodes: Sparkplug Specification 3.0.

A birth tells what the store has last of each device; from then on comes what is new. What waited in the store at the
birth is older than that, and goes out as historical.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from quaver import __version__
from quaver.bridge.sparkplug_payload import DOUBLE, INT32, STRING, Metric, now_ms
from quaver.bridge.sparkplug_session import EdgeNode
from quaver.bridge.spec import Sparkplug
from quaver.messages.quantities import QUANTITIES, numbers
from quaver.query.source import HISTORICAL_MS, Place, Reading, Source
from quaver.store.location import Location

_WORDS: Mapping[str, tuple[str, ...]] = {
    "telemetry": ("level", "fault", "quality", "zone", "machine"),
    "status": ("state", "firmware", "board"),
    "event": ("code", "event_level", "subject", "text"),
}
_AS_IT_SHOULD = {"level": "ok", "fault": "none", "quality": ""}  # of which telemetry then says nothing
_EVENT_NUMBERS = ("value", "limit")
_EVENT = "event/"  # what an event tells is of its moment alone: its metrics are always told together
_EVENT_METRICS = (
    *((_EVENT + name, STRING) for name in _WORDS["event"]),
    *((_EVENT + n, DOUBLE) for n in _EVENT_NUMBERS),
)
_NAMES = {name: name.replace(".", "/") for name in QUANTITIES}
_TOGETHER = 20  # records of a device in a message: some 10 kB
_LOOK_BACK = 20  # measurements of a node: every tenth has all that it can say


@dataclass
class _Device:
    """metrics: the last that is known of each, by name. born: those of its birth; None while it has none.

    at_ms: of the last record of a kind that told how things are now.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    online: bool = True
    born: set[str] | None = None
    at_ms: dict[str, int] = field(default_factory=dict)

    def hear(self, reading: Reading) -> None:
        """Whether it is there, by what came last: the number and the time of a last will are from before it was."""
        if reading.kind == "status":
            self.online = reading.values.get("state") != "offline"
        elif not reading.historical:
            self.online = True

    def learn(self, reading: Reading) -> list[Metric]:
        """Take what the record says of now; its metrics, which are historical where a later one came before."""
        time_ms = reading.time_ms or 0
        if time_ms < self.at_ms.get(reading.kind, 0):
            return metrics_of(reading, historical=True)
        self.at_ms[reading.kind] = time_ms
        metrics = metrics_of(reading)
        self.metrics |= {one.name: one for one in metrics}
        return metrics


class SparkplugNode:
    """state: the file that keeps what the next session has to know."""

    name = "sparkplug"
    batch = 200

    def __init__(self, spec: Sparkplug, store: Location, state: Path) -> None:
        self._store = store
        self._edge = EdgeNode(spec, state)
        self._devices: dict[str, _Device] = {}
        self._born_at = Place()  # what was in the store at the birth
        self._told_online = 0
        self._untold: dict[str, dict[tuple[str, int | None], list[Metric]]] = {}  # of each device, by kind and time

    def connect(self, done: int) -> None:
        self._edge.connect()
        self._devices = {}
        self._untold = {}
        with Source(self._store) as source:
            self._born_at = source.end()
            # A last will says nothing of the firmware: the status before it does.
            known = [*source.newest("telemetry", _LOOK_BACK), *source.newest("status", 2), *source.newest("event")]
        for reading in sorted(known, key=lambda one: one.place.row):
            device = self._devices.setdefault(device_id(reading.topic), _Device())
            device.hear(reading)
            device.learn(reading)
        self._bear()

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        for reading in readings:
            if reading.kind in _WORDS:
                self._hand(reading)
        for name in list(self._untold):
            self._flush(name)
        for name, device in self._devices.items():
            if device.born is not None and not device.online:  # born for what was historical
                self._die(name, device)
        if self._told_online != self._online():
            self._edge.publish("NDATA", [self._tell_online()])
        self._edge.settle()
        self.rest()
        note(done + len(readings))

    def rest(self) -> None:
        self._edge.serve()
        if self._edge.rebirth:
            self._bear()

    def close(self) -> None:
        self._edge.leave()

    def _hand(self, reading: Reading) -> None:
        name = device_id(reading.topic)
        device = self._devices.setdefault(name, _Device())
        before = device.metrics.copy()
        if reading.place.row <= self._born_at.row:
            metrics = metrics_of(reading, historical=True)
        else:
            device.hear(reading)
            if not device.online and reading.kind == "status":
                if device.born is not None:
                    self._die(name, device)
                return
            metrics = metrics_of(reading, historical=True) if reading.historical else device.learn(reading)
        if device.born is None or not device.born.issuperset(one.name for one in metrics):
            self._bear_device(name, device, metrics)
            told = [one for one in metrics if one.historical]
        elif reading.kind == "event":
            told = metrics
        else:  # by exception: clause operational-behavior-data-publish-dbirth-change
            told = [one for one in metrics if one.historical or one.value != before[one.name].value]
        if told:
            self._tell(name, (reading.kind, reading.time_ms), told)

    def _tell(self, name: str, moment: tuple[str, int | None], metrics: list[Metric]) -> None:
        """Together with other records, as data should be; a metric's values in a message have different times."""
        untold = self._untold.setdefault(name, {})
        if moment in untold or len(untold) == _TOGETHER:
            self._flush(name)
            untold = self._untold.setdefault(name, {})
        untold[moment] = metrics

    def _flush(self, name: str) -> None:
        untold = self._untold.pop(name, {})
        if untold:
            self._edge.publish("DDATA", [one for metrics in untold.values() for one in metrics], name)

    def _bear(self) -> None:
        """The birth of the node and of each device that is there."""
        software = Metric("Properties/Software", STRING, f"quaver {__version__}", now_ms())
        self._edge.bear([software, self._tell_online()])
        for name, device in self._devices.items():
            device.born = None
            if device.online:
                self._bear_device(name, device)

    def _bear_device(self, name: str, device: _Device, more: Iterable[Metric] = ()) -> None:
        """more: metrics that it has too, of which no value of now is known."""
        self._flush(name)
        names = {one.name: (one.datatype, one.unit) for one in more}
        names |= {event: (datatype, "") for event, datatype in _EVENT_METRICS}
        before = now_ms() - HISTORICAL_MS  # what is older than this does not come as a value of now
        for metric, (datatype, unit) in names.items():
            device.metrics.setdefault(metric, Metric(metric, datatype, None, before, unit))
        self._edge.publish("DBIRTH", device.metrics.values(), name)
        device.born = set(device.metrics)

    def _die(self, name: str, device: _Device) -> None:
        self._flush(name)
        self._edge.publish("DDEATH", (), name)
        device.born = None

    def _tell_online(self) -> Metric:
        self._told_online = self._online()
        return Metric("Devices/Online", INT32, self._told_online, now_ms())

    def _online(self) -> int:
        return sum(device.online for device in self._devices.values())


@cache
def device_id(topic: str) -> str:
    """A node's id as a device: its topic with : for /, which no id may have. No two topics have the same."""
    return ":".join(level.replace("%", "%25").replace(":", "%3A") for level in topic.split("/"))


def metrics_of(reading: Reading, historical: bool = False) -> list[Metric]:
    """What a record says in single values; lists and spectra are no metrics, nor what nothing dates."""
    time_ms = reading.time_ms
    if time_ms is None or time_ms < 0:
        return []
    event = reading.kind == "event"
    values = {**(_AS_IT_SHOULD if reading.kind == "telemetry" else {}), **reading.values}
    found = []
    for name in _WORDS[reading.kind]:
        word = values.get(name)
        if isinstance(word, list):
            word = ", ".join(map(str, word))
        if word is not None or event:
            found.append(Metric(_EVENT * event + name, STRING, word and str(word), time_ms, "", historical))
    if event:
        for name in _EVENT_NUMBERS:
            number = values.get(name)
            known = number if isinstance(number, (int, float)) else None
            found.append(Metric(_EVENT + name, DOUBLE, known, time_ms, "", historical))
        return found
    return found + [
        Metric(_NAMES[name], DOUBLE, number, time_ms, quantity.ucum, historical)
        for name, quantity, number in numbers(values)
    ]
