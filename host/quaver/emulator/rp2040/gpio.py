"""Drives a GPIO of the emulated chip as a device on the pin does, at the moments of virtual time that it says."""

from __future__ import annotations

from typing import Any

from quaver.emulator.bus import GpioModel


class GpioInput:
    """One driven pin. It goes on through the chip's resets, as what is wired to a real one does."""

    def __init__(self, mcu: Any, number: int, model: GpioModel) -> None:
        self._pin = mcu.gpio[number]
        self._clock = mcu.clock
        self._model = model
        self._level: bool | None = None
        self._alarm = mcu.clock.create_alarm(self._look)
        self._look()

    def _look(self) -> None:
        now = round(self._clock.nanos)
        level = self._model.gpio_level(now)
        if level != self._level:  # rp2040py takes a level that is set again for another edge
            self._level = level
            self._pin.set_input_value(level)
        self._alarm.schedule(max(1, self._model.gpio_next(now) - now))
