"""A FIFO of 512 words that fills at rate_hz of a clock which only sleeping, reading and the sink's work move on."""

import node.capture


class Clock:
    now = 0.0

    def ticks_us(self):
        return int(self.now)

    def ticks_diff(self, a, b):
        return a - b

    def sleep_us(self, us):
        self.now += us


clock = node.capture.time = Clock()


class Sensor:
    ODR_HZ, FIFO_DEPTH, READ_MAX, WORD_BYTES, Z_OFFSET, Z_HIGH = 26667, 512, 128, 2, 0, 1
    raw = bytearray(256)

    def __init__(self, rate_hz, late_us=0):
        self.rate_hz, self.late_us = rate_hz, late_us

    def start(self):
        self.began, self.gone, self.overrun = clock.now, 0, False

    def stop(self):
        pass

    def level(self):
        passed = clock.now - self.began
        late = self.late_us if passed % 200_000 > 100_000 else 0  # back and forth, five times a second
        made = int((passed - late) * self.rate_hz / 1e6) - self.gone
        if made > self.FIFO_DEPTH:
            self.overrun = True
            self.gone += made - self.FIFO_DEPTH
            made = self.FIFO_DEPTH
        return max(made, 0)

    def read(self, words):
        self.gone += words
        clock.now += 500


class Sink:
    n = 32768
    target = memoryview(__import__("array").array("h", bytes(1024)))
    stall_at, stall_us = -1, 0

    def begin(self):
        self.at, self.left, self.wanted = 0, 512, self.n

    def take(self, count):
        self.at += count
        self.left -= count
        self.wanted -= count
        if not self.left:
            self.at, self.left = 0, 512
            clock.now += 4000
            if self.wanted == self.stall_at:
                clock.now += self.stall_us
        return self.wanted


def capture(rate_hz, late_us=0, stall_us=0):
    sink = Sink()
    sink.stall_at, sink.stall_us = 16384, stall_us
    c = node.capture.Capture(Sensor(rate_hz, late_us), sink)
    c.run()
    return [c.rate_hz, c.jitter_us, c.dropped]
