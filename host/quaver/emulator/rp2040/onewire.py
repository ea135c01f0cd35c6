"""A 1-Wire line read off its pin: what the firmware's pulses mean to the device on it, and the device's own pulses.

DS18B20 datasheet, section "1-Wire signaling" and the table of its times. The line is open-drain: whoever pulls low
wins.
"""

from __future__ import annotations

from typing import Any

from quaver.emulator.bus import OneWireModel

_LOW = 0  # rp2040py's GPIOPinState.LOW: driven, and low
_RESET_NS = 480_000
_ONE_NS = 15_000  # a slot whose low part is shorter writes 1, or reads
_PRESENCE_AFTER_NS = 30_000
_PRESENCE_NS = 120_000
_ZERO_NS = 30_000  # how long a device that sends 0 holds the line


class OneWirePin:
    """The pin `number` of the chip, and the one device on it."""

    def __init__(self, mcu: Any, number: int, model: OneWireModel) -> None:
        self._clock = mcu.clock
        self._model = model
        self._pin = mcu.gpio[number]
        self._fell = 0
        self._low = False
        self._reads = False  # this slot
        self._pulls = mcu.clock.create_alarm(self._pull)
        self._lets_go = mcu.clock.create_alarm(lambda: self._pin.set_input_value(True))
        self._pin.set_input_value(True)
        self._pin.add_listener(self._changed)

    def _changed(self, state: Any, _before: Any) -> None:
        low = state == _LOW
        if low == self._low:
            return
        self._low = low
        now = round(self._clock.nanos)
        if low:
            self._fell = now
            self._reads = self._model.one_wire_answers
            if self._reads and not self._model.one_wire_read(now):
                self._pin.set_input_value(False)
                self._lets_go.schedule(_ZERO_NS)
            return
        width = now - self._fell
        if width >= _RESET_NS:
            if self._model.one_wire_reset(now):
                self._pulls.schedule(_PRESENCE_AFTER_NS)
        elif not self._reads:
            self._model.one_wire_write(int(width < _ONE_NS), now)

    def _pull(self) -> None:
        self._pin.set_input_value(False)
        self._lets_go.schedule(_PRESENCE_NS)
