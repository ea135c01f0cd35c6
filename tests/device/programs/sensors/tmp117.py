"""The thermometer, read with the heap locked."""

from drivers.tmp117 import TMP117

sensor = TMP117(port.bus("i2c0"))
sensor.probe()
sensor.read_milli()


def locked():
    micropython.heap_lock()
    milli = sensor.read_milli()
    micropython.heap_unlock()
    return milli


print(locked())
