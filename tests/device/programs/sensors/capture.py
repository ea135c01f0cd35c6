"""A block of `sensor`."""

from dsp.measurement import Measurement
from node.capture import Capture

sensor.probe()
m = Measurement(sensor.ODR_HZ, n=1024)
capture = Capture(sensor, m)
capture.run()
m.finish(sensor.UG_PER_LSB, capture.rate_hz)
print((capture.rate_hz, capture.dropped, m.minimum, m.maximum))
