"""The wires of a part with 8-bit registers: what SPI and I2C carry, byte by byte, as reads and writes of registers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from quaver.emulator.sensors.stream import Fault

_FLOATING = 0xFF  # a line that nobody drives, under the usual pull-up


class SpiRegisterPart(ABC):
    """A part whose registers are read and written one after another; a model of it says what each of them holds.

    Of a transfer's first byte bit 7 reads, bit 6 steps through registers, and the rest is the first one.

    fault: "absent" leaves MISO floating; the rest is the model's.
    """

    MASK = 0x3F  # of a register's number

    def __init__(self, fault: Fault) -> None:
        self.fault: Fault = fault
        self._address = 0
        self._command = True
        self._reading = False
        self._step = True

    @abstractmethod
    def _read(self, address: int, now: int) -> int:
        """The byte in a register that is read."""

    @abstractmethod
    def _write(self, address: int, value: int, now: int) -> None:
        """A byte for a register; one that can't be written stays as it is."""

    @abstractmethod
    def _end(self) -> None:
        """A transaction has ended: what its reads have used up is gone."""

    def _after(self, address: int) -> int:
        """The register that a burst reads or writes after this one."""
        return address + 1 & self.MASK

    def _spi_command(self, value: int) -> tuple[bool, bool, int]:
        """Of a transfer's first byte: whether it reads, whether it steps through registers, and the first of them."""
        return value >= 0x80, bool(value & 0x40), value & self.MASK

    def spi_select(self, now: int) -> None:
        self._command = True

    def spi_exchange(self, value: int, now: int) -> int:
        if self.fault == "absent":
            return _FLOATING
        if self._command:
            self._command = False
            self._reading, self._step, self._address = self._spi_command(value)
            return _FLOATING
        if self._reading:
            return self._read(self._next(), now)
        self._write(self._next(), value, now)
        return _FLOATING

    def spi_deselect(self, now: int) -> None:
        self._end()

    def _next(self) -> int:
        address = self._address
        if self._step:
            self._address = self._after(address)
        return address


class RegisterPart(SpiRegisterPart):
    """One on I2C too: the first byte written is the register, and both directions step from there; with I2C_STEP set,
    only where that bit of the first byte is.

    fault: "absent" leaves every I2C byte without an acknowledge.
    """

    I2C_STEP = 0

    def i2c_start(self, read: bool, now: int) -> bool:
        if self.fault == "absent":
            return False
        self._end()
        self._command = not read
        return True

    def i2c_write(self, value: int, now: int) -> bool:
        if self.fault == "absent":
            return False
        if self._command:
            self._command = False
            self._step = not self.I2C_STEP or bool(value & self.I2C_STEP)
            self._address = value & self.MASK
        else:
            self._write(self._next(), value, now)
        return True

    def i2c_read(self, now: int) -> int:
        return _FLOATING if self.fault == "absent" else self._read(self._next(), now)

    def i2c_stop(self, now: int) -> None:
        self._end()
