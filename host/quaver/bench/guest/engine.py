"""A measurement to learn from, then some that are judged, and a trend. Given: rate, count, shaft, ug."""

import gc
import time
import micropython

gc.collect()
free = gc.mem_free()
from build import bearings, zones
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from dsp.lines import Lines
from dsp.measurement import Measurement

ratios, limits = bearings.ratios("6205"), zones.limits(2, "rigid")
gc.collect()
code = free - gc.mem_free()
free = gc.mem_free()
m = Measurement(rate, (2000, 5000), count, shaft)
lines = Lines(ratios)
baseline = Baseline(1)
diagnosis = Diagnosis(baseline, limits)
gc.collect()
memory = free - gc.mem_free()


def measure():
    longest = whole = 0
    m.begin()
    with open("signal.bin", "rb") as file:
        wanted = m.n
        while wanted:
            file.readinto(memoryview(m.target)[m.at : m.at + m.left])
            micropython.heap_lock()
            before = time.ticks_us()
            wanted = m.take(m.left)
            taken = time.ticks_diff(time.ticks_us(), before)
            micropython.heap_unlock()
            longest = max(longest, taken)
            whole += taken
    gc.collect()
    gc.disable()
    free = gc.mem_free()
    t0 = time.ticks_us()
    m.finish(ug, rate)
    t1 = time.ticks_us()
    lines.run(m)
    t2 = time.ticks_us()
    diagnosis.run(m, lines, m.n / rate)
    t3 = time.ticks_us()
    brief = free - gc.mem_free()
    gc.enable()
    gc.collect()
    return longest, whole * 512 // m.n, time.ticks_diff(t1, t0), time.ticks_diff(t2, t1), time.ticks_diff(t3, t2), brief


measure()
print(measure())
gc.collect()
free = gc.mem_free()
print(measure())
gc.collect()
print((code, memory, free - gc.mem_free()))

# A tachometer's marks of a shaft that runs up by a twentieth: what comes on top is order tracking.
from array import array

turn_us = 1e6 / shaft
m.marks = array("i")
at = turn_us / 2
while at < m.n / rate * 1e6:
    m.marks.append(int(at))
    at += turn_us * (1.025 - 0.05 * at / (m.n / rate * 1e6))
m.marked = len(m.marks)
measure()
print(measure())

# All means of three features that rise, above the warning: the whole of a trend's work.
from dsp.trend import Trend

trend = Trend(3, 1.6, 2.5)
longest = 0
for k in range(26):  # the longest look is at 23 means or 24, one feature at a time
    gc.collect()
    before = time.ticks_us()
    trend.take([1.7 + k / 40] * 3, 3600)
    longest = max(longest, time.ticks_diff(time.ticks_us(), before))
print((longest, trend.value > 0))
