"""TI TMP117, a temperature sensor of ±0.1 °C, on I2C (up to 400 kHz).

Datasheet SNOSD82D: register map section 7.6, result format section 7.3.3 (1/128 °C an LSB, big-endian).
"""

import time

from micropython import const

if False:  # types alone: never compiled
    from machine import I2C

_TEMPERATURE = const(0x00)
_CONFIGURATION = const(0x01)
_DEVICE_ID = const(0x0F)

_IDENTITY = const(0x0117)
_ID_BITS = const(0x0FFF)  # above them is the revision
_NO_RESULT = const(0x8000)  # -256 °C, until the first conversion is complete
# Continuous conversion, one result a second, each the mean of 8: the part's default, unless its EEPROM differs.
_CONTINUOUS = b"\x02\x20"
_FIRST_MS = const(160)  # by then it has its first result: power-up 1.5 ms, eight conversions of up to 17.5 ms
_POLL_MS = const(10)

# of quaver_wire.reasons
_OTHER_PART = const(202)
_NO_READING = const(203)


class TMP117:
    """i2c: a machine.I2C; address: 0x48..0x4B by the ADD0 pin.

    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    LOWEST_MILLI = -55_000  # the part's range (section 6.3); a result beyond it is a fault
    HIGHEST_MILLI = 150_000

    def __init__(self, i2c: "I2C", address: int = 0x48) -> None:
        self._i2c = i2c
        self._address = address
        self._word = bytearray(2)

    def probe(self) -> None:
        """Check the part's identity and start conversions.

        Raises OSError when it is another part.
        """
        identity = self._read(_DEVICE_ID) & _ID_BITS
        if identity != _IDENTITY:
            raise OSError(_OTHER_PART, identity)
        self._i2c.writeto_mem(self._address, _CONFIGURATION, _CONTINUOUS)

    def start(self) -> int:
        """Nothing to begin: the part always has a result."""
        return 0

    def read_milli(self) -> int:
        """The last result in m°C, rounded from 7.8125 m°C an LSB. Allocates nothing.

        Right after power-up it waits for the first result, up to 0.16 s. Raises OSError when none comes.
        """
        lsb = self._read(_TEMPERATURE)
        waited = 0
        while lsb == _NO_RESULT:
            if waited == _FIRST_MS:
                raise OSError(_NO_READING)
            time.sleep_ms(_POLL_MS)
            waited += _POLL_MS
            lsb = self._read(_TEMPERATURE)
        if lsb & 0x8000:
            lsb -= 0x10000
        return lsb * 125 + 8 >> 4

    def _read(self, register: int) -> int:
        word = self._word
        self._i2c.readfrom_mem_into(self._address, register, word)
        return word[0] << 8 | word[1]
