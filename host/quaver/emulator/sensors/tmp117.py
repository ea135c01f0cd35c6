"""An emulated TI TMP117 temperature sensor on I2C, register by register.

Datasheet SNOSD82D: register map section 7.6, conversion cycle table 7-7. Modelled: identity, continuous,
one-shot and shutdown mode with their conversion times, data-ready, limits with alert flags, offset, soft reset,
the user's EEPROM registers (as RAM). Not modelled: the alert pin, therm mode, programming of power-up values.
"""

from __future__ import annotations

from quaver.emulator.sensors.stream import Fault

_TEMPERATURE = 0x00
_CONFIGURATION = 0x01
_HIGH_LIMIT = 0x02
_LOW_LIMIT = 0x03
_OFFSET = 0x07
_DEVICE_ID = 0x0F

_HIGH_ALERT = 0x8000
_LOW_ALERT = 0x4000
_DATA_READY = 0x2000
_SOFT_RESET = 0x0002
_POWER_UP_NS = 1_500_000
_CONVERSION_NS = 15_500_000
_AVERAGES = (1, 8, 32, 64)
_CYCLE_MS = (15.5, 125, 250, 500, 1000, 4000, 8000, 16000)  # by CONV[2:0]; never less than the conversion itself

_WRITABLE = frozenset([_CONFIGURATION, _HIGH_LIMIT, _LOW_LIMIT, 0x04, 0x05, 0x06, _OFFSET, 0x08])


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


class TMP117:
    """The sensor. All attributes may change while it runs.

    temperature: °C, taken over at each conversion.
    fault: None; "absent" (no acknowledge), "stuck" (the result never changes again), "range" (the result is
    pinned at the end of its scale, 255.99 °C, beyond the part's +150 °C).
    """

    def __init__(self, temperature: float = 25.0, *, fault: Fault = None) -> None:
        self.temperature = temperature
        self.fault: Fault = fault
        self._pointer = 0
        self._incoming = bytearray()
        self._outgoing = b""
        self._expects_pointer = True
        self._reset(0)

    # I2C (section 7.5.3): the first byte written is the register, then words, high byte first.

    def i2c_start(self, read: bool, now: int) -> bool:
        if self.fault == "absent":
            return False
        self._outgoing = b""
        self._incoming.clear()
        self._expects_pointer = not read
        return True

    def i2c_write(self, value: int, now: int) -> bool:
        if self.fault == "absent":
            return False
        if self._expects_pointer:
            self._expects_pointer = False
            self._pointer = value & 0x0F
            return True
        self._incoming.append(value)
        if len(self._incoming) == 2:
            self._write(self._pointer, int.from_bytes(self._incoming, "big"), now)
            self._incoming.clear()
        return True

    def i2c_read(self, now: int) -> int:
        if self.fault == "absent":
            return 0xFF
        if not self._outgoing:
            self._outgoing = self._read(self._pointer, now).to_bytes(2, "big")
        byte, self._outgoing = self._outgoing[0], self._outgoing[1:]
        return byte

    def i2c_stop(self, now: int) -> None:
        self._outgoing = b""

    # Registers

    def _reset(self, now: int) -> None:
        self._registers = [0] * 16
        self._registers[_TEMPERATURE] = 0x8000  # -256 °C until the first conversion is complete
        self._registers[_CONFIGURATION] = 0x0220
        self._registers[_HIGH_LIMIT] = 0x6000
        self._registers[_LOW_LIMIT] = 0x8000
        self._registers[_DEVICE_ID] = 0x0117
        self._restart(now + _POWER_UP_NS)

    def _write(self, pointer: int, word: int, now: int) -> None:
        if pointer not in _WRITABLE:
            return
        self._convert(now)
        if pointer != _CONFIGURATION:
            self._registers[pointer] = word
        elif word & _SOFT_RESET:
            self._reset(now)
        else:
            flags = self._registers[_CONFIGURATION] & 0xF000
            self._registers[_CONFIGURATION] = flags | word & 0x0FFC
            self._restart(now)

    def _read(self, pointer: int, now: int) -> int:
        self._convert(now)
        word = self._registers[pointer]
        if pointer == _TEMPERATURE:
            self._registers[_CONFIGURATION] &= ~_DATA_READY
            if self.fault == "range":
                return 0x7FFF
        elif pointer == _CONFIGURATION:
            self._registers[_CONFIGURATION] &= ~(_HIGH_ALERT | _LOW_ALERT | _DATA_READY)
        return word

    # Conversions

    def _mode(self) -> int:
        return self._registers[_CONFIGURATION] >> 10 & 0b11

    def _restart(self, now: int) -> None:
        self._next: int | None = None if self._mode() == 0b01 else now + self._active_ns()

    def _active_ns(self) -> int:
        return _AVERAGES[self._registers[_CONFIGURATION] >> 5 & 0b11] * _CONVERSION_NS

    def _convert(self, now: int) -> None:
        """Complete the conversions that are due by `now`; only the last of them can still be seen."""
        if self._next is None or now < self._next:
            return
        if self._mode() == 0b11:  # one shot, then shutdown
            self._registers[_CONFIGURATION] = self._registers[_CONFIGURATION] & ~0x0C00 | 0x0400
            self._next = None
        else:
            cycle = int(_CYCLE_MS[self._registers[_CONFIGURATION] >> 7 & 0b111] * 1_000_000)
            cycle = max(cycle, self._active_ns())
            self._next += ((now - self._next) // cycle + 1) * cycle
        first = self._registers[_TEMPERATURE] == 0x8000
        if self.fault != "stuck" or first:
            result = round(self.temperature * 128) + _signed(self._registers[_OFFSET])
            self._registers[_TEMPERATURE] = max(-0x8000, min(0x7FFF, result)) & 0xFFFF
        result = _signed(self._registers[_TEMPERATURE])
        self._registers[_CONFIGURATION] |= _DATA_READY
        if result > _signed(self._registers[_HIGH_LIMIT]):
            self._registers[_CONFIGURATION] |= _HIGH_ALERT
        if result < _signed(self._registers[_LOW_LIMIT]):
            self._registers[_CONFIGURATION] |= _LOW_ALERT
