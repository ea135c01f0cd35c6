"""Reads the measurements from a file, as a node reads its sensor, and prints what it makes of each."""

import json
import sys

from dsp.lines import Lines
from dsp.measurement import Measurement

rate, n, ug, nominal, ratios, count = json.loads(sys.argv[2])
m = Measurement(rate, None, n, nominal)
lines = Lines(ratios)
with open(sys.argv[1], "rb") as file:
    for _ in range(count):
        m.begin()
        wanted = n
        while wanted:
            file.readinto(memoryview(m.target)[m.at : m.at + m.left])
            wanted = m.take(m.left)
        m.finish(ug, rate)
        if m.shaft_hz:
            lines.run(m)
        print(json.dumps([m.shaft_hz, m.shaft_confidence]))
