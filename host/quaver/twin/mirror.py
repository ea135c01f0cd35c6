"""The plant.toml that mirrors a live plant: what inventory, store and the nodes' own configurations tell of it.

What nobody knows is left as a plant has it: no wear, no shifts. A box has one part for each measurement, on the board
file's pins: how the live sensors are wired is no part of a twin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any

from quaver.errors import PlantError
from quaver.fleet.inventory import Entry
from quaver.plant.island import node_config
from quaver.plant.spec import Machine, Node, Plant, plant_of
from quaver.store.rows import Node as Known
from quaver.store.store import Store
from quaver.twin.device import Device
from quaver.twin.records import History, history
from quaver_wire.bearings import LIBRARY

# What a twin's configuration has in common with the live one's, and what of it is wiring.
_SECTIONS = ("interval_s", "vibration", "machine", "alarm", "limits", "temperature", "energy", "outbox", "watchdog_s")
_WIRING = (
    *("driver", "bus", "cs", "address", "range_g", "baudrate", "parity", "de_pin", "tachometer_pin"),
    *("wires", "reference_ohm", "registers", "width_ms", "pulses_per_kwh", "sensitivity_mv_g", "drdy_pin"),
)
_SENSORS = {"vibration": "rms_g", "temperature": "temperature_c", "energy": "energy"}
_ON, _OFF = "on", "off"
_WATTS = 2  # of the field `energy`
_FEW = 20  # values, from which on their quantiles say something
_STATUS = "SELECT body FROM record WHERE node = ? AND class = 'status' ORDER BY boot DESC, seq DESC LIMIT 8"


@dataclass(frozen=True)
class Mirrored:
    """The twin, and in lines what of the live plant is not in it."""

    plant: Plant
    notes: tuple[str, ...]


def mirror(
    store: Store, name: str, entries: Iterable[Entry], configs: Mapping[str, Mapping[str, Any]], device: Device
) -> Mirrored:
    """entries: of the inventory. configs: of nodes that were asked, by name. Raises StoreError, PlantError."""
    known = {entry.id: entry for entry in entries}
    machines: dict[str, dict[str, Any]] = {}
    nodes, notes, found = [], [], False
    for live in store.nodes():
        place, _, own = live.topic.rpartition("/")
        past = history(store, live.id.hex())
        entry = known.get(live.id)
        if not past.measured or (entry is not None and entry.state == "retired"):
            notes.append(f"{own}: is left out: it is retired, or has measured nothing")
            continue
        found = True
        config = configs.get(own)
        if config is None:
            notes.append(f"{own}: its configuration is not known; its twin's is as the firmware has it")
        if place not in machines:
            machines[place] = _machine(place, own, entry, config or {}, past, notes)
        nodes.append(_node(store, live, config, past, machines[place], device, notes))
    if not found:
        raise PlantError(f"{store.name}: no node has measured anything yet; let quaver ingest run first")
    tables = {
        "name": name,
        "start": datetime.now(UTC).replace(microsecond=0),
        "machine": list(machines.values()),
        "node": nodes,
        "expect": {"restarts": 0},
    }
    return Mirrored(plant_of(tables, "the twin: "), tuple(notes))


def _machine(
    place: str, own: str, entry: Entry | None, config: Mapping[str, Any], past: History, notes: list[str]
) -> dict[str, Any]:
    said = config.get("machine") or {}
    table: dict[str, Any] = {"place": place}
    speed = said.get("rpm") or (entry.rpm if entry else None)
    if speed:
        table["speed"] = float(speed)
    bearing = said.get("bearing") or (entry.bearing if entry else None)
    table["bearing"] = bearing if isinstance(bearing, str) and bearing in LIBRARY else ""
    if bearing and not table["bearing"]:
        notes.append(f"{own}: its bearing is not in the library; its twin's machine sounds like a 6205")
    warmth = _range(one.values.get("temperature_c") for one in past.measured)
    if warmth:
        table |= {"ambient_c": round(warmth[0], 1), "warms_c": round(warmth[1] - warmth[0], 1)}
    power = _range((one.values.get("energy") or [None] * 3)[_WATTS] for one in past.measured)
    if power:
        table |= {"idle_w": round(power[0], 1), "power_w": round(power[1], 1)}
    return table


def _range(values: Iterable[float | None]) -> tuple[float, float] | None:
    """The 5th and the 95th percentile; None of few values."""
    there = [value for value in values if value is not None and value >= 0]
    if len(there) < _FEW:
        return None
    cuts = quantiles(there, n=20)
    return cuts[0], cuts[-1]


def _node(
    store: Store,
    live: Known,
    config: Mapping[str, Any] | None,
    past: History,
    machine: Mapping[str, Any],
    device: Device,
    notes: list[str],
) -> dict[str, Any]:
    place, _, own = live.topic.rpartition("/")
    sensors = [name for name, field in _SENSORS.items() if any(one.values.get(field) for one in past.measured)]
    said = config or {}
    table: dict[str, Any] = {"name": own, "place": place, "sensors": sensors, "samples": past.samples or 0}
    table["interval"] = f"{float(said.get('interval_s') or _interval(store, live) or 60):g}s"
    if learn := (said.get("machine") or {}).get("learn"):
        table["learn"] = learn
    if samples := (said.get("vibration") or {}).get("samples"):
        table["samples"] = samples
    if config is not None:
        twins = node_config(Node.model_validate(table), Machine.model_validate(machine))
        driver = (said.get("vibration") or {}).get("driver", "iis3dwb")
        if driver != "iis3dwb":
            notes.append(f"{own}: measures with an {driver}, its twin with an IIS3DWB at another rate")
        table["config"] = _nested(drift(device, config, twins))
    return table


def _interval(store: Store, live: Known) -> float | None:
    for (body,) in store.query(_STATUS, (live.number,)):
        if interval := json.loads(body).get("interval_s"):
            return float(interval)
    return None


def drift(device: Device, live: Mapping[str, Any], twins: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """path -> (value of the live node, of its twin) where both differ; no wiring, no secret."""
    there, here = (dict(_leaves(device.parse(config))) for config in (live, twins))
    return {
        path: (there.get(path), here.get(path))
        for path in sorted(there.keys() | here.keys())
        if there.get(path) != here.get(path)
    }


def _leaves(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section in _SECTIONS:
        value = settings.get(section)
        if value is None or isinstance(value, Mapping):
            yield section, _OFF if value is None else _ON
        else:
            yield section, value
            continue
        for key, inner in (value or {}).items():
            if key not in _WIRING:
                yield f"{section}.{key}", inner


def _nested(differences: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """A node's `config`, from drifts: what TOML has no word for, a value that is none, is left out."""
    found: dict[str, Any] = {}
    for path, (value, _) in differences.items():
        section, _, key = path.partition(".")
        if value in (None, _ON, _OFF):
            continue
        if key:
            found.setdefault(section, {})[key] = value
        else:
            found[section] = value
    return found


def lines(differences: Mapping[str, tuple[Any, Any]]) -> Sequence[str]:
    """A drift for a person, a line a setting."""
    return [
        f"{path} is {json.dumps(live)}, its twin's {json.dumps(twin)}" for path, (live, twin) in differences.items()
    ]
