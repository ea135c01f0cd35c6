"""What a plant's faults are in full, drawn from its seed: which node, when, how often its supply sags, and so on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from quaver.plant.spec import PLANT_WIDE, Plant

_OPERATIONS = 60  # of the flash, after which a drawn cut comes at the latest
_SAG_S = (0.1, 0.8)  # without power
_BETWEEN_S = (0.3, 6.0)  # and with it, between two sags


@dataclass(frozen=True)
class Injected:
    """A fault as it was drawn: of this node (or the plant: ""), from `at` for `lasts`, in seconds; as in `Fault`."""

    kind: str
    at: float
    lasts: float
    node: str
    sensor: str
    loss: float
    drift: float = 0.0
    operation: int = 0
    torn: bool = False
    jump: float = 0.0
    of: str = ""

    @property
    def ends(self) -> float:
        return self.at + self.lasts


def drawn(plant: Plant) -> list[Injected]:
    """Every fault of a plant with its moment, in order of time."""
    found = []
    for number, fault in enumerate(plant.fault):
        chance = random.Random(f"{plant.seed} fault {number}")  # noqa: S311 - a seeded simulation
        whom = plant.whom(fault)
        for _ in range(fault.count):
            at = fault.at if fault.by is None else chance.uniform(fault.at, fault.by)
            node = fault.node or ("" if fault.kind in PLANT_WIDE else chance.choice(whom))
            one = Injected(fault.kind, round(at, 3), fault.lasts, node, fault.sensor, fault.loss)
            if fault.kind == "drift":
                one = replace(one, drift=fault.drift)
            elif fault.kind == "flash_cut":
                operation = fault.operation or chance.randint(1, _OPERATIONS)
                torn = chance.random() < 0.5 if fault.torn is None else fault.torn
                one = replace(one, operation=operation, torn=torn)
            elif fault.kind == "clock":
                one = replace(one, jump=fault.jump, of=fault.of)
            found.append(one)
    return sorted(found, key=lambda one: (one.at, one.kind, one.node))


def without_overlaps(faults: list[Injected]) -> list[Injected]:
    """Those that a node, or the plant, has not yet of the same kind when they come."""
    ends: dict[tuple[str, ...], float] = {}
    kept = []
    for one in faults:
        key = one.node, one.kind, one.of, one.sensor if one.kind == "drift" else ""
        if one.at > ends.get(key, -1.0):
            ends[key] = one.ends
            kept.append(one)
    return kept


def injected(plant: Plant) -> list[Injected]:
    """What is done to a plant, in order of time."""
    return without_overlaps(drawn(plant))


def sags(plant: Plant, one: Injected) -> Iterator[tuple[float, float]]:
    """When the supply of a brown-out's node goes and is back; at least one sag, and the last ends with the fault."""
    chance = random.Random(f"{plant.seed} sags {one.node} {one.at}")  # noqa: S311 - a seeded simulation
    at = one.at
    while at < one.ends:
        back = min(at + chance.uniform(*_SAG_S), one.ends)
        yield round(at, 3), round(back, 3)
        at = back + chance.uniform(*_BETWEEN_S)


@dataclass(frozen=True)
class Drift:
    """A sensor that is off by ever more, from `at` on, up to the share `drift` when it is replaced."""

    at: float
    lasts: float
    drift: float

    def gain(self, time_s: float) -> float:
        """What the sensor's reading is multiplied by."""
        return 1 + self.drift * (time_s - self.at) / self.lasts if 0 <= time_s - self.at < self.lasts else 1.0
