"""Sensirion SHT40, SHT41 and SHT45, sensors of temperature (±0.1 to ±0.2 °C) and relative humidity (±1 to ±1.8 %), on
I2C (up to 1 MHz).

Datasheet "SHT4x" version 6: commands table 8, checksum table 9, conversion section 4.6, times table 5. Each word of two
bytes, the highest first, is followed by its CRC-8; a measurement is the word of temperature, then that of humidity.
"""

import time

from micropython import const

if False:  # types alone: never compiled
    from machine import I2C

_MEASURE = b"\xfd"  # with high repeatability
_SERIAL = b"\x89"
_MEASURE_MS = const(10)  # at most 8.3
_SERIAL_MS = const(1)

# of quaver_wire.reasons
_BROKEN = const(201)


def crc8(data: bytes | bytearray, end: int, at: int = 0) -> int:
    """The checksum of `data` from `at` to before `end`: polynomial 0x31, from 0xFF; 0 of a word with its own at the
    end."""
    crc = 0xFF
    for i in range(at, end):
        crc ^= data[i]
        for _ in range(8):
            crc = (crc << 1 ^ 0x131) if crc & 0x80 else crc << 1
    return crc


class SHT4x:
    """i2c: a machine.I2C; address: 0x44..0x46 by the part's type.

    humidity_milli: the relative humidity in thousandths of a percent, of the measurement that read_milli read last.
    Every verb raises OSError when the part does not answer: a bus errno or a number of quaver_wire.reasons.
    """

    LOWEST_MILLI = -40_000  # the part's range (table 2); a result beyond it is a fault
    HIGHEST_MILLI = 125_000

    def __init__(self, i2c: "I2C", address: int = 0x44) -> None:
        self._i2c = i2c
        self._address = address
        self._words = bytearray(6)  # an answer: two words, each with its checksum
        self.humidity_milli = 0

    def probe(self) -> None:
        """Read the serial number: the part has no other identity, and a right checksum is its sign."""
        self._i2c.writeto(self._address, _SERIAL)
        time.sleep_ms(_SERIAL_MS)
        self._read()

    def start(self) -> int:
        """Begin a measurement; returns the ms until read_milli has its result."""
        self._i2c.writeto(self._address, _MEASURE)
        return _MEASURE_MS

    def read_milli(self) -> int:
        """The temperature in m°C, rounded from 2.67 m°C an LSB."""
        words = self._read()
        humidity = ((words[3] << 8 | words[4]) * 25_000 + 6_553) // 13_107 - 6_000
        self.humidity_milli = min(max(humidity, 0), 100_000)  # near its ends the scale goes beyond them (4.6)
        return ((words[0] << 8 | words[1]) * 35_000 + 6_553) // 13_107 - 45_000

    def _read(self) -> bytearray:
        words = self._words
        self._i2c.readfrom_into(self._address, words)
        if crc8(words, 3) or crc8(words, 6, 3):
            raise OSError(_BROKEN)
        return words
