"""Charge by state: how long a board was in each, times what the state takes, by published figures.

The currents of a board's states are in its file (boards/*.toml), those of sensors in sensors/currents.toml, each with
its source. What a board has beside its module, and a battery's own losses, are in none of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from quaver.board.spec import BoardSpec, Current
from quaver.emulator.radio.path import Tally
from quaver.errors import BoardError

_SENSORS = Path(__file__).with_name("sensors") / "currents.toml"


@dataclass(frozen=True)
class Share:
    """One state: its time, what it takes, and where that is from."""

    state: str
    seconds: float
    current: Current

    @property
    def mas(self) -> float:
        """The charge, in mA times seconds."""
        return self.seconds * self.current.ma


@cache
def sensor_currents(part: str) -> Mapping[str, Current]:
    """{"measures", "rests", "watches": its current} of a sensor, as far as known. Raises BoardError."""
    table = tomllib.loads(_SENSORS.read_text(encoding="utf-8"))
    if part not in table:
        raise BoardError(f"the currents of {part} are not known: take one of {', '.join(sorted(table))}")
    return {name: Current(float(ma), source) for name, (ma, source) in table[part].items()}


def shares(spec: BoardSpec, states: Mapping[str, float], radio: Tally | None) -> list[Share]:
    """What the chip was in for how long, with its radio; none of its sleep.

    states: seconds, of `ChildBoard.states`; radio: of the same time. While the radio sends or listens the chip is
    counted by the radio's row, which is of the whole chip. Raises BoardError for a board without published currents.
    """
    currents = spec.currents
    if "awake" not in currents:
        raise BoardError(
            f"boards/{spec.name}.toml has no currents: give it some, with their sources, or take another board"
        )
    transmit = receive = ready = 0.0
    if radio is not None:
        transmit, receive = radio.transmit_s, radio.radio_s - radio.transmit_s
        ready = max(0.0, radio.on_s - radio.radio_s)
    idle = states.get("idle", 0.0)
    awake = states["awake"]
    # the radio is in use while the chip waits, first, and only then while it computes
    for taken in (transmit, receive, ready):
        of_idle = min(idle, taken)
        idle -= of_idle
        awake = max(0.0, awake - (taken - of_idle))
    times = {"awake": awake, "idle": idle, "transmit": transmit, "receive": receive, "radio_idle": ready}
    return [Share(name, seconds, currents[name]) for name, seconds in times.items() if seconds > 0]


def mean_ma(spec: BoardSpec, states: Mapping[str, float]) -> float | None:
    """What a node drew since its power came, mA in the mean; None where no currents of the board are published.

    states: of `ChildBoard.states`. Its Wi-Fi is taken to listen for as long as it is on, so this is the most, but for
    what is sent; sensors count as far as their currents are known.
    """
    if "awake" not in spec.currents:
        return None
    wifi = states.get("wifi", 0.0)
    parts = shares(spec, states, Tally(radio_s=wifi, on_s=wifi))
    slept = states.get("light_sleep", 0.0) + states.get("deep_sleep", 0.0)
    if slept:
        parts.append(Share("asleep", slept, asleep(spec)))
    seconds = sum(part.seconds for part in parts)
    if not seconds:
        return None
    known = tomllib.loads(_SENSORS.read_text(encoding="utf-8"))
    for name in known:
        if f"sensor {name}" in states:
            of_sensor, measures = sensor_currents(name), states[f"sensor {name}"]
            parts.append(Share(name, measures, of_sensor["measures"]))
            parts.append(Share(name, seconds - measures, of_sensor["rests"]))
    return sum(part.mas for part in parts) / seconds


def asleep(spec: BoardSpec) -> Current:
    """As `BoardSpec.asleep`. Raises BoardError where there is none."""
    if spec.asleep is None:
        raise BoardError(f"boards/{spec.name}.toml has no current of sleep: give it one, with its source")
    return spec.asleep
