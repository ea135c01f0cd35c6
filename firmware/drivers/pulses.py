"""Pulses on a pin: parts that pass a sensor, or the energy of a meter's S0 output.

IEC 62053-31 (S0): a pulse is a contact that closes for 30 ms or more, and opens for as long. A pulse counts at its end,
when the line was low for the least time that is asked for: contacts bounce, and mains hums, for less. A sensor that
drives the line high counts by its pauses, which are as many.

The handler runs as an interrupt, also while the capture owns the processor: it allocates nothing.
"""

import time

if False:  # types alone: never compiled
    from collections.abc import Callable

    from machine import Pin

_MILLIWATT_MS = 3_600_000_000_000  # in a kWh


class PulseCounter:
    """attach(handler): has handler(pin) called at each edge; width_ms: how long the line has to be low at least.

    count: of pulses, from which it goes on; keep(count): is told it at each reading.
    """

    def __init__(self, attach: "Callable", width_ms: int, count: int, keep: "Callable") -> None:
        self._width_ms = width_ms
        self._keep = keep
        self.count = count
        self.last = self._fell = time.ticks_ms()  # the moment of the last pulse
        self._low = False  # a low of which the beginning was seen
        attach(self._edge)

    def _edge(self, pin: "Pin") -> None:
        now = time.ticks_ms()
        if not pin():
            self._low = True
            self._fell = now
        elif self._low:
            self._low = False
            if time.ticks_diff(now, self._fell) >= self._width_ms:
                self.count += 1
                self.last = now

    def probe(self) -> None:
        """Nothing to ask: a line without pulses is a machine at rest, or a broken wire, and nobody can tell."""

    def total(self) -> int:
        """The pulses since the count began."""
        count = self.count
        self._keep(count)
        return count


class EnergyPulses(PulseCounter):
    """As an energy meter; per_kwh: pulses, as the meter's plate says. absent: as drivers.modbus_meter has it, empty."""

    def __init__(self, attach: "Callable", width_ms: int, count: int, keep: "Callable", per_kwh: int) -> None:
        super().__init__(attach, width_ms, count, keep)
        self.absent: list[tuple] = []
        self._per_kwh = per_kwh
        self._counted = count  # at the last reading that had a pulse
        self._moment: int | None = None  # of that pulse
        self._power: int | None = None

    async def read(self) -> list[int | None]:
        """The power in mW and the energy in Wh, at the places of drivers.modbus_meter's values; the others are None.

        The power is the mean from the last pulse of one reading to the last pulse of a later one; None until there are
        two. Without a new pulse it is what it was, and at most what a pulse at this moment would say.
        """
        count = self.total()
        moment = self.last
        if self.count != count:  # a pulse came between the two
            count = self.count
            moment = self.last
        if count > self._counted:
            if self._moment is not None:
                self._power = self._of(count - self._counted, time.ticks_diff(moment, self._moment))
            self._counted = count
            self._moment = moment
        elif self._power:
            self._power = min(self._power, self._of(1, time.ticks_diff(time.ticks_ms(), moment)))
        return [None, None, self._power, None, None, None, count * 1000 // self._per_kwh]

    def _of(self, pulses: int, ms: int) -> int:
        return pulses * _MILLIWATT_MS // (self._per_kwh * max(ms, 1))
