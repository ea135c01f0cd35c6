"""The unix board's wires: carries bus transfers between the guest and the sensor models, at the wire's own pace.

Times are the board's virtual ns. Each transfer returns when it is over; what a UART device answers arrives a
frame at a time. A bus that nobody is on behaves as on the RP2040: SPI reads 0, I2C is not acknowledged.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from quaver.board.spec import BoardSpec
from quaver.emulator.bus import Attached, DrivenModel, GpioModel, I2cModel, SpiModel, UartLineModel, UartModel
from quaver.emulator.clock import FOREVER
from quaver.errors import BoardError

SPI_WRITE, SPI_READ, SPI_BOTH = 0, 1, 2
I2C_STOP, I2C_MEMORY, I2C_WRITES = 1, 2, 4
FALLING, RISING = 4, 8  # machine.Pin.IRQ_FALLING and IRQ_RISING

PARITIES = ("none", "even", "odd")

_MODELS = {"spi": SpiModel, "i2c": I2cModel, "uart": UartModel, "gpio": GpioModel | DrivenModel}
_AHEAD_NS = 50_000_000  # how far edges are foretold: what a test changes in a model shows that soon


@dataclass
class _SpiDevice:
    model: SpiModel
    bus: str
    selected: bool = False


@dataclass
class _Uart:
    models: list[UartModel] = field(default_factory=list)  # all of them hear the board
    direction: int = 0  # the GPIO that lets its transceiver send; 0 for none
    sends: bool = False  # that GPIO is high
    sent_at: int = 0  # when the last bit written has left
    arriving: deque[tuple[int, int]] = field(default_factory=deque)  # (when, byte)


class Wires:
    """The buses of one board with its rig on them. Raises BoardError for a rig that does not fit the board."""

    def __init__(self, spec: BoardSpec, rig: Iterable[Attached]) -> None:
        self._spi: dict[int, _SpiDevice] = {}
        self._i2c: dict[tuple[str, int], I2cModel] = {}
        self._uart = {name: _Uart() for name in spec.buses if name.startswith("uart")}
        self._gpio: dict[int, GpioModel] = {}
        self._driven: dict[int, DrivenModel] = {}
        for part in rig:
            kind = _MODELS.get(part.bus.rstrip("0123456789"))
            if (part.bus not in spec.buses and part.bus != "gpio") or kind is None:
                raise BoardError(
                    f"sensor {part.name}: board {spec.name} has no bus {part.bus}: "
                    f"use one of {', '.join(sorted(spec.buses))}, gpio"
                )
            if not isinstance(part.model, kind):
                raise BoardError(
                    f"sensor {part.name}: {type(part.model).__name__} can't be put on {part.bus}: "
                    "use a model that speaks this bus"
                )
            if isinstance(part.model, SpiModel) and part.bus.startswith("spi"):
                self._spi[part.number] = _SpiDevice(part.model, part.bus)
            elif isinstance(part.model, I2cModel) and part.bus.startswith("i2c"):
                self._i2c[part.bus, part.number] = part.model
            elif isinstance(part.model, GpioModel) and part.bus == "gpio":
                self._gpio[part.number] = part.model
            elif isinstance(part.model, DrivenModel) and part.bus == "gpio":
                self._driven[part.number] = part.model
            elif isinstance(part.model, UartModel):
                self._uart[part.bus].models.append(part.model)
                self._uart[part.bus].direction = part.number

    @property
    def selects(self) -> list[int]:
        """GPIOs that some device minds: an SPI device's chip select, a transceiver's direction, what is driven."""
        directions = (uart.direction for uart in self._uart.values() if uart.direction)
        return sorted([*self._spi, *self._driven, *directions])

    @property
    def chips(self) -> list[int]:
        """Those of them that are chip selects."""
        return sorted(self._spi)

    @property
    def inputs(self) -> list[int]:
        """GPIOs that some device drives."""
        return sorted(self._gpio)

    def level(self, number: int, now: int) -> int:
        """Of a GPIO that a device drives."""
        return int(self._gpio[number].gpio_level(now))

    def edge(self, number: int, trigger: int, after: int) -> tuple[int, int]:
        """(when, FALLING or RISING) of the next edge among `trigger`; (when, 0) to ask again then."""
        model = self._gpio[number]
        at = after
        level = model.gpio_level(at)
        while at < after + _AHEAD_NS:
            at = model.gpio_next(at)
            before, level = level, model.gpio_level(at)
            if level != before and (kind := RISING if level else FALLING) & trigger:
                return at, kind
        return at, 0

    def release(self, now: int) -> None:
        """The guest was reset: its pins float, chip selects go high."""
        for pin in self._spi:
            self.pin(pin, 1, now)
        for number in self._driven:
            self.pin(number, 0, now)
        for uart in self._uart.values():
            self.pin(uart.direction, 0, now)

    def pin(self, number: int, level: int, now: int) -> None:
        if number in self._driven:
            self._driven[number].gpio_driven(bool(level), now)
        device = self._spi.get(number)
        if device is not None and device.selected != (not level):
            device.selected = not level
            if device.selected:
                device.model.spi_select(now)
            else:
                device.model.spi_deselect(now)
        for uart in self._uart.values():
            if number == uart.direction and number:
                self._turn(uart, bool(level), now)

    def _turn(self, uart: _Uart, sends: bool, now: int) -> None:
        """The transceiver turns round: a request that was not through is torn, what came meanwhile is lost."""
        if uart.sends and not sends:
            arriving = [] if now < uart.sent_at else [byte for byte in uart.arriving if byte[0] > now]
            uart.arriving = deque(arriving)
        uart.sends = sends

    def spi(
        self, bus: str, baudrate: int, mode: int, count: int, fill: int, data: bytes, now: int
    ) -> tuple[bytes, int]:
        """Clock `count` bytes of `fill`, or `data`, out; returns what came in and when it was over."""
        outgoing = bytes((fill,)) * count if mode == SPI_READ else data
        byte_ns = 8e9 / max(baudrate, 1)
        selected = [device.model for device in self._spi.values() if device.selected and device.bus == bus]
        end = now + int(len(outgoing) * byte_ns)
        if not selected:
            return bytes(len(outgoing)), end
        if len(selected) == 1:
            whole = getattr(selected[0], "spi_burst", None)
            if whole is not None:
                return whole(outgoing, now, byte_ns), end
            exchange = selected[0].spi_exchange
            incoming = bytes([exchange(value, now + int(i * byte_ns)) & 0xFF for i, value in enumerate(outgoing, 1)])
        else:
            merged = bytearray()
            for i, value in enumerate(outgoing, 1):
                line = 0  # two devices driving one line: shorted ones win, as on a bus with a fault
                for model in selected:
                    line |= model.spi_exchange(value, now + int(i * byte_ns))
                merged.append(line & 0xFF)
            incoming = bytes(merged)
        return incoming, end

    def i2c(
        self, bus: str, frequency: int, flags: int, memory: bytes, data: bytes, address: int, count: int, now: int
    ) -> tuple[int, int, bytes, int]:
        """One transaction; returns (errno or 0, bytes acknowledged, bytes read, when it was over)."""
        model = self._i2c.get((bus, address))
        bit_ns = 1e9 / max(frequency, 1)
        bits = 0

        def at() -> int:
            return now + int(bits * bit_ns)

        acknowledged = 0
        incoming = bytearray()
        failed = 0
        if flags & I2C_WRITES:
            bits += 10  # start, address, acknowledge
            if model is None or not model.i2c_start(False, at()):
                failed = errno.EIO
            else:
                for value in memory + data:
                    bits += 9
                    if not model.i2c_write(value, at()):
                        failed = errno.EIO if acknowledged < len(memory) or flags & I2C_MEMORY else 0
                        break
                    acknowledged += 1
        if not failed and (count or not flags & I2C_WRITES):
            bits += 10
            if model is None or not model.i2c_start(True, at()):
                failed = errno.EIO
            else:
                for _ in range(count):
                    bits += 9
                    incoming.append(model.i2c_read(at()) & 0xFF)
        if model is not None and (flags & I2C_STOP or failed):
            bits += 1
            model.i2c_stop(at())
        return failed, acknowledged, bytes(incoming) if not failed else b"", at()

    def uart_write(self, bus: str, baudrate: int, frame: int, parity: int, data: bytes, now: int) -> int:
        """Send `data` (frame: bits a byte, with start and stop); returns when its last bit has left."""
        uart = self._uart[bus]
        byte_ns = frame * 1e9 / max(baudrate, 1)
        uart.sent_at = max(now, uart.sent_at) + int(len(data) * byte_ns)
        for model in uart.models if uart.sends or not uart.direction else ():
            if isinstance(model, UartLineModel):
                model.uart_line(baudrate, PARITIES[parity])
            answer = model.uart_exchange(data, uart.sent_at)
            start = max(uart.sent_at, uart.arriving[-1][0] if uart.arriving else 0)
            uart.arriving.extend((start + int(i * byte_ns), value) for i, value in enumerate(answer, 1))
        return uart.sent_at

    def uart_level(self, bus: str, now: int) -> int:
        """Bytes received by now."""
        if self._uart[bus].sends:
            return 0
        return sum(when <= now for when, _ in self._uart[bus].arriving)

    def uart_next(self, bus: str, now: int) -> int:
        """When the next byte that is still on the wire arrives."""
        return next((when for when, _ in self._uart[bus].arriving if when > now), FOREVER)

    def uart_read(self, bus: str, count: int, now: int) -> bytes:
        if self._uart[bus].sends:
            return b""
        arriving = self._uart[bus].arriving
        data = bytearray()
        while arriving and len(data) < count and arriving[0][0] <= now:
            data.append(arriving.popleft()[1])
        return bytes(data)
