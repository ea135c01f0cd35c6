"""An emulated tachometer: a pickup at a turning shaft that drives one GPIO high once or more times a turn."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.stream import Fault

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

_LOOK_NS = 20_000_000  # with no edge in sight the line is looked at this often: the attributes may change any time
_ODD = 0.1  # part of the pulses that a pickup too far from its mark misses, and as many bounce
_BOUNCE = 0.1  # of the time that the line is high: how far into the pulse it falls, and for how long


def attached(source: Source) -> Attached:
    """A sensor that parts pass, or a meter's S0 output, where the pytest plugin's rig has it: two pulses a second."""
    return Attached("pulses", "gpio", 15, Tachometer(rpm=120.0))


class Tachometer:
    """The pickup. All attributes may change while it runs; the shaft's angle is continuous.

    rpm: turns a minute, 0 at rest; pulses: a turn; duty: part of a pulse's period that the line is high.
    jitter: RMS of the pulses' displacement, as a part of their period; clipped before two pulses meet.
    fault: None; "absent" (no edges, the line is low), "stuck" (no edges, it is high), "range" (too far from the
    mark: a tenth of the pulses is missing, a tenth bounces). seed: of jitter and of "range".
    """

    def __init__(
        self,
        rpm: float = 1500.0,
        pulses: int = 1,
        *,
        duty: float = 0.5,
        jitter: float = 0.0,
        seed: int = 1,
        fault: Fault = None,
    ) -> None:
        self.rpm = rpm
        self.pulses = pulses
        self.duty = duty
        self.jitter = jitter
        self.seed = seed
        self.fault: Fault = fault
        self._turns = 0.0  # of the shaft, at the moment `_since`
        self._since = 0
        self._speed = (rpm, pulses)

    def gpio_level(self, now: int) -> bool:
        if self.fault == "absent" or self.fault == "stuck":
            return self.fault == "stuck"
        level = False
        for at, high in self._around(now):
            if at > now:
                break
            level = high
        return level

    def gpio_next(self, now: int) -> int:
        soon = now + _LOOK_NS
        if self.fault == "absent" or self.fault == "stuck":
            return soon
        return min((at for at, _ in self._around(now) if at > now), default=soon)

    def _around(self, now: int) -> list[tuple[int, bool]]:
        """The changes of level next to `now`, in order; all of them from a pulse before it to two after it."""
        if self._speed != (self.rpm, self.pulses):
            # Another speed from here on. Another number of marks is another disc: it counts from its own first one.
            self._turns += (now - self._since) * self._speed[0] / 60e9
            self._since = now
            self._speed = (self.rpm, self.pulses)
        period = 60e9 / (self.rpm * self.pulses) if self.rpm > 0 else 0.0
        if not period:
            return []
        start = self._since - self._turns * self.pulses * period
        number = int((now - start) // period)
        changes = []
        for pulse in range(number - 1, number + 3):
            changes += self._pulse(pulse, start + pulse * period, period)
        return changes

    def _pulse(self, number: int, start: float, period: float) -> list[tuple[int, bool]]:
        # Pulse 0 begins half its low time after the shaft's zero, so that jitter keeps it within its period.
        room = 0.5 * (1 - self.duty)
        rise = start + room * period
        high = self.duty * period
        if not self.jitter and self.fault is None:
            return [(round(rise), True), (round(rise + high), False)]
        chance = random.Random(self.seed * 1_000_003 + number)  # noqa: S311 - a fault is no secret
        rise += max(-0.9 * room, min(0.9 * room, chance.gauss(0, self.jitter))) * period
        changes = [(round(rise), True), (round(rise + high), False)]
        if self.fault == "range":
            luck = chance.random()
            if luck < _ODD:
                return []
            if luck < 2 * _ODD:
                changes[1:1] = [(round(rise + _BOUNCE * high), False), (round(rise + 2 * _BOUNCE * high), True)]
        return changes
