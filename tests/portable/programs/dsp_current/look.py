"""What the device makes of each of argument["signals"], 4,096 counts; the last in the room of a measurement."""

import json

from dsp.current import Current
from dsp.measurement import Measurement

rooms = [Measurement(1000), Measurement(26667)]
results = []
for signal in argument["signals"]:
    motor = Current(rooms[signal is argument["signals"][-1]], argument["line_hz"])
    motor.begin()
    for value in signal:
        motor.target[motor.at] = value
        motor.take(1)
    motor.measure(argument["ua"])
    motor.look(1000.0)
    results.append([motor.current_a, motor.line_hz, motor.sidebands, motor.minimum, motor.maximum])
print(json.dumps(results))
