"""An I2C bus read off its two pins: for firmware that shakes them itself.

MicroPython does so for empty writes, which the controller can't send, and so for every `scan`
(ports/rp2/machine_i2c.c), and for SoftI2C. Lines are open-drain: whoever pulls low wins.
"""

from __future__ import annotations

from typing import Any

from quaver.emulator.bus import I2cModel

_LOW = 0  # rp2040py's GPIOPinState.LOW: driven, and low


class PinI2c:
    """Watches the pins `scl` and `sda` for the models in `models` (7-bit address -> model, shared)."""

    def __init__(self, mcu: Any, scl: int, sda: int, models: dict[int, I2cModel]) -> None:
        self._clock = mcu.clock
        self._models = models
        self._sda = mcu.gpio[sda]
        self._scl_high = self._sda_high = True
        self._phase = ""  # "", "address", "write" or "read"
        self._count = 0  # clocks of the current byte, the ninth being the acknowledge
        self._value = 0
        self._model: I2cModel | None = None
        self._acknowledged = False
        mcu.gpio[scl].set_input_value(True)
        self._sda.set_input_value(True)
        mcu.gpio[scl].add_listener(self._on_scl)
        self._sda.add_listener(self._on_sda)

    def _now(self) -> int:
        return int(self._clock.nanos)

    def _on_sda(self, state: Any, _before: Any) -> None:
        high = state != _LOW
        if high == self._sda_high:
            return
        self._sda_high = high
        if not self._scl_high:
            return
        if high:  # stop
            if self._model is not None:
                self._model.i2c_stop(self._now())
            self._phase, self._model = "", None
        else:  # start
            self._phase, self._count, self._value = "address", 0, 0
        self._sda.set_input_value(True)

    def _on_scl(self, state: Any, _before: Any) -> None:
        high = state != _LOW
        if high == self._scl_high:
            return
        self._scl_high = high
        if not self._phase:
            return
        if high:
            self._rise()
        else:
            self._fall()

    def _rise(self) -> None:
        self._count += 1
        if self._count <= 8 and self._phase != "read":
            self._value = self._value << 1 | self._sda_high
        elif self._count == 9 and self._phase == "read":
            self._acknowledged = not self._sda_high

    def _fall(self) -> None:
        if self._count == 8:
            if self._phase == "read":
                self._sda.set_input_value(True)
                return
            self._acknowledged = self._take()
            self._sda.set_input_value(not self._acknowledged)
        elif self._count == 9:
            self._sda.set_input_value(True)
            self._next_byte()
        elif self._count and self._phase == "read":
            self._sda.set_input_value(bool(self._value >> (7 - self._count) & 1))

    def _take(self) -> bool:
        """A byte from the controller is complete: whether somebody acknowledges it."""
        if self._phase == "write":
            return self._model is not None and self._model.i2c_write(self._value, self._now())
        self._model = self._models.get(self._value >> 1)
        return self._model is not None and self._model.i2c_start(bool(self._value & 1), self._now())

    def _next_byte(self) -> None:
        if not self._acknowledged:
            self._phase = ""
            return
        if self._phase == "address":
            self._phase = "read" if self._value & 1 else "write"
        self._count = self._value = 0
        if self._phase == "read" and self._model is not None:
            self._value = self._model.i2c_read(self._now()) & 0xFF
            self._sda.set_input_value(bool(self._value >> 7))
