"""What hangs on an emulated board's buses: the few verbs that every sensor model answers.

A model is written once against these protocols; each kind of board (`unix:`, `rp2040:`) wires them to its
own buses. `now` is always the board's virtual time in nanoseconds since power-on and never runs backwards.
Models must be picklable until their first use: the Pico W's emulator runs in a process of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from quaver.errors import BoardError


@runtime_checkable
class SpiModel(Protocol):
    """A device on an SPI bus (mode 3 or 0, MSB first), framed by its chip select."""

    def spi_select(self, now: int) -> None: ...

    def spi_exchange(self, value: int, now: int) -> int:
        """Take one byte from the controller and return the byte that goes back at the same time."""
        ...

    def spi_deselect(self, now: int) -> None: ...


@runtime_checkable
class I2cModel(Protocol):
    """A device on an I2C bus."""

    def i2c_start(self, read: bool, now: int) -> bool:
        """Address phase; False leaves it unacknowledged (an absent device)."""
        ...

    def i2c_write(self, value: int, now: int) -> bool:
        """One byte from the controller; False is a NACK."""
        ...

    def i2c_read(self, now: int) -> int: ...

    def i2c_stop(self, now: int) -> None: ...


@runtime_checkable
class UartModel(Protocol):
    """A device on a UART."""

    def uart_exchange(self, data: bytes, now: int) -> bytes:
        """Bytes from the board since the last call; returns what the device sends in answer (may be empty).

        Blocks for the answer, so that a board in virtual time waits for it at one moment of that time.
        """
        ...


@runtime_checkable
class UartLineModel(UartModel, Protocol):
    """A device on a UART that minds how the board has set it."""

    def uart_line(self, baudrate: int, parity: str) -> None:
        """What comes next is sent at `baudrate` with `parity`: "none", "even" or "odd"."""
        ...


@runtime_checkable
class GpioModel(Protocol):
    """A device that drives one GPIO of the board."""

    def gpio_level(self, now: int) -> bool:
        """The line's level."""
        ...

    def gpio_next(self, now: int) -> int:
        """When to look at the level next, after `now`: it is the same until then, and may be so afterwards."""
        ...


@runtime_checkable
class OneWireModel(Protocol):
    """The only device on a 1-Wire line."""

    def one_wire_reset(self, now: int) -> bool:
        """A reset pulse; whether a presence pulse answers it."""
        ...

    @property
    def one_wire_answers(self) -> bool:
        """Whether the next slot is one that the device is read in."""
        ...

    def one_wire_read(self, now: int) -> int:
        """The bit of such a slot; 0 pulls the line low."""
        ...

    def one_wire_write(self, bit: int, now: int) -> None:
        """The bit of any other slot."""
        ...


@runtime_checkable
class DrivenModel(Protocol):
    """A device on one GPIO that the board drives."""

    def gpio_driven(self, level: bool, now: int) -> None:
        """The line's level has changed."""
        ...


Model = SpiModel | I2cModel | UartModel | GpioModel | DrivenModel | OneWireModel


@dataclass
class Attached:
    """One model on one place of one bus.

    bus: "spi0", "i2c0", "uart1" as the board file names them, or "gpio"; select: the chip-select GPIO of an SPI
    device, the 7-bit address of an I2C one, the GPIO of a device on "gpio": one that drives it, is driven, or is on a
    1-Wire line, which the emulated Pico W alone carries. On a UART the GPIO that lets an RS-485 transceiver before the
    device send while it is high, and receive while it is low; 0 for none. A GPIO may be given by the board file's name
    for it ("spi0_cs").
    """

    name: str
    bus: str
    select: int | str
    model: Model

    @property
    def number(self) -> int:
        """`select`, as a board has it: a number. Raises BoardError where `placed` has not made it one."""
        if isinstance(self.select, int):
            return self.select
        raise BoardError(f"sensor {self.name}: its place {self.select} is a name: give a number")


def placed(rig: tuple[Attached, ...], pins: Mapping[str, int]) -> tuple[Attached, ...]:
    """The rig with each GPIO as a number; pins: by name, of the board file. Raises BoardError."""
    return tuple(part if isinstance(part.select, int) else _placed(part, part.select, pins) for part in rig)


def _placed(part: Attached, name: str, pins: Mapping[str, int]) -> Attached:
    if name not in pins:
        known = ", ".join(sorted(pins)) or "none"
        raise BoardError(f"sensor {part.name}: the board has no pin {name} (there: {known}): use one of these names")
    return replace(part, select=pins[name])
