"""What the clamp's sensor says of five measurements: a good one, one that is cut off, one that loses samples at first,
one that always does, and one of which the part goes silent; and whether another task ran meanwhile."""

import asyncio
import json
import math
import time

from dsp.current import Current
from dsp.measurement import Measurement
from node.capture import Capture
from node.current import current


class Clamp:
    """An ADC of 1,000 samples/s whose samples come by the clock: a sine of 50 Hz."""

    ODR_HZ = 1000
    UG_PER_LSB = 1000
    CLIP_LSB = 32767
    FIFO_DEPTH = 512
    READ_MAX = 160
    WORD_BYTES = 2
    Z_OFFSET = 0
    Z_HIGH = 1
    peak = 10000
    losses = 0
    silent = False
    starts = stops = 0

    def __init__(self):
        self.raw = bytearray(2 * self.READ_MAX)
        self.overrun = False
        self._taken = 0

    def probe(self):
        pass

    def start(self):
        self.starts += 1
        self._taken = 0
        self._began = time.ticks_ms()
        self.overrun = self.losses > 0
        self.losses -= 1

    def stop(self):
        self.stops += 1

    def level(self):
        return 0 if self.silent else time.ticks_diff(time.ticks_ms(), self._began) - self._taken

    def read(self, count):
        for i in range(count):
            value = int(self.peak * math.sin(math.pi * (self._taken + i) / 10))
            value = max(-32768, min(32767, value))
            self.raw[2 * i] = value & 0xFF
            self.raw[2 * i + 1] = value >> 8 & 0xFF
        self._taken += count


async def count():
    global turns
    while True:
        await asyncio.sleep_ms(100)
        turns += 1


async def main():
    task = asyncio.create_task(count())
    clamp = Clamp()
    lock = asyncio.Lock()
    sensor = current(Capture(clamp, Current(Measurement(1000), 50)), lock)
    said = []
    for settings in ({}, {"peak": 40000}, {"peak": 10000, "losses": 1}, {"losses": 2}, {"silent": True}):
        for name, value in settings.items():
            setattr(clamp, name, value)
        values, marks, changes = await sensor.measure()
        said.append([values, marks, [str(change[2].get("error")) for change in changes], clamp.starts, clamp.stops])
    clamp.silent = False
    measuring = asyncio.create_task(sensor.measure())
    await asyncio.sleep_ms(1000)
    measuring.cancel()
    await asyncio.sleep_ms(0)
    print(json.dumps([said, turns, clamp.starts - clamp.stops, lock.locked()]))
    task.cancel()


turns = 0
asyncio.run(main())
