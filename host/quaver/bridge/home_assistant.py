"""The sink that has Home Assistant discover the nodes: a device each, whose sensors read the open JSON messages.

Home Assistant 2026.2, its MQTT integration: device discovery (one message a device), sensor, binary sensor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from quaver import __version__
from quaver.bridge.sink import SinkDown
from quaver.bridge.spec import Mqtt, broker_of
from quaver.broker.session import Session
from quaver.errors import BrokerError
from quaver.messages.quantities import OWN, QUANTITIES, Quantity, numbers
from quaver.query.source import Reading, Source
from quaver.store.location import Location
from quaver_wire.fields import FAULTS, LEVELS
from quaver_wire.names import MACHINE, ZONES

# What Home Assistant calls a unit, where that is not UCUM's code.
_UNITS = {
    "[g]": "g", "Cel": "°C", "kW.h": "kWh", "V.A": "VA", "us": "\u03bcs", "By": "B", "1": None, "m3": "m³", "l": "L",
    "m3/s": "m³/s", "m3/h": "m³/h", "l/min": "L/min", "N.m": "N·m",
}  # fmt: skip
_WORDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "level": ("level", LEVELS),
    "fault": ("fault", (*FAULTS, "none")),
    "machine": ("machine", MACHINE),
    "zone": ("ISO 20816-3 zone", ZONES),
}
_MISSED = 3  # measurements; then a value is no longer shown as one of now
_LOOK_BACK = 20  # measurements of a node: every tenth has all that it can say
_AGES_S = (60, 7 * 86400)


@dataclass
class _Device:
    """What Home Assistant is told of a node. names: of what it has measured; own: that of it which has no field."""

    node: str
    topic: str
    interval_s: int = 0
    firmware: str = ""
    board: str = ""
    names: frozenset[str] = frozenset()
    own: Mapping[str, Quantity] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.topic.rpartition("/")[2]


class HomeAssistant:
    """Tells a node's sensors when they are known, and again when there are more, or another firmware."""

    name = "home_assistant"
    batch = 1000

    def __init__(self, spec: Mqtt, store: Location) -> None:
        self._spec = spec
        self._store = store
        self._session: Session | None = None
        self._devices: dict[str, _Device] = {}
        self._untold: set[str] = set()  # nodes of which there is something new

    def connect(self, done: int) -> None:
        self.close()
        self._session = Session(broker_of(self._spec), (), self._spec.ca, may="write")
        try:
            self._session.__enter__()
        except BrokerError as error:
            self._session = None
            raise SinkDown(str(error)) from error
        with Source(self._store) as source:  # what was known of each node before this start
            # A last will says nothing of the firmware: the status before it does.
            for reading in (*source.newest("status", 2), *source.newest("telemetry", _LOOK_BACK)):
                self._learn(reading)
        self._tell()

    def put(self, readings: Sequence[Reading], done: int, note: Callable[[int], None]) -> None:
        for reading in readings:
            self._learn(reading)
        note(done + self._tell())

    def _learn(self, reading: Reading) -> None:
        values = reading.values
        before = self._devices.get(reading.node)
        device = before or _Device(reading.node, reading.topic)
        if reading.kind == "status":
            told = {name: values[name] for name in ("interval_s", "firmware", "board") if name in values}
            device = replace(device, **told)
        elif reading.kind == "telemetry":
            found = {name: quantity for name, quantity, _ in numbers(values)}
            names = found.keys() | (_WORDS.keys() & values.keys())
            if not names <= device.names:
                device = replace(device, names=device.names | names)
            own = {name: quantity for name, quantity in found.items() if name not in QUANTITIES}
            if own.items() - device.own.items():
                device = replace(device, own={**device.own, **own})
        if reading.latest and reading.topic != device.topic:
            device = replace(device, topic=reading.topic)
        if device != before:
            self._devices[reading.node] = device
            self._untold.add(reading.node)

    def _tell(self) -> int:
        """Publish what is new of each device; how many there were."""
        count = 0
        for node in sorted(self._untold):
            device = self._devices[node]
            if device.names:
                message = json.dumps(discovery(device, self._spec.prefix), sort_keys=True).encode()
                topic = f"{self._spec.home_assistant}/device/quaver_{node}/config"
                assert self._session is not None
                try:
                    self._session.put(topic, message, f"what {device.name} has", retain=True)
                except BrokerError as error:
                    raise SinkDown(str(error)) from error
                count += 1
            self._untold.discard(node)
        return count

    def rest(self, blind: bool = False) -> None:
        if self._session is not None and not self._session.up:
            raise SinkDown(f"broker {self._session.url}: connection lost")

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.__exit__(None, None, None)


def discovery(device: _Device, prefix: str) -> dict[str, Any]:
    """The message by which Home Assistant knows a node and what it measures."""
    node = f"{prefix}/{device.topic}"
    components: dict[str, Any] = {}

    def add(value: str, platform: str, template: str, **more: Any) -> None:
        # A value of a backlog, or one that is not in this message, renders as nothing, which changes nothing.
        components[value.replace(".", "_")] = {
            "platform": platform,
            "unique_id": f"quaver_{device.node}_{value.replace('.', '_')}",
            "state_topic": f"{node}/telemetry",
            "value_template": f"{{% if not value_json.historical %}}{{{{ {template} }}}}{{% endif %}}",
            **({"expire_after": _expires_s(device.interval_s)} if device.interval_s else {}),
            **{key: told for key, told in more.items() if told},
        }

    for name, quantity in (*QUANTITIES.items(), *sorted(device.own.items())):
        if name in device.names:
            value = _path(name) + ("['value']" if name.startswith(OWN) else "")
            add(
                name,
                "sensor",
                f"value_json['values']{value} | default('')",
                name=quantity.title,
                unit_of_measurement=_UNITS.get(quantity.ucum, quantity.ucum),
                device_class=quantity.device_class,
                state_class="total_increasing" if quantity.total else "measurement",
            )
    for name, (title, options) in _WORDS.items():
        if name in device.names:
            template = f"value_json['values']{_path(name)} | default('{'none' if name == 'fault' else ''}')"
            add(name, "sensor", template, name=title, device_class="enum", options=list(options))
    alarm = "'ON' if value_json['values'].level | default('ok') == 'alarm' else 'OFF'"
    add("alarm", "binary_sensor", alarm, name="alarm", device_class="problem")
    _, area, *_ = device.topic.split("/")
    return {
        "device": {
            "identifiers": [f"quaver_{device.node}"],
            "name": device.name,
            "manufacturer": "Quaver",
            "suggested_area": area,
            **({"model": device.board} if device.board else {}),
            **({"sw_version": device.firmware} if device.firmware else {}),
        },
        "origin": {"name": "quaver", "sw_version": __version__},
        "components": components,
        "availability": [
            {
                "topic": f"{node}/status",
                "value_template": "{{ 'offline' if value_json['values'].state == 'offline' else 'online' }}",
            }
        ],
        "qos": 1,
    }


def _path(name: str) -> str:
    return "".join(f"['{part}']" for part in name.split("."))


def _expires_s(interval_s: int) -> int:
    return min(max(_MISSED * interval_s, _AGES_S[0]), _AGES_S[1])
