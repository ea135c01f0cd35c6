"""An emulated Sensirion SHT4x temperature and humidity sensor on I2C, command by command.

Datasheet "SHT4x" version 6: commands table 8, checksum table 9, times table 5. Modelled: serial number, soft reset, the
three repeatabilities with their times, in which the part does not acknowledge. Not modelled: the heater.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.stream import Fault

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

_SERIAL = 0x89
_RESET = 0x94
_MEASURE_NS = {0xFD: 8_300_000, 0xF6: 4_500_000, 0xE0: 1_600_000}  # the longest of high, medium and low repeatability
_NUMBER = (0x0F3A, 0x5C21)


def _crc8(word: bytes) -> int:
    crc = 0xFF
    for byte in word:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _words(*values: int) -> bytes:
    words = [value.to_bytes(2, "big") for value in values]
    return b"".join(word + bytes((_crc8(word),)) for word in words)


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("sht4x", "i2c0", 0x44, SHT4x())


class SHT4x:
    """The sensor. All attributes may change while it runs.

    temperature: °C, humidity: %, taken over at each measurement.
    fault: None; "absent" (no acknowledge), "stuck" (the result never changes again), "range" (the end of the scale,
    130 °C, beyond the part's +125 °C).
    """

    def __init__(self, temperature: float = 25.0, humidity: float = 40.0, *, fault: Fault = None) -> None:
        self.temperature = temperature
        self.humidity = humidity
        self.fault: Fault = fault
        self._ready = 0
        self._held = b""
        self._answer = b""

    def i2c_start(self, read: bool, now: int) -> bool:
        return self.fault != "absent" and now >= self._ready and (bool(self._answer) or not read)

    def i2c_write(self, value: int, now: int) -> bool:
        if self.fault == "absent":
            return False
        self._answer = b""
        if value == _SERIAL:
            self._answer = _words(*_NUMBER)
        elif value in _MEASURE_NS:
            self._ready = now + _MEASURE_NS[value]
            if self.fault != "stuck" or not self._held:
                self._held = self._measured()
            self._answer = self._held
        return value in _MEASURE_NS or value in (_SERIAL, _RESET)

    def i2c_read(self, now: int) -> int:
        if not self._answer:
            return 0xFF
        byte, self._answer = self._answer[0], self._answer[1:]
        return byte

    def i2c_stop(self, now: int) -> None:
        """A reader that has enough ends the answer: what it has not taken is there no more, once it has begun."""

    def _measured(self) -> bytes:
        celsius = 130.0 if self.fault == "range" else self.temperature
        scaled = ((celsius + 45) / 175, (self.humidity + 6) / 125)  # section 4.6
        return _words(*(max(0, min(0xFFFF, round(part * 0xFFFF))) for part in scaled))
