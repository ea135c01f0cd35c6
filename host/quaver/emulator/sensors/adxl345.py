"""An emulated Analog Devices ADXL345 accelerometer on I2C or SPI, register by register.

Datasheet ADXL345 Rev. E: register map table 19, FIFO section, data formatting of the upper data
rates. Modelled: identity, data rate, power control, data format (range, full resolution, justification), the
FIFO in bypass, FIFO and stream mode, watermark and overrun; activity, against the level at its start, on INT1
(`interrupt`). Not modelled: INT2, tap, inactivity and free-fall detection (so trigger mode waits like stream mode),
offsets, self-test, low power noise, and the 5 µs that the FIFO needs between two reads.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.registers import RegisterPart
from quaver.emulator.sensors.stream import Fault, Int1, Rest, Stream, quantise

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

DEPTH = 32
ENTRIES_MAX = DEPTH + 1  # one more waits at the output filter (FIFO_STATUS, register 0x39)
NOISE_G = 0.017  # 0.75 LSB RMS at 100 Hz (table 1), growing with the root of the rate up to 3,200 Hz
LSB_PER_G = 256  # full resolution, every range; the 3.9 mg/LSB of table 1

_DEVID = 0x00
_BW_RATE = 0x2C
_THRESH_ACT = 0x24
_ACT_INACT_CTL = 0x27
_POWER_CTL = 0x2D
_INT_ENABLE = 0x2E
_INT_SOURCE = 0x30
_DATA_FORMAT = 0x31
_DATAX0 = 0x32
_DATAZ1 = 0x37
_FIFO_CTL = 0x38
_FIFO_STATUS = 0x39

_IDENTITY = 0xE5
_WRITABLE = frozenset([*range(0x1D, 0x2B), *range(0x2C, 0x30), _DATA_FORMAT, _FIFO_CTL])


_ACTIVITY = 0x10
_AXES = (0x40, 0x20, 0x10)  # of ACT_INACT_CTL: X, Y, Z take part
_THRESH_LSB_G = 0.0625


def interrupt(part: ADXL345, pin: int) -> Attached:
    """The part's INT1, wired to a GPIO of the board."""
    return Attached("adxl345 INT1", "gpio", pin, Int1(part))


def attached(source: Source) -> Attached:
    """The part where the pytest plugin's rig has it."""
    return Attached("adxl345", "i2c0", 0x53, ADXL345(source))


class ADXL345(RegisterPart):
    """The sensor. All attributes may change while it runs.

    source: what it measures; without one, its own noise. Asked for `capture` = how often the FIFO was started before.
    clock_error: of its oscillator, ppm; taken over at each start.
    fault: None; "absent" (MISO floats, no acknowledge), "stuck" (one sample for ever), "range" (every axis at
    full scale).
    """

    def __init__(self, source: Source | None = None, *, clock_error: float = 0.0, fault: Fault = None) -> None:
        self.source: Source = source or Rest(NOISE_G)
        self.clock_error = clock_error
        super().__init__(fault)
        self._stream = Stream(word_size=6)
        self._registers = bytearray(0x40)
        self._registers[_DEVID] = _IDENTITY
        self._registers[_BW_RATE] = 0x0A
        self._filled = False
        self._held = b""
        self._sample: bytes | None = None
        self._active = False
        self._looked = 0  # samples of this run that activity was looked for in
        self._level: tuple[int, ...] = ()  # the first of them

    def busy_ns(self, now: int) -> int:
        """How long the converter has run so far."""
        return self._stream.busy_ns(now)

    def started_ns(self) -> int:
        """When it was started last."""
        return self._stream.started_ns

    # Registers

    def _end(self) -> None:
        """A transaction that touched a data register takes the whole sample out, however much it read."""
        if self._sample is not None:
            self._sample = None
            self._filled = False
            if self._buffered() and self._stream.level:
                self._stream.taken += 1

    def _read(self, address: int, now: int) -> int:
        if _DATAX0 <= address <= _DATAZ1:
            if self._sample is None:
                self._sample = self._oldest(now)
            return self._sample[address - _DATAX0]
        if address == _FIFO_STATUS:
            return self._entries(now)
        if address == _INT_SOURCE:
            entries = self._entries(now)
            watermark = self._buffered() and entries >= self._registers[_FIFO_CTL] & 0x1F
            active, self._active = self.raised(now), False
            return (entries > 0) << 7 | active << 4 | watermark << 1 | self._filled
        return self._registers[address]

    def _write(self, address: int, value: int, now: int) -> None:
        if address not in _WRITABLE:
            return
        before = self._measuring(), self._buffered(), self._rate_hz()
        self._registers[address] = value
        after = self._measuring(), self._buffered(), self._rate_hz()
        self._stream.forget()
        if address == _INT_ENABLE or after != before:
            self._active = False
            self._looked = 0
        if after != before:
            self._filled = False
            if self._measuring():
                rate_hz = self._rate_hz() * (1 + self.clock_error * 1e-6)
                self._stream.start(now, rate_hz, buffered=self._buffered())
            else:
                self._stream.stop(now)

    def _measuring(self) -> bool:
        return bool(self._registers[_POWER_CTL] & 0x08)

    def _buffered(self) -> bool:
        return self._measuring() and self._registers[_FIFO_CTL] >> 6 != 0

    def _rate_hz(self) -> float:
        return 3200.0 / (1 << 15 - (self._registers[_BW_RATE] & 0x0F))  # table 7

    # Activity

    def watches(self) -> bool:
        """Whether it would raise INT1."""
        return self._measuring() and bool(self._registers[_INT_ENABLE] & _ACTIVITY)

    def raised(self, now: int) -> bool:
        """Whether a sample up to now was further from the first than the threshold; it stays so until it is read."""
        if self.fault == "absent" or not self.watches():
            return False
        low = self._registers[_ACT_INACT_CTL]
        lsb_per_g = self._resolution()[1]
        while not self._active and self._looked < self._stream.due(now):
            word = self._stream.word(self._looked, self._render)
            axes = struct.unpack("<3h", word)
            if not self._looked:
                self._level = axes
            self._looked += 1
            limit = self._registers[_THRESH_ACT] * _THRESH_LSB_G * lsb_per_g
            moved = (abs(a - b) > limit for a, b, axis in zip(axes, self._level, _AXES, strict=True) if low & axis)
            self._active = any(moved)
        return self._active

    def sample_ns(self) -> int:
        """From one sample to the next."""
        return int(1e9 / self._rate_hz())

    # FIFO

    def _entries(self, now: int) -> int:
        if not self._buffered():
            self._stream.advance(now, 1, keep_newest=True)
            return min(1, self._stream.written)
        keep_newest = self._registers[_FIFO_CTL] >> 6 != 0b01
        self._stream.advance(now, ENTRIES_MAX, keep_newest=keep_newest)
        entries = self._stream.level
        self._filled |= entries >= DEPTH  # the overrun bit stands from "filled" until the FIFO is read
        return entries

    def _oldest(self, now: int) -> bytes:
        if not self._entries(now):
            return self._held or bytes(6)  # nothing new: the output registers keep what they last held
        index = self._stream.taken if self._buffered() else self._stream.written - 1
        sample = self._stream.word(index, self._render)
        if self.fault == "stuck":
            sample = self._held or sample
        if self.fault == "range":
            sample = self._encode(self._limits()[1]).to_bytes(2, "little") * 3
        self._held = sample
        return sample

    # Data format (register 0x31 and the section on upper data rates)

    def _resolution(self) -> tuple[int, int]:
        """Bits of a sample, and LSB per g."""
        extra = self._registers[_DATA_FORMAT] & 0b11
        if self._registers[_DATA_FORMAT] & 0x08:
            return 10 + extra, LSB_PER_G
        return 10, LSB_PER_G >> extra

    def _coarse(self) -> int:
        """1 where 1,600 and 3,200 Hz leave the lowest bit at 0."""
        full = self._registers[_DATA_FORMAT] & 0x08 or not self._registers[_DATA_FORMAT] & 0b11
        return int(bool(full) and self._registers[_BW_RATE] & 0x0F >= 0x0E)

    def _limits(self) -> tuple[int, int]:
        bits = self._resolution()[0] - self._coarse()
        return -(1 << bits - 1), (1 << bits - 1) - 1

    def _shift(self) -> int:
        justify_left = self._registers[_DATA_FORMAT] & 0x04
        return self._coarse() + (16 - self._resolution()[0] if justify_left else 0)

    def _encode(self, value: int) -> int:
        return (value << self._shift()) & 0xFFFF

    def _render(self, first: int, count: int) -> bytes:
        low, high = self._limits()
        lsb_per_g = self._resolution()[1] / (1 << self._coarse())
        samples = quantise(self.source, self._stream, first=first, count=count, lsb_per_g=lsb_per_g, low=low, high=high)
        return (samples << self._shift()).astype("<i2").tobytes()
