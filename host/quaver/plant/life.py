"""What a plant's machine does over its life: speed and load over the shifts, wear, warmth and power. Pure functions.

All times are seconds since the plant's start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from quaver.plant.spec import Machine
from quaver.recordings.machine import Bearing
from quaver.recordings.machine import Machine as Model
from quaver_wire.bearings import LIBRARY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from quaver.recordings.sources import Source

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_STANDING_G = 0.002  # standard deviation, of a machine that stands among others
_DIES_AWAY = 8  # time constants after which what was before is forgotten
_BEARING = "6205"  # of a machine whose own is not known
_STEP_S = 60.0  # of the integration of its warmth


@dataclass(frozen=True)
class Life:
    """machine: its table. start: the plant's date at 0. seed: of its model."""

    machine: Machine
    start: datetime
    seed: int

    def runs(self, time_s: float) -> tuple[float, float]:
        """(speed in 1/min, load) at a moment; (0, 0) while it stands."""
        machine = self.machine
        if not machine.shifts:
            return machine.speed, 1.0
        now = self.start + timedelta(seconds=time_s)
        day, minute = _DAYS[now.weekday()], 60 * now.hour + now.minute
        before = _DAYS[now.weekday() - 1]
        for shift in machine.shifts:
            begins, ends = _minutes(shift.begins), _minutes(shift.ends)
            overnight = ends <= begins
            if (day in shift.days and begins <= minute and (overnight or minute < ends)) or (
                overnight and before in shift.days and minute < ends
            ):
                return shift.speed or machine.speed, shift.load
        return 0.0, 0.0

    def severity(self, time_s: float) -> float:
        return self.machine.wear.at(time_s) if self.machine.wear else 0.0

    def watts(self, time_s: float) -> float:
        return self.machine.idle_w + (self.machine.power_w - self.machine.idle_w) * self.runs(time_s)[1]

    def celsius(self, time_s: float) -> float:
        """A first-order lag behind the load, and up to 20 degrees more as the bearing fails."""
        machine = self.machine
        warmth, since = 0.0, max(0.0, time_s - _DIES_AWAY * machine.warms_in)
        share = 1 - math.exp(-_STEP_S / max(machine.warms_in, _STEP_S))
        for step in range(int((time_s - since) // _STEP_S)):
            load = self.runs(since + step * _STEP_S)[1]
            warmth += (load * machine.warms_c - warmth) * share
        return machine.ambient_c + warmth + 20 * self.severity(time_s) * (warmth > 1)

    @cached_property
    def recording(self) -> Source | None:
        if not self.machine.recording:
            return None
        from quaver.recordings import RecordingSource, load, mfpt_path

        name = self.machine.recording
        return RecordingSource(load(mfpt_path(name.removeprefix("mfpt:")) if name.startswith("mfpt:") else name))

    # As the source of an accelerometer.

    def at(self, time_s: float) -> Source:
        """What it measures from a moment on."""
        speed, _ = self.runs(time_s)
        if not speed:
            return Standing(self.seed)
        if self.recording is not None:
            return self.recording
        severity = self.severity(time_s)
        model = Model(rpm=speed, bearing=Bearing(*LIBRARY[self.machine.bearing or _BEARING]), seed=self.seed)
        if severity and self.machine.wear is not None:
            model = replace(model, fault=self.machine.wear.fault, severity=severity)
        return model

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        """Of a machine at its start; a sensor that knows the time asks `at`."""
        return self.at(0.0).samples(capture, rate_hz, first, count)


@dataclass(frozen=True)
class Standing:
    """A machine that stands: what comes from others through the floor."""

    seed: int

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        drawn = np.random.default_rng([self.seed, capture, first]).standard_normal((count, 3), np.float32)
        return drawn * np.float32(_STANDING_G)


def _minutes(text: str) -> int:
    return 60 * int(text[:2]) + int(text[3:])
