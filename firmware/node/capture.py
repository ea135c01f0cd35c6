"""One measurement's samples through the sensor's FIFO: at what rate they came, how evenly, and how many were lost.

While it is taken the capture owns the processor: a FIFO of 512 words is full after 19 ms, and a garbage collection
alone may take that long. 32,768 samples last 1.23 s; the watchdog and the link allow for it.
"""

import math
import time
from array import array

import micropython
from micropython import const

from dsp.unpack import gather

_STRIDE = const(16)  # a driver reads up to so many at once, or a multiple of it
_PATIENCE_MS = const(200)  # a FIFO that stays empty this long has no sensor behind it
_MARKS = const(32)  # how often in a measurement the sample clock is looked at


class Capture:
    """sensor: a vibration driver; sink: of dsp.measurement. All buffers are made here.

    After `run`: rate_hz, measured; jitter_us: RMS by which the samples' times leave an even beat, to which a FIFO
    that is asked how many words it holds adds 0.29 of a sample's time; dropped: samples that the FIFO lost.
    """

    def __init__(self, sensor, sink):
        self.sensor = sensor
        self.sink = sink
        self.rate_hz = 0.0
        self.jitter_us = 0.0
        self.dropped = 0
        self._at = 0
        self._left = 0
        self._began = 0
        self._silent_since = 0
        self._batch = sensor.FIFO_DEPTH // 4
        self._wait_us = self._batch * 1_000_000 // sensor.ODR_HZ
        self._times = array("i", bytes(4 * _MARKS))  # µs since the start, and the samples that there were by then
        self._counts = array("i", bytes(4 * _MARKS))
        self._marks = 0
        self._next = 0

    def begin(self):
        """Start the sensor's stream."""
        self.sink.begin()
        self._at = 0
        self._left = self.sink.n
        self._marks = 0
        self._next = 0
        self.sensor.start()
        self._began = time.ticks_us()
        self._silent_since = self._began

    @micropython.native  # bytecode with so many locals takes its frame from the heap, at each call
    def step(self):
        """Hand what the FIFO holds to the sink; return the µs until it is worth asking again, 0 at the end.

        Allocates nothing. Raises OSError when the bus fails or the sensor delivers nothing.
        """
        sensor = self.sensor
        sink = self.sink
        words = sensor.level()
        now = time.ticks_us()
        if words == 0:
            if time.ticks_diff(now, self._silent_since) > _PATIENCE_MS * 1000:
                raise OSError(203)  # of quaver_wire.reasons: gives no reading
            return self._wait_us
        if words < self._batch and words < self._left:
            return self._wait_us - self._wait_us * words // self._batch + 1
        if self._at >= self._next and self._marks < _MARKS and not sensor.overrun:
            self._times[self._marks] = time.ticks_diff(now, self._began)
            self._counts[self._marks] = self._at + words
            self._marks += 1
            self._next += sink.n // _MARKS
        held = words
        if words > sensor.READ_MAX:
            words = sensor.READ_MAX
        if words > sink.left:
            words = sink.left
        if words > _STRIDE:
            words &= -_STRIDE
        sensor.read(words)
        gather(sensor.raw, words, sensor.WORD_BYTES, sensor.Z_OFFSET, sensor.Z_HIGH, sink.target, sink.at)
        self._at += words
        self._left = sink.take(words)
        self._silent_since = now
        if not self._left:
            return 0
        # When the next batch is there, by a clock of the sensor's that is 3 % slow: asked before, it is asked twice.
        wanted = min(self._batch, self._left) - (held - words)
        wait_us = self._wait_us * wanted // self._batch + self._wait_us // 32 - time.ticks_diff(time.ticks_us(), now)
        return wait_us if wait_us > 1 and wanted > 0 else 1

    def end(self):
        """Stop the stream; work out the rate, the jitter and the loss."""
        sensor = self.sensor
        overrun = sensor.overrun  # what comes while the last block is worked out is none of this measurement's
        waiting = sensor.level()
        elapsed_us = time.ticks_diff(time.ticks_us(), self._began)
        sensor.stop()
        self._clock()
        self.dropped = 0
        if overrun:
            self.dropped = max(1, int(elapsed_us * 1e-6 * self.rate_hz) - self._at - waiting)

    def _clock(self):
        """Fit a straight line to the marks, as what they are late by the nominal rate: small numbers stay exact."""
        count = self._marks
        odr = self.sensor.ODR_HZ
        self.rate_hz = float(odr)
        self.jitter_us = 0.0
        if count < 3:
            return
        late = [self._times[i] - self._counts[i] * 1_000_000 // odr for i in range(count)]
        middle = sum(self._counts[:count]) / count
        mean = sum(late) / count
        square = product = 0.0
        for i in range(count):
            x = self._counts[i] - middle
            square += x * x
            product += x * (late[i] - mean)
        slope = product / square
        rest = 0.0
        for i in range(count):
            rest += (late[i] - mean - slope * (self._counts[i] - middle)) ** 2
        self.rate_hz = 1e6 / (1e6 / odr + slope)
        self.jitter_us = math.sqrt(rest / count)

    def run(self):
        """Take one measurement. Raises OSError; the stream is stopped either way."""
        self.begin()
        try:
            wait_us = self.step()
            while wait_us:
                time.sleep_us(wait_us)
                wait_us = self.step()
        except OSError:
            self.give_up()
            raise
        self.end()

    def give_up(self):
        """Stop the stream after an error, which is the one to tell: a bus that failed fails again."""
        try:
            self.sensor.stop()
        except OSError:
            pass
