"""Puts I2C models on the emulated I2C controllers, with the time that the wire takes.

A start, a stop and each bit take one SCL period of the programmed counts; address and data are nine bits.
RP2040 datasheet, 4.3 (DW_apb_i2c).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quaver.emulator.bus import I2cModel
from quaver.emulator.rp2040.softi2c import PinI2c

_BITS_PER_BYTE = 9  # eight and the acknowledge
_TX_EMPTY = 1 << 4  # of IC_RAW_INTR_STAT
_RELEASED = 0xFF  # what a controller reads where nobody drives SDA


class I2cBus:
    """One I2C controller (`index` 0 or 1) and the models on it, by 7-bit address.

    pins: its scl and sda, where firmware may shake them by itself (`softi2c`).
    """

    def __init__(self, mcu: Any, index: int, pins: tuple[int, int] | None) -> None:
        self._clock = mcu.clock
        self._mcu = mcu
        self._block = mcu.i2c[index]
        self._models: dict[int, I2cModel] = {}
        self._current: I2cModel | None = None
        self._next: Callable[[], None] = _nothing
        self._alarm = mcu.clock.create_alarm(self._fire)
        self._block.on_start = self._on_start
        self._block.on_connect = self._on_connect
        self._block.on_write_byte = self._on_write
        self._block.on_read_byte = self._on_read
        self._block.on_stop = self._on_stop
        if pins is not None:
            PinI2c(mcu, *pins, self._models)

    def attach(self, model: I2cModel, address: int) -> None:
        self._models[address] = model

    def reset(self) -> None:
        """The chip was reset: what was under way on the wire is lost."""
        self._alarm.cancel()
        self._current = None

    def _after(self, bits: int, action: Callable[[], None]) -> None:
        """The controller does one thing at a time, so one alarm serves all."""
        period = (self._block.scl_low_period + self._block.scl_high_period) * 1e9 / self._mcu.clk_sys
        self._next = action
        self._alarm.schedule(bits * period)

    def _fire(self) -> None:
        action, self._next = self._next, _nothing
        action()

    def _now(self) -> int:
        return int(self._clock.nanos)

    def _on_start(self, repeated: bool) -> None:
        self._after(1, self._block.complete_start)

    def _on_connect(self, address: int, mode: int) -> None:
        def connect() -> None:
            model = self._models.get(address)
            if self._current is not None and self._current is not model:
                self._current.i2c_stop(self._now())
            self._current = model
            present = model is not None and model.i2c_start(bool(mode), self._now())
            self._block.complete_connect(present)
            self._flushed(present)

        self._after(_BITS_PER_BYTE, connect)

    def _on_write(self, value: int) -> None:
        def write() -> None:
            model = self._current
            taken = model is not None and model.i2c_write(value, self._now())
            self._block.complete_write(taken)
            self._flushed(taken)

        self._after(_BITS_PER_BYTE, write)

    def _flushed(self, acknowledged: bool) -> None:
        """A NACK empties the transmit FIFO, and the hardware says so; rp2040py forgets to, and the SDK waits."""
        if not acknowledged:
            self._block._set_interrupts(_TX_EMPTY)

    def _on_read(self, ack: bool) -> None:
        def read() -> None:
            model = self._current
            self._block.complete_read(_RELEASED if model is None else model.i2c_read(self._now()) & 0xFF)

        self._after(_BITS_PER_BYTE, read)

    def _on_stop(self) -> None:
        def stop() -> None:
            model, self._current = self._current, None
            if model is not None:
                model.i2c_stop(self._now())
            self._block.complete_stop()

        self._after(1, stop)


def _nothing() -> None:
    """What the alarm does while the bus is idle."""
