"""The sink of a Sparkplug edge node whose devices are the nodes: Sparkplug Specification 3.0.

A birth tells what the store has last of each device; from then on comes what is new. What waited in the store at the
birth is older than that, and goes out as historical.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from quaver import __version__
from quaver.bridge.sparkplug_payload import DOUBLE, INT32, STRING, Metric, encode, encode_numbers, now_ms
from quaver.bridge.sparkplug_session import EdgeNode
from quaver.bridge.spec import Sparkplug
from quaver.messages.quantities import QUANTITIES, numbers_of, units_of
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
_EVENT_METRICS = {_EVENT + name: (STRING, "") for name in _WORDS["event"]} | {
    _EVENT + name: (DOUBLE, "") for name in _EVENT_NUMBERS
}
_OTHERS = {name: (STRING, "") for kind in ("telemetry", "status") for name in _WORDS[kind]} | _EVENT_METRICS
_KINDS = {name: (DOUBLE, quantity.ucum) for name, quantity in QUANTITIES.items()} | _OTHERS  # and the unit
_TOGETHER = 20  # records of a device in a message: some 10 kB
_LOOK_BACK = 20  # measurements of a node: every tenth has all that it can say

_Value = float | str | None


@dataclass
class _Device:
    """values: the last that is known of each metric, by name; times_ms: of which moment it is.

    units: of those that have no field. born: the metrics of its birth; None while it has none. at_ms: of the last
    record of a kind that told how things are now.
    """

    values: dict[str, _Value] = field(default_factory=dict)
    times_ms: dict[str, int] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    online: bool = True
    born: set[str] | None = None
    at_ms: dict[str, int] = field(default_factory=dict)

    def hear(self, reading: Reading) -> None:
        """Whether it is there, by what came last: the number and the time of a last will are from before it was."""
        if reading.kind == "status":
            self.online = reading.values.get("state") != "offline"
        elif not reading.historical:
            self.online = True

    def learn(self, reading: Reading, said: Mapping[str, _Value]) -> bool:
        """Take what the record says of now; False where a later one came before, and it is historical."""
        time_ms = reading.time_ms or 0
        if time_ms < self.at_ms.get(reading.kind, 0):
            return False
        self.at_ms[reading.kind] = time_ms
        self.values.update(said)
        self.times_ms.update(dict.fromkeys(said, time_ms))
        return True

    def metrics(self) -> list[Metric]:
        """All that is known, as its birth tells it."""
        return [
            Metric(name.replace(".", "/"), datatype, value, self.times_ms[name], unit)
            for name, value in self.values.items()
            for datatype, unit in (_KINDS.get(name) or (DOUBLE, self.units[name]),)
        ]


class SparkplugNode:
    """state: the file that keeps what the next session has to know."""

    name = "sparkplug"
    batch = 1000

    def __init__(self, spec: Sparkplug, store: Location, state: Path) -> None:
        self._store = store
        self._edge = EdgeNode(spec, state)
        self._devices: dict[str, _Device] = {}
        self._born_at = Place()  # what was in the store at the birth
        self._told_online = 0
        self._untold: dict[str, dict[tuple[int, str], bytes]] = {}  # of each device, by time and kind: encoded metrics

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
            device.learn(reading, said_by(reading))
            device.units |= units_of(reading.values)
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

    def rest(self, blind: bool = False) -> None:
        self._edge.serve()
        if self._edge.rebirth:
            self._bear()

    def close(self) -> None:
        self._edge.leave()

    def _hand(self, reading: Reading) -> None:
        name = device_id(reading.topic)
        device = self._devices.get(name)
        if device is None:
            device = self._devices[name] = _Device()
        said = told = said_by(reading)
        historical = reading.place.row <= self._born_at.row
        if not historical:
            device.hear(reading)
            if not device.online and reading.kind == "status":
                if device.born is not None:
                    self._die(name, device)
                return
            if reading.kind != "event":  # by exception: clause operational-behavior-data-publish-dbirth-change
                known = device.values.get
                told = {metric: value for metric, value in said.items() if known(metric) != value}
            historical = reading.historical or not device.learn(reading, said)
        if historical:
            told = said
        units = units_of(reading.values)
        if device.born is None or not said.keys() <= device.born or units.items() - device.units.items():
            device.units |= units
            self._bear_device(name, device, said)
            if not historical:
                return  # the birth has told it
        if told:
            self._tell(name, reading, told, historical)

    def _tell(self, name: str, reading: Reading, told: Mapping[str, _Value], historical: bool) -> None:
        """Together with other records, as data should be; a metric's values in a message have different times."""
        assert reading.time_ms is not None  # what nothing dates says nothing
        untold = self._untold.setdefault(name, {})
        moment = reading.time_ms, reading.kind
        if moment in untold or len(untold) == _TOGETHER:
            self._flush(name)
            untold = self._untold.setdefault(name, {})
        untold[moment] = _encoded(told, reading.time_ms, historical)

    def _flush(self, name: str) -> None:
        untold = self._untold.pop(name, {})
        if untold:
            # In the order of their times: clause operational-behavior-data-publish-dbirth-order.
            self._edge.publish_data(name, [untold[moment] for moment in sorted(untold)])

    def _bear(self) -> None:
        """The birth of the node and of each device that is there."""
        software = Metric("Properties/Software", STRING, f"quaver {__version__}", now_ms())
        self._edge.bear([software, self._tell_online()])
        for name, device in self._devices.items():
            device.born = None
            if device.online:
                self._bear_device(name, device)

    def _bear_device(self, name: str, device: _Device, said: Mapping[str, _Value] | None = None) -> None:
        """said: has metrics that are its own too, of which no value of now may be known."""
        self._flush(name)
        before = now_ms() - HISTORICAL_MS  # what is older than this does not come as a value of now
        for metric in (*(said or ()), *_EVENT_METRICS):
            device.values.setdefault(metric, None)
            device.times_ms.setdefault(metric, before)
        self._edge.publish("DBIRTH", device.metrics(), name)
        device.born = set(device.values)

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


def said_by(reading: Reading) -> dict[str, _Value]:
    """What a record says in single values, by metric; lists and spectra are no metrics, nor what nothing dates."""
    if reading.time_ms is None or reading.time_ms < 0:
        return {}
    values = reading.values
    if reading.kind == "event":
        words = {_EVENT + name: None if (word := values.get(name)) is None else str(word) for name in _WORDS["event"]}
        return words | {
            _EVENT + name: number if isinstance(number := values.get(name), (int, float)) else None
            for name in _EVENT_NUMBERS
        }
    found: dict[str, _Value] = dict(_AS_IT_SHOULD) if reading.kind == "telemetry" else {}
    for name in _WORDS[reading.kind]:
        if word := values.get(name):  # no quality mark is as it should be
            found[name] = ", ".join(map(str, word)) if isinstance(word, list) else str(word)
    found.update(numbers_of(values))
    return found


def _encoded(told: Mapping[str, _Value], time_ms: int, historical: bool) -> bytes:
    if _OTHERS.keys().isdisjoint(told):
        return encode_numbers(told, time_ms, historical)  # type: ignore[arg-type]  # no words are left
    metrics = [
        Metric(name, datatype, told[name], time_ms, "", historical)
        for name, (datatype, _) in _OTHERS.items()
        if name in told
    ]
    rest = {name: value for name, value in told.items() if name not in _OTHERS}
    return encode(metrics) + _encoded(rest, time_ms, historical)
