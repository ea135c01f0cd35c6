"""An emulated ST IIS3DWB vibration sensor on SPI, register by register.

Datasheet DS12569 (register mapping, FIFO) and application note AN5444. Modelled: identity,
reset, full scale, FIFO in bypass, FIFO and continuous mode with watermark, stop-on-watermark, full and overrun
flags, tags, burst reads that roll over, output and temperature registers, the trimmed oscillator. Not
modelled: interrupt pins, wake-up (so modes that wait for it stay untriggered), filters, self-test, batching of
temperature and timestamps, the settling time after power-up of the accelerometer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from quaver.emulator.sensors.stream import Fault, Rest, Stream, quantise

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

ODR_HZ = 26667.0
DEPTH = 512
NOISE_G = 0.006  # 75 µg/√Hz over 6.3 kHz
UG_PER_LSB = {0b00: 61, 0b01: 488, 0b10: 122, 0b11: 244}  # by FS[1:0]: ±2, ±16, ±4, ±8 g

_FIFO_CTRL1 = 0x07
_FIFO_CTRL2 = 0x08
_FIFO_CTRL3 = 0x09
_FIFO_CTRL4 = 0x0A
_WHO_AM_I = 0x0F
_CTRL1_XL = 0x10
_CTRL3_C = 0x12
_STATUS_REG = 0x1E
_OUT_TEMP_L = 0x20
_OUT_TEMP_H = 0x21
_OUTX_L_A = 0x28
_OUTZ_H_A = 0x2D
_FIFO_STATUS1 = 0x3A
_FIFO_STATUS2 = 0x3B
_INTERNAL_FREQ_FINE = 0x63
_TAG = 0x78
_LAST = 0x7E

_IDENTITY = 0x7B
_RESET_NS = 50_000  # a software reset takes about 50 µs
_TAG_ACCELEROMETER = 0x02
_WRITABLE = frozenset(
    [0x02, *range(0x07, 0x0F), *range(0x10, 0x1A), 0x56, 0x58, 0x5B, 0x5C, 0x5E, 0x5F, 0x73, 0x74, 0x75]
)
_FLOATING = 0xFF  # MISO with nobody driving it, under the usual pull-up


def _tag(counter: int) -> int:
    """The tag byte: sensor, 2-bit time slot counter, and the bit that makes the number of ones even."""
    byte = _TAG_ACCELEROMETER << 3 | counter << 1
    return byte | byte.bit_count() & 1


TAGS = np.array([_tag(counter) for counter in range(4)], np.uint8)


class IIS3DWB:
    """The sensor. All attributes may change while it runs.

    source: what it measures; without one, its own noise. Asked for `capture` = how often the FIFO was started before.
    temperature: of the die, °C. clock_error: of its oscillator, ppm; taken over at each start.
    fault: None; "absent" (MISO floats), "stuck" (one sample for ever), "range" (every axis at full scale).
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        temperature: float = 25.0,
        clock_error: float = 0.0,
        fault: Fault = None,
    ) -> None:
        self.source: Source = source or Rest(NOISE_G)
        self.temperature = temperature
        self.clock_error = clock_error
        self.fault: Fault = fault
        self._stream = Stream(word_size=7)
        self._reset_until = 0
        self._temperature_lsb = 0
        self._held = b""
        self._command = True
        self._reading = False
        self._address = 0
        self._word: bytes | None = None
        self._word_index = -1
        self._at = 0
        self._status2: int | None = None
        self._output: bytes | None = None
        self._seen = 0
        self._reset()

    # SPI, mode 0 or 3: bit 7 of the first byte reads, the rest is the register.

    def spi_select(self, now: int) -> None:
        self._command = True
        self._word = self._status2 = self._output = None

    def spi_exchange(self, value: int, now: int) -> int:
        word = self._word
        if word is not None:  # within a word of a FIFO burst: the path that every sample takes
            at = self._at
            self._at = at + 1
            if at == _LAST - _TAG:
                self._finish_word()
            return word[at]
        if self.fault == "absent":
            return _FLOATING
        if self._command:
            self._command = False
            self._reading = value >= 0x80
            self._address = value & 0x7F
            return _FLOATING
        address = self._address
        if self._increments:  # IF_INC; within the FIFO the address rolls over
            self._address = _TAG if address == _LAST else (address + 1) & 0x7F
        if not self._reading:
            self._write(address, value, now)
            return _FLOATING
        if _TAG <= address <= _LAST:
            return self._read_fifo(address, now)
        return self._read(address, now)

    def spi_burst(self, data: bytes, now: int, byte_ns: float) -> bytes:
        """A whole transfer that begins at `now`; with the bytes and the moments of `spi_exchange`."""
        answer = bytearray()
        while len(answer) < len(data):
            at = len(answer)
            words = self._whole_words(len(data) - at, now + at * byte_ns, byte_ns)
            if words:
                answer += words
            else:
                answer.append(self.spi_exchange(data[at], int(now + (at + 1) * byte_ns)) & 0xFF)
        return bytes(answer)

    def _whole_words(self, size: int, start: float, byte_ns: float) -> bytes:
        """FIFO words from here on, in one piece; empty where it takes a look at each byte."""
        if self._command or not self._reading or self._word is not None or self.fault or not self._buffered:
            return b""
        if not self._increments or self._address != _TAG:
            return b""
        stream = self._stream
        self._advance(int(start + byte_ns))
        count = min(size // 7, stream.level)
        # Nothing may be lost meanwhile: then it matters when each word is taken out.
        if count < 2 or stream.due(int(start + size * byte_ns)) - stream.taken > self._depth:
            return b""
        words = b"".join(stream.words(stream.taken, count, self._render))
        self._held = b""
        stream.taken += count - 1
        self._advance(int(start + (7 * count - 6) * byte_ns))
        stream.taken += 1
        self._word_index = stream.taken - 1
        return words

    def spi_deselect(self, now: int) -> None:
        self._command = True

    def busy_ns(self, now: int) -> int:
        """How long the converter has run so far."""
        return self._stream.busy_ns(now)

    def started_ns(self) -> int:
        """When it was started last."""
        return self._stream.started_ns

    # Registers

    def _reset(self, now: int = 0) -> None:
        self._registers = bytearray(128)
        self._registers[_WHO_AM_I] = _IDENTITY
        self._registers[_CTRL3_C] = 0x04
        self._overrun = self._overrun_latched = False
        self._stream.stop(now)
        self._configure()

    def _configure(self) -> None:
        """Work out what the registers mean, once for all the bytes until the next write."""
        registers = self._registers
        self._increments = bool(registers[_CTRL3_C] & 0x04)
        mode = registers[_FIFO_CTRL4] & 0x07
        self._on = registers[_CTRL1_XL] >> 5 == 0b101
        self._buffered = self._on and registers[_FIFO_CTRL3] & 0x0F == 0b1010 and mode in (0b001, 0b011, 0b110)
        self._keep_newest = not self._buffered or mode != 0b001
        self._threshold = registers[_FIFO_CTRL1] | (registers[_FIFO_CTRL2] & 1) << 8
        stop_on_watermark = registers[_FIFO_CTRL2] & 0x80 and self._threshold
        self._depth = self._threshold if stop_on_watermark else DEPTH

    def _write(self, address: int, value: int, now: int) -> None:
        if address not in _WRITABLE or now < self._reset_until:
            return
        if address == _CTRL3_C:
            if value & 0x01:
                self._reset(now)
                self._reset_until = now + _RESET_NS
                return
            value &= 0x7E  # BOOT clears itself
        before = self._on, self._buffered
        self._registers[address] = value
        self._configure()
        if before != (self._on, self._buffered):
            self._switch(now)
        self._stream.forget()

    def _switch(self, now: int) -> None:
        """The accelerometer has gone on or off, or the FIFO has begun or ceased to take what it converts."""
        self._overrun = self._overrun_latched = False
        self._seen = 0
        if self._on:
            self._stream.start(now, ODR_HZ * (1 + self.clock_error * 1e-6), buffered=self._buffered)
        else:
            self._stream.stop(now)

    def _read(self, address: int, now: int) -> int:
        if address == _CTRL3_C:
            return self._registers[_CTRL3_C] | (now < self._reset_until)
        if address == _FIFO_STATUS1:
            status = self._fifo_status(now)
            self._status2 = status >> 8
            return status & 0xFF
        if address == _FIFO_STATUS2:
            # A burst reads both halves of one moment, so that the count does not tear.
            high = self._fifo_status(now) >> 8 if self._status2 is None else self._status2
            self._status2 = None
            self._overrun_latched = False
            return high
        if _OUTX_L_A <= address <= _OUTZ_H_A:
            return self._read_output(address, now)
        if address in (_OUT_TEMP_L, _OUT_TEMP_H):
            return self._read_temperature(address)
        if address == _STATUS_REG:
            self._advance(now)
            on = self._stream.running
            return (on and self._stream.written > self._seen) | on << 2
        if address == _INTERNAL_FREQ_FINE:
            return round(self.clock_error / 1500) & 0xFF  # 0.15 % a step
        return self._registers[address]

    def _read_temperature(self, address: int) -> int:
        if self._stream.running:  # the temperature sensor sleeps with the accelerometer
            self._temperature_lsb = max(-32768, min(32767, round((self.temperature - 25.0) * 256)))
        return self._temperature_lsb >> (8 if address == _OUT_TEMP_H else 0) & 0xFF

    def _read_output(self, address: int, now: int) -> int:
        if self._output is None:
            self._advance(now)
            self._seen = self._stream.written
            self._output = self._sample(self._seen - 1)[1:] if self._seen else bytes(6)
        return self._output[address - _OUTX_L_A]

    # FIFO

    def _advance(self, now: int) -> None:
        lost = self._stream.advance(now, self._depth, keep_newest=self._keep_newest)
        if self._buffered:
            self._overrun_latched |= lost
            self._overrun = (self._overrun or lost) and self._stream.level >= self._depth

    def _fifo_status(self, now: int) -> int:
        self._advance(now)
        level = self._stream.level if self._buffered else 0
        high = level >> 8
        high |= self._overrun_latched << 3
        high |= (level >= DEPTH - 1) << 5  # FIFO_FULL_IA: full at the next sample
        high |= self._overrun << 6
        high |= (0 < self._threshold <= level) << 7
        return high << 8 | level & 0xFF

    def _read_fifo(self, address: int, now: int) -> int:
        word = self._oldest(now)
        at = address - _TAG
        if address == _LAST:
            self._finish_word()
        elif self._increments:
            self._word = word
            self._at = at + 1
        return word[at]

    def _finish_word(self) -> None:
        """Reading a word's last byte takes it out, unless an overrun has done so meanwhile."""
        self._word = None
        self._address = _TAG if self._increments else _LAST
        if self._word_index == self._stream.taken:
            self._stream.taken += 1

    def _oldest(self, now: int) -> bytes:
        self._advance(now)
        if not self._buffered or not self._stream.level:
            self._word_index = -1
            return bytes(7)
        self._word_index = self._stream.taken
        return self._sample(self._word_index)

    def _sample(self, index: int) -> bytes:
        word = self._stream.word(index, self._render)
        if self.fault == "stuck":
            self._held = self._held or word[1:]
            return word[:1] + self._held
        self._held = b""
        if self.fault == "range":
            return word[:1] + b"\xff\x7f" * 3
        return word

    def _render(self, first: int, count: int) -> bytes:
        words = np.empty((count, 7), np.uint8)
        words[:, 0] = TAGS[np.arange(first, first + count) & 3]
        lsb_per_g = 1e6 / UG_PER_LSB[self._registers[_CTRL1_XL] >> 2 & 0b11]
        samples = quantise(
            self.source, self._stream, first=first, count=count, lsb_per_g=lsb_per_g, low=-32768, high=32767
        )
        words[:, 1:] = samples.astype("<i2").view(np.uint8).reshape(count, 6)
        return words.tobytes()
