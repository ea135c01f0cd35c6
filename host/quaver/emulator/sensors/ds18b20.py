"""An emulated Maxim DS18B20 temperature sensor on a 1-Wire line, bit by bit.

Datasheet DS18B20 Rev. 6 (19-7487): ROM code figure 8, commands table 3, scratchpad figure 9, times table 2. Modelled:
reading, matching, skipping and searching the ROM code (the search by application note 187), the scratchpad with its
checksum, resolutions and their times, a loss of power. Not modelled: alarms, parasite power, the EEPROM's programming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.stream import Fault

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

_READ_ROM, _MATCH_ROM, _SKIP_ROM, _SEARCH_ROM = 0x33, 0x55, 0xCC, 0xF0
_CONVERT, _WRITE_SCRATCHPAD, _READ_SCRATCHPAD = 0x44, 0x4E, 0xBE
_CONVERT_NS = 750_000_000  # with 12 bits; half of it for each bit less
_POWER_ON = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10"  # 85 °C; alarms at 75 and 70 °C, 12 bits


def _crc8(data: bytes | bytearray) -> int:
    """The polynomial x^8 + x^5 + x^4 + 1, lowest bit first."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("ds18b20", "gpio", 22, DS18B20())


class DS18B20:
    """The sensor. All attributes may change while it runs.

    temperature: °C, taken over at each conversion; serial: 48 bits of the ROM code; family: 0x28, another part's else.
    fault: None; "absent" (no presence pulse), "stuck" (the result never changes again), "range" (beyond the part's
    +125 °C).
    """

    def __init__(
        self, temperature: float = 25.0, *, serial: int = 0x0000_0162_1D4A, family: int = 0x28, fault: Fault = None
    ) -> None:
        self.temperature = temperature
        self.serial = serial
        self.family = family
        self.fault: Fault = fault
        self.lose_power()

    def lose_power(self) -> None:
        """Its supply was away: what was under way is lost."""
        self._scratchpad = bytearray(_POWER_ON)
        self._converted = 0  # when the conversion that runs is over; 0 for none
        self._state = "rom"
        self._value = self._count = 0
        self._outgoing: list[int] = []
        self._bits: list[int] = []  # of its ROM code, that a search has not come to

    @property
    def _rom(self) -> bytes:
        code = bytes((self.family,)) + self.serial.to_bytes(6, "little")
        return code + bytes((_crc8(code),))

    def one_wire_reset(self, now: int) -> bool:
        """A reset pulse; whether a presence pulse answers it."""
        self._complete(now)
        self._state = "rom"
        self._value = self._count = 0
        self._outgoing = []
        return self.fault != "absent"

    @property
    def one_wire_answers(self) -> bool:
        """Whether the next slot is one that it is read in."""
        return self.fault != "absent" and (bool(self._outgoing) or self._state == "converting")

    def one_wire_read(self, now: int) -> int:
        """The bit of a read slot; 0 pulls the line low."""
        if self._state == "converting":
            self._complete(now)
            return int(not self._converted)
        return self._outgoing.pop(0)

    def one_wire_write(self, bit: int, now: int) -> None:
        """The bit of a write slot."""
        if self.fault == "absent":
            return
        if self._state == "search":
            self._searched(bit)
            return
        self._value |= bit << self._count
        self._count += 1
        if self._count == 8:
            value, self._value, self._count = self._value, 0, 0
            self._take(value, now)

    def _take(self, value: int, now: int) -> None:
        if self._state == "rom":
            self._state = {_READ_ROM: "", _SKIP_ROM: "function", _MATCH_ROM: "match"}.get(value, "")
            self._matched = b""
            if value == _READ_ROM:
                self._say(self._rom)
            elif value == _SEARCH_ROM:
                self._state = "search"
                self._bits = [byte >> at & 1 for byte in self._rom for at in range(8)]
                self._say_next()
        elif self._state == "match":
            self._matched += bytes((value,))
            if len(self._matched) == 8:
                self._state = "function" if self._matched == self._rom else ""
        elif self._state == "function":
            self._state = ""
            if value == _CONVERT:
                bits = self._scratchpad[4] >> 5 & 3
                self._converted = now + (_CONVERT_NS >> 3 - bits)
                self._state = "converting"
            elif value == _READ_SCRATCHPAD:
                self._complete(now)
                self._say(bytes(self._scratchpad) + bytes((_crc8(self._scratchpad),)))
            elif value == _WRITE_SCRATCHPAD:
                self._state = "write 2"
        elif self._state.startswith("write"):
            at = int(self._state[-1])
            self._scratchpad[at] = value & 0x60 | 0x1F if at == 4 else value
            self._state = f"write {at + 1}" if at < 4 else ""

    def _searched(self, bit: int) -> None:
        """The controller has chosen a bit: who has another one is silent until the next reset."""
        if self._bits.pop(0) != bit:
            self._state = ""
        elif self._bits:
            self._say_next()
        else:
            self._state = "function"

    def _say_next(self) -> None:
        """The next bit of the ROM code, and its complement."""
        self._outgoing = [self._bits[0], 1 - self._bits[0]]

    def _say(self, data: bytes) -> None:
        self._outgoing = [byte >> at & 1 for byte in data for at in range(8)]

    def _complete(self, now: int) -> None:
        if not self._converted or now < self._converted:
            return
        self._converted = 0
        if self.fault == "stuck" and self._scratchpad[:2] != _POWER_ON[:2]:
            return
        celsius = 127.9 if self.fault == "range" else self.temperature
        unused = (1 << 3 - (self._scratchpad[4] >> 5 & 3)) - 1  # bits that a lower resolution leaves
        lsb = max(-0x8000, min(0x7FFF, round(celsius * 16))) & ~unused & 0xFFFF
        self._scratchpad[:2] = lsb.to_bytes(2, "little")
