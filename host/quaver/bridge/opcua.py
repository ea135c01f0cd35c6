"""The sink of an OPC UA server: the nodes as objects in folders of their places, and what they tell as events.

Variables: OPC 10000-8 (AnalogUnitType, MultiStateDiscreteType, EUInformation by UN/CEFACT Recommendation 20, status
codes). Events: OPC 10000-5, 6.4.2. The server keeps no history: a client hears of events while it is connected.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from quaver.alarms.conditions import Begin, changes
from quaver.bridge.opcua_server import OpcUaServer, ua
from quaver.bridge.spec import OpcUa
from quaver.knowledge import entries
from quaver.messages.quantities import QUANTITIES, numbers, quantity_of, units_of
from quaver.messages.record import one_line
from quaver.query.source import Reading, Source
from quaver.store.location import Location
from quaver_wire.fields import LEVELS

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
_UCUM = "http://unitsofmeasure.org"
# UCUM -> UN/CEFACT's common code, symbol and name
UNITS = {
    "[g]": ("K40", "gn", "standard acceleration of free fall"),
    "mm/s": ("C16", "mm/s", "millimetre per second"),
    "Cel": ("CEL", "°C", "degree Celsius"),
    "Hz": ("HTZ", "Hz", "hertz"),
    "V": ("VLT", "V", "volt"),
    "A": ("AMP", "A", "ampere"),
    "W": ("WTT", "W", "watt"),
    "V.A": ("D46", "V·A", "volt - ampere"),
    "kW.h": ("KWH", "kW·h", "kilowatt hour"),
    "us": ("B98", "µs", "microsecond"),
    "s": ("SEC", "s", "second [unit of time]"),
    "h": ("HUR", "h", "hour"),
    "d": ("DAY", "d", "day"),
    "By": ("AD", "byte", "byte"),
    "dB": ("2N", "dB", "decibel"),
    "1": ("C62", "", "one"),
    "%": ("P1", "%", "percent"),
    "K": ("KEL", "K", "kelvin"),
    "Pa": ("PAL", "Pa", "pascal"),
    "kPa": ("KPA", "kPa", "kilopascal"),
    "MPa": ("MPA", "MPa", "megapascal"),
    "mbar": ("MBR", "mbar", "millibar"),
    "bar": ("BAR", "bar", "bar [unit of pressure]"),
    "m3/h": ("MQH", "m³/h", "cubic metre per hour"),
    "l/min": ("L2", "l/min", "litre per minute"),
    "m3": ("MTQ", "m³", "cubic metre"),
    "l": ("LTR", "l", "litre"),
    "m": ("MTR", "m", "metre"),
    "mm": ("MMT", "mm", "millimetre"),
    "kg": ("KGM", "kg", "kilogram"),
    "N": ("NEW", "N", "newton"),
    "N.m": ("NU", "N·m", "newton metre"),
    "kW": ("KWT", "kW", "kilowatt"),
}
_GOOD = ua.StatusCodes.Good
_UNSURE = ua.StatusCodes.UncertainSensorNotAccurate
_OLD = ua.StatusCodes.UncertainLastUsableValue
_FAILED = ua.StatusCodes.BadSensorFailure
_GONE = ua.StatusCodes.BadNoCommunication
_VIBRATION = {
    *("rms_g", "peak_g", "crest", "kurtosis", "skew", "velocity_mm_s", "zone", "envelope_g"),
    *("shaft_hz", "shaft_confidence", "fault", "margin_db"),
}
_CURRENT = {name for name in QUANTITIES if name in ("current_a", "line_hz") or name.startswith("sidebands.")}
_OF_SENSOR = {
    "vibration_failed": _VIBRATION,
    "temperature_failed": {"temperature_c", "humidity_pct"},
    "current_failed": _CURRENT,
    "energy_failed": {name for name in QUANTITIES if name.startswith(("energy.", "phases."))},
}
_RARE = {
    "humidity_pct",
    *_CURRENT,
    *(name for name in QUANTITIES if name.startswith("phases.")),
}  # few such sensors have it
_DOUBTS = {"dropped", "clipped", "stuck"}  # of the vibration's samples
_SURE = 0.5  # from this confidence on the firmware takes a shaft speed for right
_WORDS: Mapping[str, tuple[str, ...]] = {
    "telemetry": ("level", "fault", "zone", "machine", "quality"),
    "status": ("state", "firmware", "board"),
}
_AS_IT_SHOULD = {"level": LEVELS[0], "fault": "none", "quality": ""}  # of which telemetry then says nothing
_SEVERITY = {"alarm": 900, "warning": 500}  # OPC 10000-9, 5.10: high from 667 on, medium from 334 on
_LOW = 100
_MISSED = 3  # intervals; then a value is no longer said to be one of now
_LOOK_BACK = 20  # measurements of a node: every tenth has all that it can say
_LOOK_S = 1.0
_SHAPES = 1000  # of a node's records that are known; a usual node has a dozen


class Value(NamedTuple):
    """What a variable is to show; value: None with a bad status. ucum: "" where it is a word."""

    value: float | str | None
    status: int
    time_ms: int | None
    ucum: str = ""


_Order = tuple[int, int]  # by which the records of a node follow each other


@dataclass
class _Device:
    """What is shown of a node. shown: the last of each variable, by name, with the place of its record.

    waiting: what came since, the last record of each shape: records that say something of the same variables.
    """

    topic: str
    shown: dict[str, tuple[_Order, Value]] = field(default_factory=dict)
    waiting: dict[tuple[str, ...], tuple[_Order, Reading]] = field(default_factory=dict)
    shapes: set[tuple[str, ...]] = field(default_factory=set)  # of which every variable is made
    interval_s: int = 0
    heard_ms: int = 0
    present: bool = True
    fresh: bool = True
    told: bool = False

    def take(self, reading: Reading) -> bool:
        """Keep a record until somebody asks; whether all that it says something of was there before."""
        # A last will has its number from before the status that it ends.
        order = (reading.place.boot, reading.place.row if reading.kind == "status" else reading.place.seq)
        shape = _shape(reading)
        known = self.waiting.get(shape)
        if known is None or known[0] <= order:
            self.waiting[shape] = order, reading
        if shape in self.shapes:
            return True
        if len(self.shapes) == _SHAPES:
            self.shapes.clear()
        self.shapes.add(shape)
        return False

    def settle(self) -> set[str]:
        """Have `shown` say what the waiting records do; the variables that it changed."""
        changed = set()
        for order, reading in sorted(self.waiting.values(), key=lambda one: one[0]):
            for name, value in values_of(reading).items():
                known = self.shown.get(name)
                if known is None and value.value is None and name in _RARE:
                    continue  # what the sensor never measured has not failed
                if known is None or known[0] <= order:
                    self.shown[name] = order, value
                    changed.add(name)
        self.waiting.clear()
        return changed

    def data(self, name: str) -> ua.DataValue:
        """What a variable holds now."""
        self.settle()
        if name == "online":
            return _data(name, Value("yes" if self.present else "no", _GOOD, None), _GOOD)
        if name not in self.shown:
            return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData))
        value = self.shown[name][1]
        status = value.status
        status = _GONE if not self.present else _OLD if not self.fresh and status == _GOOD else status
        return _data(name, value, status)

    def is_old(self, now_ms: int) -> bool:
        """Whether it has missed its measurements; of a node that has not told its interval nobody knows."""
        limit_ms = _MISSED * 1000 * self.interval_s
        return bool(limit_ms) and now_ms - self.heard_ms > limit_ms


class OpcUaNodes:
    """state: beside it stand the key and certificate of the server."""

    name = "opcua"
    batch = 1000

    def __init__(self, spec: OpcUa, store: Location, state: Path) -> None:
        self._store = store
        self._server = OpcUaServer(spec, state)
        self._started = False
        self._devices: dict[str, _Device] = {}
        self._place_of: dict[str, str] = {}  # a node's id -> its topic
        self._folders: set[str] = set()  # identifiers of what is in the address space
        self._variables: dict[str, dict[str, Any]] = {}  # of each object: name -> its value there
        self._event_type: Any = None
        self._looked = 0.0

    def connect(self, done: int) -> None:
        if not self._started:
            self._server.start()
            self._started = True
        self._devices = {}
        with Source(self._store) as source:
            known = [*source.newest("telemetry", _LOOK_BACK), *source.newest("status", 2)]
        self._server.do(self._show(sorted(known, key=lambda one: one.place.row), events=False))
        self._server.do(self._age(time.time_ns() // 1_000_000))

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        self._server.do(self._show(readings, events=True))
        note(done + len(readings))
        self.rest()

    def rest(self, blind: bool = False) -> None:
        if time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            self._server.do(self._age(time.time_ns() // 1_000_000))

    def close(self) -> None:
        self._server.close()

    # What follows runs in the server's thread.

    async def _show(self, readings: Iterable[Reading], events: bool) -> None:
        behind: dict[str, set[str]] = {}  # variables that a backlog has gone past
        for reading in readings:
            before = self._place_of.get(reading.node)
            if before is not None and before != reading.topic and reading.latest:
                await self._gone(self._devices[before])  # it was moved: nobody measures there any more
            device = self._devices.get(reading.topic)
            if device is None:
                device = self._devices[reading.topic] = _Device(reading.topic)
                await self._make_object(reading.topic)
            if reading.latest or before is None:
                self._place_of[reading.node] = reading.topic
            was_present = device.present
            changed = await self._learn(device, reading)
            if changed and reading.historical:
                behind.setdefault(device.topic, set()).update(changed)  # of many in a row, the last is one to read
            elif changed:
                await self._tell(device, changed)
            if events and (reading.kind == "event" or was_present != device.present):
                for event in events_of(reading, was_present, device.present):
                    await self._emit(reading, *event)
        for topic, changed in behind.items():
            await self._tell(self._devices[topic], changed)

    async def _learn(self, device: _Device, reading: Reading) -> set[str]:
        """The variables of which those that are subscribed to them have to hear."""
        before = device.present, device.fresh
        told = reading.received_ms if reading.time_ms is None else reading.time_ms
        if reading.kind == "status" and reading.latest:
            interval = reading.values.get("interval_s")
            device.interval_s = interval if isinstance(interval, int) else device.interval_s
            device.present = reading.values.get("state") != "offline"
        elif not reading.historical:
            device.present = True
        if device.present:
            device.heard_ms = max(device.heard_ms, told)
        device.fresh = not device.is_old(time.time_ns() // 1_000_000)
        changed: set[str] = set()
        if reading.kind in _WORDS:
            known = device.take(reading)
            if not known or self._watched(device):
                changed = device.settle()
            if not known:
                await self._make_variables(device)
        if (device.present, device.fresh) != before or not device.told:
            await self._tell_all(device)
        return changed

    async def _gone(self, device: _Device) -> None:
        device.present = False
        await self._tell_all(device)

    async def _age(self, now_ms: int) -> None:
        """Say of a node that has missed its measurements that what it said last is old."""
        for device in self._devices.values():
            if device.present and device.fresh and device.is_old(now_ms):
                device.fresh = False
                await self._tell_all(device)

    async def _tell_all(self, device: _Device) -> None:
        device.told = True
        device.settle()
        await self._make_variables(device)
        await self._tell(device, self._variables[device.topic])

    def _watched(self, device: _Device) -> bool:
        """Whether a client is subscribed to a variable of it."""
        return any(one.datachange_callbacks for one in self._variables.get(device.topic, {}).values())

    async def _tell(self, device: _Device, names: Iterable[str]) -> None:
        """Have those that are subscribed to these variables hear of them."""
        variables = self._variables[device.topic]
        for name in names:
            if variables[name].datachange_callbacks:
                identifier = f"{device.topic}/{name}"
                await self._server.server.write_attribute_value(self._id(identifier), device.data(name))

    def _id(self, identifier: str) -> ua.NodeId:
        return ua.NodeId(identifier, self._server.namespace)

    async def _make_object(self, topic: str) -> None:
        """The node's object, in a folder for each level of its place."""
        parent = self._server.server.nodes.objects
        levels = topic.split("/")
        for depth, level in enumerate(levels, 1):
            identifier = "/".join(levels[:depth])
            node = self._server.server.get_node(self._id(identifier))
            if identifier not in self._folders:
                name = ua.QualifiedName(level, self._server.namespace)
                if depth < len(levels):
                    node = await parent.add_folder(self._id(identifier), name)
                else:
                    node = await parent.add_object(self._id(identifier), name)
                await node.set_event_notifier([ua.EventNotifier.SubscribeToEvents])
                self._folders.add(identifier)
            parent = node

    async def _make_variables(self, device: _Device) -> None:
        """Those that are missing, of all that is shown."""
        made = self._variables.setdefault(device.topic, {})
        for name in ["online", *device.shown]:
            if name not in made:
                made[name] = await self._make_variable(device, name)

    async def _make_variable(self, device: _Device, name: str) -> Any:
        """What the address space holds of it: asks the device for the value, and keeps none."""
        identifier = f"{device.topic}/{name}"
        value = device.shown[name][1] if name in device.shown else Value(None, _GOOD, None)
        # A word is made as one, a number as one, whatever the first status.
        kind = ua.VariantType.Double if value.ucum else ua.VariantType.String
        definition, data_type = ua.ObjectIds.BaseDataVariableType, ua.ObjectIds.String
        properties: dict[str, ua.Variant] = {}
        if name == "level":
            kind, definition, data_type = (
                ua.VariantType.UInt32,
                ua.ObjectIds.MultiStateDiscreteType,
                ua.ObjectIds.UInt32,
            )
            properties["EnumStrings"] = ua.Variant([ua.LocalizedText(one) for one in LEVELS])
        elif name == "online":
            kind, data_type = ua.VariantType.Boolean, ua.ObjectIds.Boolean
        elif value.ucum:
            definition, data_type = ua.ObjectIds.AnalogUnitType, ua.ObjectIds.Double
            properties["EngineeringUnits"] = ua.Variant(unit_of(value.ucum), ua.VariantType.ExtensionObject)
        words = ua.LocalizedText(quantity_of(name, value.ucum).title if value.ucum else name)
        empty = {ua.VariantType.Double: 0.0, ua.VariantType.UInt32: 0, ua.VariantType.Boolean: False}.get(kind, "")
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name), Description=words, Value=ua.Variant(empty, kind),
            DataType=ua.NodeId(data_type), ValueRank=ua.ValueRank.Scalar, ArrayDimensions=None,
            AccessLevel=ua.AccessLevel.CurrentRead.mask, UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
        )  # fmt: skip
        item = ua.AddNodesItem(
            ParentNodeId=self._id(device.topic), ReferenceTypeId=ua.NodeId(ua.ObjectIds.HasComponent),
            RequestedNewNodeId=self._id(identifier), BrowseName=ua.QualifiedName(name, self._server.namespace),
            NodeClass=ua.NodeClass.Variable, NodeAttributes=attributes, TypeDefinition=ua.NodeId(definition),
        )  # fmt: skip
        server, topic = self._server.server, device.topic
        (result,) = await server.iserver.isession.add_nodes([item])
        result.StatusCode.check()
        variable = server.get_node(self._id(identifier))
        # After another `connect` the same place has another _Device.
        server.set_attribute_value_callback(variable.nodeid, lambda *_: self._devices[topic].data(name))
        server.set_attribute_value_setter(variable.nodeid, lambda *_: None)  # what is written is told, and not kept
        for title, content in properties.items():
            place = self._id(f"{identifier}/{title}")
            await variable.add_property(place, ua.QualifiedName(title, 0), content.Value, content.VariantType)
        return server.iserver.aspace[variable.nodeid].attributes[ua.AttributeIds.Value]

    async def _emit(self, reading: Reading, code: str, level: str, message: str) -> None:
        """Tell it at the server, at the node and at each folder above it: a client subscribes where it likes."""
        server = self._server.server
        if self._event_type is None:
            self._event_type = await server.create_custom_event_type(
                self._server.namespace, "NodeEventType", ua.ObjectIds.BaseEventType,
                [("Code", ua.VariantType.String), ("Level", ua.VariantType.String),
                 ("Historical", ua.VariantType.Boolean)],
            )  # fmt: skip
        event = (await server.get_event_generator(self._event_type)).event
        place = reading.place
        event.EventId = hashlib.sha256(f"{reading.node} {place.boot} {place.seq} {code}".encode()).digest()[:16]
        event.SourceNode = self._id(reading.topic)
        event.SourceName = reading.name
        event.Time = _moment(reading.received_ms if reading.time_ms is None or code == "offline" else reading.time_ms)
        event.ReceiveTime = _moment(reading.received_ms)
        event.LocalTime = ua.TimeZoneDataType()
        event.Message = ua.LocalizedText(message)
        event.Severity = _SEVERITY.get(level, _LOW)
        event.Code, event.Level, event.Historical = code, level, reading.historical
        levels = reading.topic.split("/")
        emitters = [self._id("/".join(levels[:depth])) for depth in range(1, len(levels) + 1)]
        for emitter in (ua.NodeId(ua.ObjectIds.Server), *emitters):
            event.emitting_node = emitter
            await server.iserver.subscription_service.trigger_event(event)


def _shape(reading: Reading) -> tuple[str, ...]:
    """Equal for records that say something of the same variables: all that `values_of` goes by but the values."""
    values = reading.values
    quality = values.get("quality")
    inner = [
        name for name in ("energy", "phases", "sidebands") if type(values.get(name)) is dict for name in values[name]
    ]
    own = tuple(units_of(values).items()) if "quantities" in values else ()
    return (reading.kind, *values, str(quality) if quality else "", *inner, str(own))


def values_of(reading: Reading) -> dict[str, Value]:
    """What a record of telemetry or a status shows, by variable, and how sure it is."""
    told = reading.values.get("quality")
    quality = told if isinstance(told, list) else ()  # a number where a later version says what this one can't read
    doubted: set[str] = set(_VIBRATION) if _DOUBTS.intersection(quality) else set()
    if "current_clipped" in quality:
        doubted |= _CURRENT
    failed: set[str] = set().union(*(_OF_SENSOR.get(mark, set()) for mark in quality))
    if quality or reading.values.get("machine", "watching") != "watching":
        doubted.add("level")  # a sensor that fails, and a machine that stands or is new, are not judged
    sure = reading.values.get("shaft_confidence")
    if isinstance(sure, (int, float)) and sure < _SURE:
        doubted.add("shaft_hz")
    if reading.values.get("abstained"):
        doubted.add("fault")
    found: dict[str, Value] = {}

    def add(name: str, value: float | str, ucum: str = "") -> None:
        status = _UNSURE if name in doubted | failed else _GOOD
        found[name] = Value(value, status, reading.time_ms, ucum)

    known = {**(_AS_IT_SHOULD if reading.kind == "telemetry" else {}), **reading.values}
    for name in _WORDS[reading.kind]:
        word = known.get(name)
        if isinstance(word, list):
            word = ", ".join(map(str, word))
        if word is not None:
            add(name, one_line(word))
    for name, quantity, number in numbers(reading.values):
        add(name, float(number), quantity.ucum)
    for name in failed - found.keys() - {"fault", "zone"}:  # what the sensor would have measured
        found[name] = Value(None, _FAILED, reading.time_ms, QUANTITIES[name].ucum)
    return found


def events_of(reading: Reading, was_present: bool, is_present: bool) -> Iterator[tuple[str, str, str]]:
    """(code, level, message) of what a record tells to whoever listens."""
    name = one_line(reading.name)
    if was_present != is_present:
        code = "online" if is_present else "offline"
        yield code, "ok" if is_present else "warning", f"{name}: {'is back' if is_present else 'is offline'}"
    if reading.kind != "event":
        return
    values = reading.values
    code, subject = str(values.get("code", "")), one_line(values.get("subject", ""))
    level = str(values.get("event_level") or "ok")
    begun = next((one for one in changes(reading) if isinstance(one, Begin)), None)
    if begun is not None:
        level = begun.level
    advice = next((known for key in (begun.facts["keys"] if begun else ()) if (known := entries("en").get(key))), None)
    words = [advice.title if advice else " ".join(filter(None, (code.replace("_", " "), subject)))]
    if code == "level" and level == "ok":
        words = [f"{subject} is back at ok"]
    unit = begun.facts.get("unit", "") if begun else ""
    for title, key in (("", "value"), ("limit ", "limit")):
        if isinstance(values.get(key), (int, float)):
            words.append(f"{title}{values[key]:.4g} {unit}".rstrip())
    words += [one_line(values[key]) for key in ("text", "abstained") if values.get(key)]
    yield code, level, f"{name}: {level}: " + ", ".join(words)


def unit_of(ucum: str) -> ua.EUInformation:
    """OPC 10000-8, 5.6.4.4: the unit's id is its common code, a byte a character."""
    if ucum not in UNITS:  # a machine's own: by UCUM's code, and no id (5.6.4.3)
        return ua.EUInformation(_UCUM, -1, ua.LocalizedText(ucum), ua.LocalizedText(ucum))
    code, symbol, title = UNITS[ucum]
    number = int.from_bytes(code.encode(), "big")
    return ua.EUInformation(UNECE, number, ua.LocalizedText(symbol), ua.LocalizedText(title))


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _data(name: str, value: Value, status: int) -> ua.DataValue:
    now = datetime.now(UTC)
    stamp = None if value.time_ms is None else _moment(value.time_ms)
    if value.value is None or ua.StatusCode(status).is_bad():  # then there is none: OPC 10000-4, 7.11.1
        content = ua.Variant()
    elif name == "level":
        level = str(value.value)
        if level in LEVELS:
            content = ua.Variant(LEVELS.index(level), ua.VariantType.UInt32)
        else:  # a word of a later firmware
            content, status = ua.Variant(), ua.StatusCodes.BadOutOfRange
    elif name == "online":
        content = ua.Variant(value.value == "yes", ua.VariantType.Boolean)
    else:
        content = ua.Variant(value.value)
    return ua.DataValue(content, ua.StatusCode(status), stamp, now)
