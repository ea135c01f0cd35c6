"""Maxim DS18B20, a temperature sensor of ±0.5 °C, alone on a 1-Wire line and with a supply of its own.

Datasheet DS18B20 Rev. 6 (19-7487): commands table 3, scratchpad figure 9, format figure 4 (1/16 °C an LSB), times
table 2. What a part holds after power-on, 85 °C, is a possible result too. So each conversion is preceded by two marks
in the alarm registers, which the part forgets with its power: a result without them is no result. They and the
configuration byte also refuse a line that is held low, whose zeros have a right checksum.
"""

from micropython import const

if False:  # types alone: never compiled
    from onewire import OneWire

_READ_ROM = const(0x33)
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_WRITE_SCRATCHPAD = const(0x4E)
_READ_SCRATCHPAD = const(0xBE)

_FAMILY = const(0x28)
_SETTINGS = b"\xa5\x5a\x7f"  # the marks, and a resolution of 12 bits
_CONVERT_MS = const(750)

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_OTHER_PART = const(202)
_NO_READING = const(203)


class DS18B20:
    """wire: a onewire.OneWire with this part alone on it.

    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    LOWEST_MILLI = -55_000  # the part's range; a result beyond it is a fault
    HIGHEST_MILLI = 125_000

    def __init__(self, wire: "OneWire") -> None:
        self._wire = wire
        self._rom = bytearray(8)
        self._scratchpad = bytearray(9)

    def probe(self) -> None:
        """Check the part's family. Raises OSError when it is another part, or when there are several."""
        rom = self._rom
        self._command(_READ_ROM)
        self._read(rom)
        if rom[0] != _FAMILY:
            raise OSError(_OTHER_PART, rom[0])

    def start(self) -> int:
        """Begin a conversion; returns the ms until read_milli has its result."""
        self._command(_SKIP_ROM)
        self._wire.writebyte(_WRITE_SCRATCHPAD)
        self._wire.write(_SETTINGS)
        self._command(_SKIP_ROM)
        self._wire.writebyte(_CONVERT)
        return _CONVERT_MS

    def read_milli(self) -> int:
        """The result in m°C, rounded from 62.5 m°C an LSB. Raises OSError when the part lost its power meanwhile."""
        scratchpad = self._scratchpad
        self._command(_SKIP_ROM)
        self._wire.writebyte(_READ_SCRATCHPAD)
        self._read(scratchpad)
        for i in range(3):
            if scratchpad[2 + i] != _SETTINGS[i]:
                raise OSError(_NO_READING)
        lsb = scratchpad[1] << 8 | scratchpad[0]
        if lsb & 0x8000:
            lsb -= 0x10000
        return lsb * 125 + 1 >> 1

    def _command(self, command: int) -> None:
        if not self._wire.reset():
            raise OSError(_NO_ANSWER)
        self._wire.writebyte(command)

    def _read(self, data: bytearray) -> None:
        self._wire.readinto(data)
        if self._wire.crc8(data):
            raise OSError(_BROKEN)
