"""An accelerometer with a FIFO that a burst empties, on I2C or SPI; which one, its row in build.parts says.

Those parts are one machine: registers that start and stop a stream, one that tells what waits in the FIFO, and one
that gives it, oldest first.
"""

import time

from micropython import const

if False:  # types alone: never compiled
    from drivers.registers import I2cAccess, SpiAccess

_STEP = const(16)  # a burst has at most so many samples, or a multiple of it

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_OTHER_PART = const(202)


class FifoAccelerometer:
    """access: of drivers.registers; row: of build.parts, with the writes of a range and a rate in it.

    raw: where read() puts samples: WORD_BYTES each, z's low byte at Z_OFFSET and its high byte Z_HIGH bytes further.
    overrun: whether the FIFO was ever found filled since start(), so that samples may be lost.
    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    def __init__(self, access: "I2cAccess | SpiAccess", row: tuple, on: bytes, rate_hz: int, ug_per_lsb: float) -> None:
        self._access = access
        self._on = on
        self._identity, self._off, (self._settle_ms, self._go, self._torn), level, data, mark, most, _ = row
        self._level_at, size, self._low, self._high, self._bits, self._unit, self._lost = level
        self._data_at, self.WORD_BYTES, self.Z_OFFSET, self.Z_HIGH = data
        self._mark_at, self._mark_bits, self._mark = mark
        self.FIFO_DEPTH, self.CLIP_LSB = most
        self.READ_MAX = min(self.FIFO_DEPTH & -_STEP, 10 * _STEP)
        self.ODR_HZ = rate_hz  # nominal; the part's own oscillator may be some percent off
        self.UG_PER_LSB = ug_per_lsb
        self.raw = bytearray(self.READ_MAX * self.WORD_BYTES)
        self.overrun = False
        # A slice of a memoryview is an object; read() may make none, so the ones it needs are made here.
        view = memoryview(self.raw)
        counts = list(range(_STEP)) + list(range(_STEP, self.READ_MAX + 1, _STEP))
        self._heads = [view[: count * self.WORD_BYTES] for count in counts]
        self._status = bytearray(2)
        self._level = memoryview(self._status)[:size]
        self._nobody = (1 << 8 * size) - 1  # what a line reads that nobody drives; no part's status is so

    def _send(self, writes: bytes) -> None:
        for i in range(0, len(writes), 2):
            self._access.write(writes[i], writes[i + 1])

    def probe(self) -> None:
        """Check the part's identity and stop it. Raises OSError when it is another part, or none."""
        one = bytearray(1)
        register, ids = self._identity
        self._access.read(register, one)
        if one[0] not in ids:  # a line that nobody drives reads as 0 or 255
            raise OSError(_OTHER_PART if 0 < one[0] < 255 else _NO_ANSWER, one[0])
        self.stop()

    def start(self) -> None:
        """Start the stream, wait until it has settled, and empty the FIFO but for fewer than 16 samples."""
        self._send(self._off)
        self._send(self._on)
        time.sleep_ms(self._settle_ms)
        self._send(self._go)
        for _ in range(0, self.FIFO_DEPTH, 8):  # a part that can't clear it is read empty
            if self.level() < _STEP:
                break
            self.read(_STEP)
        self.overrun = False

    def stop(self) -> None:
        """Stop the stream and what would raise the interrupt."""
        self._send(self._off)

    def level(self) -> int:
        """Samples waiting, 0..FIFO_DEPTH + 1; notes an overrun. Allocates nothing."""
        status = self._status
        self._access.read(self._level_at, self._level)
        word = status[self._low] | status[self._high] << 8
        if word == self._nobody:
            raise OSError(_NO_ANSWER)
        samples = (word & self._bits) // self._unit
        if word & self._lost or samples >= self.FIFO_DEPTH:
            self.overrun = True
            if samples > self.FIFO_DEPTH + 1:
                raise OSError(_BROKEN, samples)
            if self._torn:  # the oldest bytes of it are the rest of a sample
                self._send(self._go)
                return 0
        return samples

    def read(self, n: int) -> None:
        """Move the oldest n samples to the start of `raw`, in one burst: 1 to 16, or a multiple of 16 up to READ_MAX.

        No more than wait. Allocates nothing. Raises OSError when what comes is no acceleration.
        """
        raw = self.raw
        self._access.read(self._data_at, self._heads[n if n < _STEP else _STEP - 1 + n // _STEP])
        at = self._mark_at
        if (raw[at] ^ self._mark | raw[(n - 1) * self.WORD_BYTES + at] ^ self._mark) & self._mark_bits:
            raise OSError(_BROKEN)


class WakingAccelerometer(FifoAccelerometer):
    """One whose INT1 wakes the node; waking: of build.parts."""

    def __init__(
        self, access: "I2cAccess | SpiAccess", row: tuple, on: bytes, rate_hz: int, ug_per_lsb: float, waking: tuple
    ) -> None:
        super().__init__(access, row, on, rate_hz, ug_per_lsb)
        self._waking = waking

    def watch(self, level_g: float) -> None:
        """Raise INT1 at the next vibration above level_g while the board sleeps, at 100 samples/s; `probe` ends it."""
        first, (scale_at, scales), (level_at, level_max, cleared), last = self._waking
        self._send(self._off)
        self._send(first)
        for scale, step_ug in scales:
            if level_g * 1e6 < level_max * step_ug:
                break
        self._access.write(scale_at, scale)
        self._access.write(level_at, min(max(int(level_g * 1e6 / step_ug), 1), level_max))
        for register in cleared:
            self._access.read(register, bytearray(1))
        self._send(last)
