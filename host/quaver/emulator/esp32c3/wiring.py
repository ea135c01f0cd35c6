"""Hangs the sensors' models on the emulated ESP32-C3: its buses, as its board file routes them, and its pins.

A model hears an SPI transfer in one call where it has `spi_burst` (see `quaver.emulator.rp2040.spi`), else byte by
byte, each at the moment at which it would be on the wire. An I2C transfer takes its wire's time as a whole, after the
models have answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quaver.board.spec import BoardSpec, I2cBus, UartBus
from quaver.emulator.bus import Attached, DrivenModel, GpioModel, I2cModel, SpiModel, UartLineModel, UartModel
from quaver.errors import BoardError

if TYPE_CHECKING:
    from quaver.emulator.esp32c3.chip import Chip

_GPIOS = 22
_FLOATING = 0xFF  # what a controller reads where nobody drives the line
_START_WRITE, _START_READ, _WRITE, _READ, _STOP = range(5)
_NEVER = (1 << 64) - 1
_BUS_NAME = re.compile(r"(spi|i2c|uart)([0-9])")


class Wiring:
    """The rig. `chip` is set once it exists; direction: the GPIO that turns the UART's transceiver, 0 for none."""

    chip: Chip

    def __init__(self, spec: BoardSpec, rig: tuple[Attached, ...]) -> None:
        self._spi: dict[int, list[SpiModel]] = {}
        self._selected: list[SpiModel] = []
        self._i2c: dict[int, I2cModel] = {}
        self._current: I2cModel | None = None
        self._uart: dict[int, list[UartModel]] = {}
        self.direction = 0
        self._pins: dict[int, tuple[GpioModel, bool | None, int]] = {}
        self._driven: dict[int, DrivenModel] = {}
        for attached in rig:
            self._attach(spec, attached)
        self.watched = sum(1 << pin for pin in {*self._spi, *self._driven})
        bus = spec.buses.get("i2c0")
        self._i2c_bit_ns = 1e9 / (bus.frequency if isinstance(bus, I2cBus) else 100_000)

    def _attach(self, spec: BoardSpec, attached: Attached) -> None:
        model, name = attached.model, attached.name
        kind, bus = "gpio", None
        if attached.bus != "gpio":
            match = _BUS_NAME.fullmatch(attached.bus)
            bus = spec.buses.get(attached.bus)
            if match is None or bus is None:
                known = ", ".join(sorted(spec.buses))
                raise BoardError(
                    f"sensor {name}: the {spec.title} has no bus {attached.bus}: use {known}, "
                    "or gpio for what drives a pin"
                )
            kind = match[1]
        if kind in ("gpio", "spi") and not 0 <= attached.number < _GPIOS:
            raise BoardError(f"sensor {name}: the {spec.title} has no GPIO {attached.number}: use 0 to {_GPIOS - 1}")
        if kind == "spi" and isinstance(model, SpiModel):
            self._spi.setdefault(attached.number, []).append(model)
        elif kind == "i2c" and isinstance(model, I2cModel):
            self._i2c[attached.number] = model
        elif kind == "uart" and isinstance(model, UartModel) and isinstance(bus, UartBus):
            self._uart.setdefault(bus.id, []).append(model)
            self.direction = attached.number
        elif kind == "gpio" and isinstance(model, GpioModel):
            self._pins[attached.number] = (model, None, 0)
        elif kind == "gpio" and isinstance(model, DrivenModel):
            self._driven[attached.number] = model
        elif kind == "gpio":
            raise BoardError(
                f"sensor {name}: a {type(model).__name__} does not drive a pin: put it on another bus than gpio"
            )
        else:
            raise BoardError(
                f"sensor {name}: a {type(model).__name__} does not speak {kind.upper()}: "
                f"put it on another bus than {attached.bus}"
            )

    def pin(self, number: int, level: int) -> None:
        """A pin that some device minds has changed."""
        now = self.chip.nanos
        if number in self._driven:
            self._driven[number].gpio_driven(bool(level), now)
        for model in self._spi.get(number, ()):
            if not level and model not in self._selected:
                self._selected.append(model)
                model.spi_select(now)
            elif level and model in self._selected:
                self._selected.remove(model)
                model.spi_deselect(now)

    def spi(self, out: bytes, byte_ns: float) -> bytes:
        now = self.chip.nanos
        if len(self._selected) == 1:
            model: Any = self._selected[0]
            whole: Callable[[bytes, int, float], bytes] | None = getattr(model, "spi_burst", None)
            if whole is not None:
                return whole(out, now, byte_ns)
        answer = bytearray(len(out))
        for n, value in enumerate(out):
            byte = _FLOATING
            for model in self._selected:
                byte &= model.spi_exchange(value, int(now + (n + 1) * byte_ns))
            answer[n] = byte & 0xFF
        return bytes(answer)

    def i2c(self, verb: int, data: bytearray) -> bool:
        now = self.chip.nanos
        if verb in (_START_WRITE, _START_READ):
            model = self._i2c.get(data[0])
            if self._current is not None and self._current is not model:
                self._current.i2c_stop(now)
            self._current = model
            return model is not None and model.i2c_start(verb == _START_READ, now)
        model = self._current
        if model is None:
            return False
        if verb == _STOP:
            self._current = None
            model.i2c_stop(now)
        elif verb == _WRITE:
            return all(model.i2c_write(value, self._byte(now, n)) for n, value in enumerate(data))
        else:
            for n in range(len(data)):
                data[n] = model.i2c_read(self._byte(now, n)) & 0xFF
        return True

    def _byte(self, now: int, number: int) -> int:
        return int(now + number * 9 * self._i2c_bit_ns)

    def uart(self, number: int, data: bytes) -> None:
        """The line has been silent after these bytes."""
        for model in self._uart.get(number, ()):
            if isinstance(model, UartLineModel):
                model.uart_line(*self.chip.uart_line(number))
            self.chip.type(number, model.uart_exchange(data, self.chip.nanos))

    def pin_models(self) -> int:
        """Look at the devices that drive pins; the tick at which to look next."""
        now = self.chip.nanos
        following = _NEVER
        for pin, (model, level, when) in self._pins.items():
            if when <= now:
                fresh = model.gpio_level(now)
                if fresh != level:
                    self.chip.drive(pin, fresh)
                when = max(model.gpio_next(now), now + 1)
                self._pins[pin] = (model, fresh, when)
            following = min(following, -(-when * 4 // 25))
        return following

    def reset(self) -> None:
        """The chip was reset: what was under way on the wires is lost."""
        self._current = None
        self._selected.clear()
