"""The pulse counter of `settings`, made by its row, counts while a capture runs."""

import board
import hal
import time
from build import config, sensors
from dsp.measurement import Measurement
from node.capture import Capture

port = hal.port(board)
counter = sensors.sensor("pulses", port, settings)
accelerometer = sensors.sensor("vibration", port, config.parse({})[0]["vibration"])
accelerometer.probe()
capture = Capture(accelerometer, Measurement(accelerometer.ODR_HZ, n=16384))
time.sleep_ms(100)
before = counter.total()
began = time.ticks_us()
capture.run()
time.sleep_ms(2)
print((time.ticks_diff(time.ticks_us(), began) / 1e6, counter.total() - before, capture.dropped))
