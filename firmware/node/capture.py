"""One block of acceleration through the sensor's FIFO, with the sample rate that was measured and what was lost.

While a block is taken the capture owns the processor: a FIFO of 512 words is full after 19 ms, and a garbage
collection alone may take that long. A block of 4,096 samples lasts 154 ms; the watchdog and the link allow for it.
"""

import time
from array import array

from micropython import const

from dsp.unpack import gather

_STRIDE = const(16)  # what a driver reads quickest is a multiple of this
_PATIENCE_MS = const(200)  # a FIFO that stays empty this long has no sensor behind it


class Capture:
    """sensor: a vibration driver; samples: how many make a block. All buffers are made here."""

    def __init__(self, sensor, samples):
        self.sensor = sensor
        self.samples = array("h", bytes(2 * samples))
        self.rate_hz = 0.0
        self.dropped = 0
        self._at = 0
        self._began = 0
        self._silent_since = 0
        self._batch = sensor.FIFO_DEPTH // 4
        self._wait_us = self._batch * 1_000_000 // sensor.ODR_HZ

    def begin(self):
        """Start the sensor's stream."""
        self._at = 0
        self.sensor.start()
        self._began = time.ticks_us()
        self._silent_since = self._began

    def step(self):
        """Move what the FIFO holds into `samples`; return the µs until it is worth asking again, 0 at the end.

        Allocates nothing. Raises OSError when the bus fails or the sensor delivers nothing.
        """
        sensor = self.sensor
        left = len(self.samples) - self._at
        words = sensor.level()
        if words == 0:
            if time.ticks_diff(time.ticks_us(), self._silent_since) > _PATIENCE_MS * 1000:
                raise OSError(5)  # EIO
            return self._wait_us
        if words < self._batch and words < left:
            return self._wait_us - self._wait_us * words // self._batch + 1
        if words > sensor.READ_MAX:
            words = sensor.READ_MAX
        if words > left:
            words = left
        elif words > _STRIDE:
            words &= -_STRIDE
        sensor.read(words)
        gather(sensor.raw, words, sensor.WORD_BYTES, sensor.Z_OFFSET, self.samples, self._at)
        self._at += words
        self._silent_since = time.ticks_us()
        return 1 if self._at < len(self.samples) else 0

    def end(self):
        """Stop the stream; work out the measured rate (Hz) and how many samples the FIFO lost."""
        sensor = self.sensor
        waiting = sensor.level()
        elapsed_us = time.ticks_diff(time.ticks_us(), self._began)
        sensor.stop()
        seen = self._at + waiting
        self.dropped = 0
        if sensor.overrun:
            self.dropped = max(1, elapsed_us * sensor.ODR_HZ // 1_000_000 - seen)
        self.rate_hz = (seen + self.dropped) * 1e6 / elapsed_us

    def run(self):
        """Take one block, about samples / ODR seconds. Raises OSError; the stream is stopped either way."""
        self.begin()
        try:
            wait_us = self.step()
            while wait_us:
                time.sleep_us(wait_us)
                wait_us = self.step()
        except OSError:
            try:
                self.sensor.stop()
            except OSError:
                pass  # the bus that failed fails again; the first error is the one to tell
            raise
        self.end()
