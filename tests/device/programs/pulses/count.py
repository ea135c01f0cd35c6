"""The pulse counter of `settings`, made by its row, counts while a capture runs."""

import board
import hal
import time
from build import sensors
from drivers.iis3dwb import IIS3DWB
from dsp.measurement import Measurement
from node.capture import Capture

port = hal.port(board)
counter = sensors.sensor("pulses", port, settings)
accelerometer = IIS3DWB(port.bus("spi0"), port.output(board.PINS["spi0_cs"], 1))
accelerometer.probe()
capture = Capture(accelerometer, Measurement(accelerometer.ODR_HZ, n=16384))
time.sleep_ms(100)
before = counter.total()
began = time.ticks_us()
capture.run()
time.sleep_ms(2)
print((time.ticks_diff(time.ticks_us(), began) / 1e6, counter.total() - before, capture.dropped))
