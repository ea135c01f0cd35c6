"""A plant as data: the plant.toml that `quaver plant` runs, checked whole before anything starts.

Times are texts with a unit ("90s", "15m", "24h", "7d"); moments are times since the start. What a key means stands
beside it below; `quaver plant new` writes an example with every table.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from quaver.errors import PlantError
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


Seconds = Annotated[float, BeforeValidator(seconds), PlainSerializer(lambda time: f"{time:g}s")]
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
    board: Literal["unix"] = "unix"
    count: Annotated[int, Field(ge=1, le=NODES_MAX)] = 1
    interval: Seconds = 60.0
    samples: Annotated[int, Field(ge=0, le=32_768)] = 4096  # of a measurement
    learn: Annotated[int, Field(ge=2, le=100)] = 10  # measurements of the baseline
    sensors: tuple[Literal["vibration", "temperature", "energy"], ...] = ("vibration", "temperature")
    loss: Share = 0.0  # of its packets
    config: dict[str, Any] = Field(default_factory=dict)  # what else its config.json says


class Fault(_Table):
    """What is done to the plant at a moment, or, `count` times, at moments drawn from the seed between `at` and `by`.

    power_cut, wifi_gone, lossy: of a node, for `lasts`. stuck, absent, range: of a node's `sensor`, for `lasts`.
    broker_restart: the broker is away for `lasts`. ingest_down: what comes meanwhile waits at the broker.
    replay: a stranger sends old messages of a node again; forged: messages that no node made.
    """

    kind: Literal[
        "power_cut", "wifi_gone", "lossy", "stuck", "absent", "range",
        "broker_restart", "ingest_down", "replay", "forged",
    ]  # fmt: skip
    at: Seconds
    by: Seconds | None = None
    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    lasts: Seconds = 30.0
    node: str = ""  # by name; with `count`, empty is any
    sensor: Literal["vibration", "temperature", "energy"] = "vibration"
    loss: Share = 0.2

    @model_validator(mode="after")
    def _whole(self) -> Fault:
        if self.lasts < 1:
            raise ValueError("`lasts` is at least 1s")
        if self.by is not None and self.by < self.at:
            raise ValueError("`by` has to come after `at`")
        if not self.node and self.count == 1 and self.by is None and self.kind not in PLANT_WIDE:
            raise ValueError(f"{self.kind} is of a node: name it with `node`, or give `by` to have one drawn")
        return self


SENSOR_FAULTS = ("stuck", "absent", "range")
PLANT_WIDE = ("broker_restart", "ingest_down", "forged")


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
        for node in self.nodes():
            if node.name in names:
                raise ValueError(f"node {node.name}: the name stands twice")
            names.add(node.name)
            if node.place not in places:
                raise ValueError(f"node {node.name}: no machine has the place {node.place!r}")
        if len(names) > NODES_MAX:
            raise ValueError(f"node: {len(names)} nodes, at most {NODES_MAX}")
        for fault in self.fault:
            if fault.node and fault.node not in names:
                raise ValueError(f"fault {fault.kind}: no node has the name {fault.node!r}")
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
    try:
        with path.open("rb") as file:
            return plant_of(tomllib.load(file), f"{path}: ")
    except OSError as error:
        raise PlantError(f"{path}: {error.strerror}; `quaver plant new {path}` writes one") from error
    except tomllib.TOMLDecodeError as error:
        raise PlantError(f"{path}: is no TOML: {error}") from error


def plant_of(tables: Mapping[str, Any], source: str = "") -> Plant:
    """The plant of such tables. source: begins what is said of a mistake. Raises PlantError."""
    try:
        return Plant.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "plant"
        said = first["msg"].removeprefix("Value error, ")
        told = first["type"] not in ("missing", "extra_forbidden") and first["loc"]
        found = f", found {_shown(first)}" if told else ""
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PlantError(f"{source}{where}: {said[:1].lower() + said[1:]}{found}{more}") from error


def _shown(error: Any) -> str:
    text = repr(error["input"])
    return text if len(text) <= 60 else text[:57] + "..."
