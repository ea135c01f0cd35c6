"""What a measurement holds, and what a second one leaves behind."""

import gc
import json
from array import array

import micropython

from dsp.measurement import Measurement

gc.collect()
before = gc.mem_alloc()
measurement = Measurement(26667)
gc.collect()
held = gc.mem_alloc() - before
source = array("h", [i * 7919 % 4001 for i in range(512)])


def whole():
    measurement.begin()
    micropython.heap_lock()
    wanted = measurement.n
    while wanted:
        count = measurement.left
        target = measurement.target
        at = measurement.at
        for i in range(count):
            target[at + i] = source[i]
        wanted = measurement.take(count)
    micropython.heap_unlock()
    measurement.finish(488, 26667.0)


whole()
gc.collect()
before = gc.mem_alloc()
whole()
gc.collect()
print(json.dumps([held, gc.mem_alloc() - before]))
