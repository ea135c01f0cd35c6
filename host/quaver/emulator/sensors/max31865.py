"""An emulated Maxim MAX31865 with a PT100 on SPI, register by register.

Datasheet 19-6478 Rev. 3: register map table 1, configuration table 2, results tables 4 and 9, faults tables 7 and 10 to
12. Modelled: configuration, one-shot and automatic conversions with the times of both filters, which need the bias
voltage, limits, the fault bit and status with both fault cycles, resistance of the wires. Not modelled: the DRDY pin,
how the inputs settle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.registers import SpiRegisterPart
from quaver.emulator.sensors.stream import Fault

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

_ONE_SHOT_NS = (55_000_000, 66_000_000)  # the longest, with the filter for 60 and for 50 Hz
_AUTOMATIC_NS = (17_600_000, 21_000_000)
_WRITABLE = frozenset([0, 3, 4, 5, 6])


def resistance(celsius: float) -> float:
    """Of a PT100, ohm: IEC 60751, clause 4.2."""
    ratio = 1 + 3.9083e-3 * celsius - 5.775e-7 * celsius**2
    if celsius < 0:
        ratio -= 4.183e-12 * (celsius - 100) * celsius**3
    return 100 * ratio


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("max31865", "spi0", 2, MAX31865())


class MAX31865(SpiRegisterPart):
    """The converter and its sensor. All attributes may change while it runs.

    temperature: of the PT100, °C, taken over at each conversion; reference: ohm; wires: how it is wired, 2, 3 or 4;
    lead: ohm of each wire. broken: the bits of the fault status register that a fault cycle finds.
    fault: None; "absent" (MISO floats), "stuck" (the result never changes again), "range" (the PT100 is open).
    """

    MASK = 0x07

    def __init__(
        self,
        temperature: float = 25.0,
        *,
        reference: float = 430.0,
        wires: int = 3,
        lead: float = 0.0,
        broken: int = 0,
        fault: Fault = None,
    ) -> None:
        self.temperature = temperature
        self.reference = reference
        self.wires = wires
        self.lead = lead
        self.broken = broken
        super().__init__(fault)
        self.lose_power()

    def lose_power(self) -> None:
        """Its supply was away: the registers are as at power-on."""
        self._registers = bytearray(b"\x00\x00\x00\xff\xff\x00\x00\x00")
        self._converted: int | None = None

    def _spi_command(self, value: int) -> tuple[bool, bool, int]:
        """Bit 7 writes, the rest is the register; more bytes step through them."""
        return value < 0x80, True, value & self.MASK

    def _read(self, address: int, now: int) -> int:
        self._convert(now)
        return self._registers[address]

    def _write(self, address: int, value: int, now: int) -> None:
        self._convert(now)
        if address in _WRITABLE:
            self._registers[address] = value
            if not address:
                self._configure(value, now)

    def _end(self) -> None:
        """Nothing ends with a transfer."""

    def _configure(self, value: int, now: int) -> None:
        registers = self._registers
        cycle = value >> 2 & 0b11
        if value & 0x02 and not value & 0x2C:
            registers[7] = 0
            registers[2] &= 0xFE
        self._converted = None
        if value & 0x80 and value & 0x60:
            times = _AUTOMATIC_NS if value & 0x40 else _ONE_SHOT_NS
            self._converted = now + times[value & 1]
        elif value & 0x80 and cycle:
            registers[7] |= self._status()
        registers[0] = value & 0xD1  # what starts something clears itself

    def _status(self) -> int:
        return self.broken | (0x20 if self.fault == "range" else 0)

    def _convert(self, now: int) -> None:
        if self._converted is None or now < self._converted:
            return
        registers = self._registers
        self._converted = now + _AUTOMATIC_NS[registers[0] & 1] if registers[0] & 0x40 else None
        if self.fault != "stuck" or not registers[1] | registers[2]:
            registers[1:3] = (self._ratio() << 1).to_bytes(2, "big")
        code = int.from_bytes(registers[1:3], "big") & 0xFFFE
        if code >= int.from_bytes(registers[3:5], "big") & 0xFFFE:
            registers[7] |= 0x80
        if code <= int.from_bytes(registers[5:7], "big") & 0xFFFE:
            registers[7] |= 0x40
        registers[7] |= self.broken & 0x04
        registers[2] = registers[2] & 0xFE | bool(registers[7])

    def _ratio(self) -> int:
        if self.fault == "range":
            return 0x7FFF
        leads = 2 if self.wires == 2 else 0
        if self.wires == 3:
            leads = 0 if self._registers[0] & 0x10 else 1
        ohm = resistance(self.temperature) + leads * self.lead
        return max(0, min(0x7FFF, int(ohm / self.reference * 0x8000)))
