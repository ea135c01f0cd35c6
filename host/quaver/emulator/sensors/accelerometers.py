"""Emulated accelerometers with a FIFO, register by register: one model, and what `parts` says of each.

Modelled: identity, rate, range, standby, the FIFO with its level and overrun, how a burst reads it, byte order and
justification; where a part has it, the interrupt that wakes a node. Not modelled: the other interrupts, filters,
self-test, offsets, gyroscopes and thermometers, the time to settle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.adxl345 import ADXL345
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.sensors.parts import PARTS, Part
from quaver.emulator.sensors.registers import RegisterPart
from quaver.emulator.sensors.stream import Fault, Int1, Rest, Stream, quantise

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

_BLOCK = 64  # samples that are looked at for a vibration at once


def vibration_part(driver: str, source: Source | None = None) -> ADXL345 | IIS3DWB | Accelerometer:
    """The part that the driver of that name runs."""
    if driver == "adxl345":
        return ADXL345(source)
    if driver == "iis3dwb":
        return IIS3DWB(source)
    return Accelerometer(driver, source)


def interrupt(part: Accelerometer, pin: int) -> Attached:
    """The part's INT1, wired to a GPIO of the board."""
    return Attached(f"{part.name} INT1", "gpio", pin, Int1(part))


class Accelerometer(RegisterPart):
    """The sensor of that name, of PARTS. All attributes may change while it runs.

    source: what it measures; without one, its own noise. Asked for `capture` = how often the FIFO was started before.
    clock_error: of its oscillator, ppm; taken over at each start.
    fault: None; "absent" (MISO floats, no acknowledge), "stuck" (one sample for ever), "range" (every axis at
    full scale).
    """

    MASK = 0x7F

    def __init__(
        self, name: str, source: Source | None = None, *, clock_error: float = 0.0, fault: Fault = None
    ) -> None:
        super().__init__(fault)
        self.name = name
        self.source: Source = source or Rest(self._part.noise_g)
        self.clock_error = clock_error
        self.I2C_STEP = self._part.i2c_step
        self._stream = Stream(word_size=self._part.word)
        self._registers = bytearray(0x80)
        for register, value in self._part.defaults.items():
            self._registers[register] = value
        self._lost = False
        self._at = 0  # of the oldest word, the bytes that were read
        self._dry = 0  # bytes that were read of nothing
        self._held: bytes | None = None
        self._status: bytes | None = None
        self._active = False
        self._looked = 0  # samples of this run that a vibration was looked for in
        self._block: NDArray[np.int16] = np.empty((0, 3), np.int16)  # what comes next of them
        self._first: tuple[float, ...] = ()

    @property
    def _part(self) -> Part:
        return PARTS[self.name]  # found by its name, for a model is pickled and its functions are not

    def busy_ns(self, now: int) -> int:
        """How long the converter has run so far."""
        return self._stream.busy_ns(now)

    def started_ns(self) -> int:
        """When it was started last."""
        return self._stream.started_ns

    # Registers

    def _spi_command(self, value: int) -> tuple[bool, bool, int]:
        part = self._part
        if part.spi_read_last:  # the number first, then the bit that reads
            return bool(value & 1), True, value >> 1
        return value >= 0x80, not part.spi_step or bool(value & part.spi_step), value & (0x7F & ~part.spi_step)

    def _after(self, address: int) -> int:
        first, size = self._part.data
        if address == first + size - 1:
            return first
        return super()._after(address)

    def _end(self) -> None:
        self._status = None

    def _read(self, address: int, now: int) -> int:
        part = self._part
        first, size = part.data
        if first <= address < first + size:
            return self._next_byte(address - first if size > 1 else self._at, now)
        if part.level_at <= address < part.level_at + part.level_size:
            if self._status is None:  # all of it of one moment
                self._advance(now)
                level = self._stream.level if part.buffered(self._registers) else 0
                self._status = part.level(self._registers, level, self._lost)
                self._lost = self._lost and level >= part.depth
            return self._status[address - part.level_at]
        if address in part.wake_clear:
            self._active = False
            self._first = ()
        return self._registers[address]

    def _write(self, address: int, value: int, now: int) -> None:
        part = self._part
        if address in part.fixed or (part.bank >= 0 and address != part.bank and self._registers[part.bank]):
            return
        before = part.rate(self._registers), part.buffered(self._registers)
        self._registers[address] = value
        after = part.rate(self._registers), part.buffered(self._registers)
        self._stream.forget()
        self._block = self._block[:0]
        if part.clears(address, value):
            self._advance(now)
            self._stream.taken = self._stream.written
            self._at = 0
            self._lost = False
        if not self.watches():
            self._active = False
        if after != before:
            self._lost = False
            self._looked = self._at = 0
            self._first = ()
            if after[0]:
                self._stream.start(now, after[0] * (1 + self.clock_error * 1e-6), buffered=after[1])
            else:
                self._stream.stop(now)

    # FIFO

    def _advance(self, now: int) -> None:
        lost = self._stream.advance(now, self._part.depth, keep_newest=True)
        if lost and not self._lost:
            self._at = self._part.torn  # bytes of the oldest word are gone
        self._lost |= lost

    def _next_byte(self, at: int, now: int) -> int:
        part = self._part
        self._advance(now)
        if not part.buffered(self._registers) or not self._stream.level:
            self._dry += 1
            return part.empty[(self._dry - 1) % part.word]
        self._dry = 0
        value = self._sample()[at]
        self._at = at + 1
        if self._at == part.word:
            self._at = 0
            self._stream.taken += 1
        return value

    def _sample(self) -> bytes:
        word = self._stream.word(self._stream.taken, self._render)
        if self.fault == "stuck":
            self._held = self._held or word
            return self._held
        self._held = None
        if self.fault == "range":
            return self._encode(_Rail(), 0, 1)
        return word

    def _render(self, first: int, count: int) -> bytes:
        return self._encode(self.source, first, count)

    def _encode(self, source: Source, first: int, count: int) -> bytes:
        samples = quantise(source, self._stream, first, count, *self._part.scale(self._registers))
        return self._part.encode(self._registers, samples, first)

    # The interrupt

    def watches(self) -> bool:
        """Whether it would raise INT1."""
        return self._part.wake(self._registers) is not None

    def raised(self, now: int) -> bool:
        """Whether an axis up to now was above the level, less what it was before; so until that is read."""
        wake = self._part.wake(self._registers)
        if self.fault == "absent" or wake is None:
            return False
        level_g, from_last = wake
        scale = self._part.scale(self._registers)
        while not self._active and self._looked < self._stream.due(now):
            at = self._looked % _BLOCK
            if not at or not len(self._block):
                self._block = quantise(self.source, self._stream, self._looked - at, _BLOCK, *scale)
            axes = tuple(float(axis) / scale[0] for axis in self._block[at])
            self._looked += 1
            if self._first:
                self._active = any(abs(a - b) > level_g for a, b in zip(axes, self._first, strict=True))
            if from_last or not self._first:
                self._first = axes
        return self._active

    def sample_ns(self) -> int:
        """From one sample to the next."""
        return int(1e9 / self._part.rate(self._registers))


class _Rail:
    """More than any part's range on every axis."""

    def samples(self, capture: int, rate_hz: float, first: int, count: int) -> NDArray[np.float32]:
        return np.full((count, 3), 1e6, np.float32)
