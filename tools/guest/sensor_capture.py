"""One measurement of the vibration sensor that `settings` asks for, as a node takes it; what it lost."""

from build import config, sensors
from dsp.measurement import Measurement
from node.capture import Capture

import board
import hal

given, problems = config.parse(settings)
if problems:
    raise ValueError(problems[0])
sensor = sensors.sensor("vibration", hal.port(board), given["vibration"])
sensor.probe()
capture = Capture(sensor, Measurement(sensor.ODR_HZ, n=samples))
capture.run()
print((sensor.ODR_HZ, capture.rate_hz, capture.dropped))
