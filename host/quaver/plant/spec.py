"""A plant as data: the plant.toml that `quaver plant` runs, checked whole before anything starts.

Times are texts with a unit ("90s", "15m", "24h", "7d"); moments are times since the start. What a key means stands
beside it below; `quaver plant new` writes an example with every table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from quaver.errors import PlantError
from quaver.files.tables import first_mistake, read_tables
from quaver_wire.bearings import LIBRARY

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LEVELS = 4  # site/area/line/asset
NODES_MAX = 2000
EXAMPLE = Path(__file__).with_name("example.toml")


def seconds(text: object) -> float:
    """ "90s" as 90.0. Raises ValueError."""
    if isinstance(text, str) and (found := _TIME.fullmatch(text.strip())):
        return float(found[1]) * _SECONDS[found[2]]
    raise ValueError('expected a time with its unit, such as "90s", "15m", "24h" or "7d"')


def _place(text: str) -> str:
    levels = text.split("/")
    if len(levels) != _LEVELS or not all(1 <= len(level) <= 24 and level.isprintable() for level in levels):
        raise ValueError('expected "site/area/line/asset", each of 1 to 24 characters')
    return text


def _node_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,24}", text):
        raise ValueError("expected 1 to 24 of the characters A-Z a-z 0-9 . _ -")
    return text


def _names(given: object) -> object:
    """ "gw" as ("gw",): one name is as good as a list of one."""
    return () if given == "" else (given,) if isinstance(given, str) else given


def _jump(text: object) -> float:
    """ "-10m" as -600.0. Raises ValueError."""
    if isinstance(text, str) and text.strip()[:1] in ("-", "+"):
        return seconds(text.strip()[1:]) * (-1 if text.strip()[0] == "-" else 1)
    return seconds(text)


Seconds = Annotated[float, BeforeValidator(seconds), PlainSerializer(lambda time: f"{time:g}s")]
Jump = Annotated[float, BeforeValidator(_jump), PlainSerializer(lambda time: f"{time:g}s")]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Wear(_Table):
    """A bearing's way to a named fault: severity grows by a power law from `begins` to `fails`, then stays."""

    fault: Literal["outer", "inner", "ball", "unbalance", "misalignment", "looseness", "gear mesh", "resonance"]
    begins: Seconds
    fails: Seconds
    severity: Annotated[float, Field(gt=0, le=10)] = 1.0  # at `fails`; 1 is a click of 4 g
    exponent: Annotated[float, Field(ge=0.5, le=10)] = 2.0

    @model_validator(mode="after")
    def _in_order(self) -> Wear:
        if self.fails <= self.begins:
            raise ValueError("`fails` has to come after `begins`")
        return self

    def at(self, time_s: float) -> float:
        """The severity at a moment."""
        share = (time_s - self.begins) / (self.fails - self.begins)
        return float(self.severity * min(max(share, 0.0), 1.0) ** self.exponent)


class Shift(_Table):
    """When a machine runs, each day of `days`, by the plant's clock; outside of every shift it stands."""

    begins: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    ends: Annotated[str, Field(pattern=r"^([01]\d|2[0-4]):[0-5]\d$")]
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    )  # fmt: skip
    speed: Annotated[float, Field(gt=0, le=60_000)] | None = None  # 1/min; the machine's own without
    load: Annotated[float, Field(ge=0, le=2)] = 1.0  # of the machine's power and warmth


class Machine(_Table):
    """An asset: a physical model with a life, or a recording. `count`, as of a node, makes so many."""

    place: str
    count: Annotated[int, Field(ge=1, le=NODES_MAX)] = 1
    speed: Annotated[float, Field(gt=0, le=60_000)] = 1480.0  # 1/min
    bearing: str = "6205"  # of the library that the nodes know; "": they are told of none
    recording: str = ""  # a file, or mfpt:NAME, in place of the model
    wear: Wear | None = None
    shifts: tuple[Shift, ...] = ()  # none: it always runs
    idle_w: Annotated[float, Field(ge=0)] = 200.0  # while it stands
    power_w: Annotated[float, Field(ge=0)] = 4000.0  # at load 1
    ambient_c: float = 22.0
    warms_c: Annotated[float, Field(ge=0, le=150)] = 25.0  # above ambient, at load 1
    warms_in: Seconds = 1800.0  # time constant

    @model_validator(mode="after")
    def _known(self) -> Machine:
        if self.bearing and self.bearing not in LIBRARY:
            raise ValueError(f"bearing {self.bearing!r} is not in the library: expected one of {', '.join(LIBRARY)}")
        return self


class Node(_Table):
    """A node and its board. `count` makes so many of it: "{n}" in name and place is 1, 2, and so on."""

    name: str
    place: str
    board: Literal["unix", "pico_w", "esp32_c3"] = "unix"
    count: Annotated[int, Field(ge=1, le=NODES_MAX)] = 1
    interval: Seconds = 60.0
    samples: Annotated[int, Field(ge=0, le=32_768)] = 4096  # of a measurement
    learn: Annotated[int, Field(ge=2, le=100)] = 10  # measurements of the baseline
    sensors: tuple[Literal["vibration", "temperature", "energy"], ...] = ("vibration", "temperature")
    loss: Share = 0.0  # of its packets
    # The name of the gateway that fetches its records over Bluetooth, or the names of several; none: it has Wi-Fi.
    gateway: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    config: dict[str, Any] = Field(default_factory=dict)  # what else its config.json says


class Gateway(_Table):
    """A gateway and its board: it fetches over Bluetooth what the nodes say that name it, and has Wi-Fi."""

    name: str
    place: str
    board: Literal["unix"] = "unix"
    interval: Seconds = 60.0  # between its own records
    loss: Share = 0.0  # of its packets on the Wi-Fi
    config: dict[str, Any] = Field(default_factory=dict)  # what else its config.json says


class Fault(_Table):
    """What is done to the plant at a moment, or, `count` times, at moments drawn from the seed between `at` and `by`.

    power_cut, wifi_gone, lossy: of a node, for `lasts`. brownout: for `lasts` its supply sags again and again, each
    time below what it needs. flash_cut: its power goes at a flash operation after `at`, and comes back after `lasts`.
    stuck, absent, range: of a node's `sensor`, for `lasts`; drift: it drifts for so long, then it is replaced.
    out_of_range: no gateway of a node on Bluetooth hears it, nor it them; gateway_dies: a gateway's power goes.
    retire: a technician takes this node out of service, and it is the wrong one.
    broker_restart: the broker is away for `lasts`. ingest_down: what comes meanwhile waits at the broker.
    full_disk: the ingest can't write for so long. clock: somebody's clock is off by `jump` for so long.
    replay: a stranger sends old messages of a node again; forged: messages that no node made.
    """

    kind: Literal[
        "power_cut", "brownout", "flash_cut", "wifi_gone", "lossy", "stuck", "absent", "range", "drift", "retire",
        "out_of_range", "gateway_dies",
        "broker_restart", "ingest_down", "full_disk", "clock", "replay", "forged",
    ]  # fmt: skip
    at: Seconds
    by: Seconds | None = None
    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    lasts: Seconds = 30.0
    node: str = ""  # by name; with `count`, empty is any
    sensor: Literal["vibration", "temperature", "energy"] = "vibration"
    loss: Share = 0.2
    drift: Annotated[float, Field(gt=-1, le=10)] = 0.3  # the share by which the sensor is off at the end
    operation: Annotated[int, Field(ge=0, le=100_000)] = 0  # of the flash, 1 is the next; 0: drawn
    torn: bool | None = None  # half of the operation is done, or nothing of it; drawn where it is not said
    jump: Jump = 600.0
    of: Literal["time_server", "ingest"] = "time_server"  # whose clock

    @model_validator(mode="after")
    def _whole(self) -> Fault:
        if self.lasts < 1:
            raise ValueError("`lasts` is at least 1s")
        if self.by is not None and self.by < self.at:
            raise ValueError("`by` has to come after `at`")
        if not self.node and self.count == 1 and self.by is None and self.kind not in PLANT_WIDE:
            raise ValueError(f"{self.kind} is of a node: name it with `node`, or give `by` to have one drawn")
        for key, kind in _KEYS.items():
            if key in self.model_fields_set and self.kind != kind:
                raise ValueError(f"{self.kind} has no `{key}`: expected only with kind = {kind!r}")
        if not self.jump:
            raise ValueError('`jump` is 0: expected how far the clock is off, such as "10m" or "-10m"')
        return self


SENSOR_FAULTS = ("stuck", "absent", "range", "drift")
POWER_FAULTS = ("power_cut", "brownout", "flash_cut")
PLANT_WIDE = ("broker_restart", "ingest_down", "full_disk", "clock", "forged")
MOMENTS = ("replay", "forged", "retire")  # they have no length
_KEYS = {"drift": "drift", "operation": "flash_cut", "torn": "flash_cut", "jump": "clock", "of": "clock"}


class Expect(_Table):
    """What has to be true at the end, or the exit code is 1."""

    unexplained: Annotated[int, Field(ge=0)] | None = 0  # records missing without a reason
    false_alarms: Annotated[int, Field(ge=0)] | None = 0  # of machines without a fault
    missed: Annotated[int, Field(ge=0)] | None = 0  # faults that failed and raised no alarm
    detected_within: Seconds | None = None  # of the moment at which wear began
    restarts: Annotated[int, Field(ge=0)] | None = None  # beyond those that were injected


class Plant(_Table):
    """The whole file."""

    name: str = "plant"
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1
    start: datetime = datetime.fromisoformat("2026-01-05T06:00:00+00:00")
    duration: Seconds = 3600.0
    exchange: Seconds = 5.0  # how long a message between two nodes takes at most, as nodes run side by side
    machine: tuple[Machine, ...] = ()
    node: Annotated[tuple[Node, ...], Field(min_length=1)]
    gateway: tuple[Gateway, ...] = ()
    fault: tuple[Fault, ...] = ()
    expect: Expect = Expect()

    @model_validator(mode="after")
    def _consistent(self) -> Plant:
        if self.start.tzinfo is None:
            raise ValueError("start: expected a date with its offset, such as 2026-01-05T06:00:00+01:00")
        if not 0.1 <= self.exchange <= 60:
            raise ValueError("exchange: expected 0.1s to 60s")
        places = self.machines()
        if len(places) < sum(machine.count for machine in self.machine):
            raise ValueError("machine: two machines have the same place")
        names: set[str] = set()
        gateways = {gateway.name for gateway in self.gateway}
        for gateway in self.gateway:
            _node_name(gateway.name), _place(gateway.place)
        for station in self.stations():
            if station.name in names:
                raise ValueError(f"node {station.name}: the name stands twice")
            names.add(station.name)
        for node in self.nodes():
            for name in node.gateway:
                if name not in gateways:
                    raise ValueError(f"node {node.name}: no gateway has the name {name!r}")
            if node.gateway and node.board != "unix":
                raise ValueError(f"node {node.name}: expected board = 'unix' for a node on Bluetooth")
            if node.place not in places:
                raise ValueError(f"node {node.name}: no machine has the place {node.place!r}")
        if len(names) > NODES_MAX:
            raise ValueError(f"node: {len(names)} nodes, at most {NODES_MAX}")
        for fault in self.fault:
            if fault.node and fault.node not in names:
                raise ValueError(f"fault {fault.kind}: no node has the name {fault.node!r}")
            whom = () if fault.kind in PLANT_WIDE else self.whom(fault)
            if fault.kind not in PLANT_WIDE and (fault.node not in whom if fault.node else not whom):
                raise ValueError(f"fault {fault.kind}: {self._why_not(fault)}")
            if fault.at > self.duration or (fault.by or 0) > self.duration:
                raise ValueError(f"fault {fault.kind}: it comes after the end, at {self.duration:g} s")
        return self

    def nodes(self) -> list[Node]:
        """Each node by itself: those with a `count` are made so many."""
        return [
            node.model_copy(update={"name": _node_name(_nth(node.name, n)), "place": _place(_nth(node.place, n))})
            for node in self.node
            for n in range(1, node.count + 1)
        ]

    def stations(self) -> list[Node | Gateway]:
        """The gateways, and each node by itself."""
        return [*self.gateway, *self.nodes()]

    def whom(self, fault: Fault) -> list[str]:
        """The names of those to whom a fault can happen; where none is named, one of the nodes among them is drawn."""
        nodes = self.nodes()
        gateways = [gateway.name for gateway in self.gateway]
        if fault.kind == "gateway_dies":
            return gateways
        if fault.kind == "out_of_range":
            return [node.name for node in nodes if node.gateway]
        if fault.kind in SENSOR_FAULTS:
            return [node.name for node in nodes if fault.sensor in node.sensors]
        if fault.kind == "wifi_gone":
            return [node.name for node in nodes if not node.gateway] + (gateways if fault.node else [])
        return [node.name for node in nodes] + (gateways if fault.node and fault.kind != "retire" else [])

    def _why_not(self, fault: Fault) -> str:
        wanted = {"gateway_dies": "gateway", "out_of_range": "node with a `gateway`", "wifi_gone": "node with Wi-Fi"}
        what = (
            f"node with the sensor {fault.sensor!r}" if fault.kind in SENSOR_FAULTS else wanted.get(fault.kind, "node")
        )
        return f"expected a {what}, which {fault.node} is not" if fault.node else f"the plant has no {what}"

    def as_toml(self) -> str:
        """The plant as a file that says the same, without what has its usual value."""
        import tomli_w

        text: str = tomli_w.dumps({"start": self.start, **self.model_dump(exclude_defaults=True)})
        return text

    def machines(self) -> dict[str, Machine]:
        """Each machine by its place."""
        found = {}
        for machine in self.machine:
            for n in range(1, machine.count + 1):
                place = _place(_nth(machine.place, n))
                found[place] = machine.model_copy(update={"place": place})
        return found


def _nth(text: str, n: int) -> str:
    return text.replace("{n}", str(n))


def load_plant(path: Path) -> Plant:
    """The plant of a file. Raises PlantError, which names file, key and what was expected."""
    return plant_of(read_tables(path, PlantError, f"quaver plant new {path} writes an example"), f"{path}: ")


def plant_of(tables: Mapping[str, Any], source: str = "") -> Plant:
    """The plant of such tables. source: begins what is said of a mistake. Raises PlantError."""
    try:
        return Plant.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, said = first_mistake(error, "plant")
        told = first["type"] not in ("missing", "extra_forbidden") and first["loc"]
        found = f", found {_shown(first)}" if told else ""
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlantError(f"{source}{where}: {said[:1].lower() + said[1:]}{found}{more}") from error


def _shown(error: Any) -> str:
    text = repr(error["input"])
    return text if len(text) <= 60 else text[:57] + "..."
