"""Maxim MAX31865, which measures a PT100 with two, three or four wires, on SPI (mode 1 or 3, up to 5 MHz).

Datasheet 19-6478 Rev. 3: register map table 1, configuration table 2, results tables 4 and 9, faults tables 7 and 10 to
12. A result is the part of the reference resistor that the PT100 has, 15 bits. Temperature from resistance: IEC 60751,
clause 4.2 (Callendar-Van Dusen). A PT1000 with a reference ten times as large gives the same.
"""

import time

from micropython import const

if False:  # types alone: never compiled
    from machine import SPI, Pin

_WRITE = const(0x80)
_STATUS = const(7)

_BIAS = const(0x80)
_ONE_SHOT = const(0x20)
_THREE_WIRES = const(0x10)
_LOOK_FOR_FAULTS = const(0x04)  # the automatic cycle
_CLEAR_FAULTS = const(0x02)
_FILTER_50HZ = const(0x01)

_SETTLE_MS = const(2)  # 10.5 time constants of 430 ohm and 100 nF, and 1 ms
_CONVERT_MS = const(70)  # one shot with the filter for 50 Hz: at most 66
_CYCLE_MS = const(1)  # the automatic cycle: 0.6
_FASTEST_HZ = const(5_000_000)

# What a PT100 has at the ends of its range, -200 and 850 °C, mΩ
_LOWEST_MOHM = const(18_520)
_HIGHEST_MOHM = const(390_481)

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_FAULT = const(220)


def milli(ratio: int, reference: int) -> int:
    """m°C of a PT100 that has `ratio` / 32768 of `reference` ohm. In integers: no port rounds otherwise.

    Newton's method on IEC 60751's polynomial in m°C; all terms are in 1e-12 of the resistance at 0 °C.
    """
    wanted = (ratio * reference * 10_000_000_000 >> 15) - 1_000_000_000_000
    x = 0
    for _ in range(6):
        value = 3_908_300 * x - 5775 * x * x // 10_000
        if x < 0:
            value -= 4183 * (x - 100_000) * x * x * x // 1_000_000_000_000_000
        x += (wanted - value) // (3_908_300 - 1155 * x // 1000)
    return x


class MAX31865:
    """spi: a machine.SPI; cs: its chip select; wires: 2, 3 or 4; reference: the board's resistor, ohm.

    baudrate: the bus's own, which other parts on it are given back after each transfer.
    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    LOWEST_MILLI = -200_000  # of IEC 60751; a result beyond it is a fault
    HIGHEST_MILLI = 850_000

    def __init__(self, spi: "SPI", cs: "Pin", wires: int = 3, reference: int = 430, baudrate: int = 8_000_000) -> None:
        self._spi = spi
        self._cs = cs
        self._reference = reference
        self._baudrate = baudrate
        self._settings = _FILTER_50HZ | (_THREE_WIRES if wires == 3 else 0)
        self._registers = bytearray(8)
        self._command = bytearray(2)
        self._limits = bytearray(5)
        self._limits[0] = _WRITE | 3
        for at, limit in ((1, self._ratio(_HIGHEST_MOHM) + 1), (3, self._ratio(_LOWEST_MOHM) - 1)):
            self._limits[at] = limit >> 7
            self._limits[at + 1] = limit << 1 & 0xFF

    def _ratio(self, mohm: int) -> int:
        return min((mohm << 15) // (self._reference * 1000), 0x7FFE)

    def probe(self) -> None:
        """Set the limits of a fault; the part has no identity, and that it keeps them is its sign."""
        self._transfer(self._limits, None)
        self._read(0)
        for i in range(4):
            if self._registers[3 + i] != self._limits[1 + i]:
                raise OSError(_NO_ANSWER)

    def start(self) -> int:
        """Switch the current through the PT100 on and begin a conversion; returns the ms until read_milli has it."""
        self._write(_BIAS | _CLEAR_FAULTS)
        time.sleep_ms(_SETTLE_MS)
        self._write(_BIAS | _ONE_SHOT)
        return _CONVERT_MS

    def read_milli(self) -> int:
        """The result in m°C, of 34 m°C an LSB; the current is off after it.

        Raises OSError for a broken or shorted wire, with the fault status register for the detail.
        """
        registers = self._registers
        self._read(0)
        if registers[0] != _BIAS | self._settings:  # nobody, or a part that lost its power since start()
            raise OSError(_NO_ANSWER)
        fault = registers[2] & 1
        status = registers[_STATUS]
        if fault:
            self._write(_BIAS | _LOOK_FOR_FAULTS)
            time.sleep_ms(_CYCLE_MS)
            self._read(_STATUS)
            status |= registers[0]
        self._write(0)
        if fault:
            raise OSError(_FAULT, status)
        return milli(registers[1] << 7 | registers[2] >> 1, self._reference)

    def _write(self, mode: int) -> None:
        self._command[0] = _WRITE
        self._command[1] = mode | self._settings
        self._transfer(self._command, None)

    def _read(self, first: int) -> None:
        self._command[0] = first
        self._transfer(memoryview(self._command)[:1], self._registers)

    def _transfer(self, out: "bytearray | memoryview", answer: bytearray | None) -> None:
        self._spi.init(baudrate=min(self._baudrate, _FASTEST_HZ))
        self._cs(0)
        try:
            self._spi.write(out)
            if answer:
                self._spi.readinto(answer)
        finally:
            self._cs(1)
            self._spi.init(baudrate=self._baudrate)
