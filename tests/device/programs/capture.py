"""A capture of a vibration sensor, and what runs it with the heap locked, as a node's is."""

import time

import micropython
from build import config, sensors
from dsp.measurement import Measurement
from node.capture import Capture

import board
import hal

port = hal.port(board)
sensor = sensors.sensor("vibration", port, config.parse({})[0]["vibration"])
sensor.probe()
measurement = Measurement(sensor.ODR_HZ, n=4096)
capture = Capture(sensor, measurement)


def locked():
    sleep = time.sleep_us
    capture.begin()
    micropython.heap_lock()
    try:
        wait = capture.step()
        while wait:
            sleep(wait)
            wait = capture.step()
    finally:
        micropython.heap_unlock()
    capture.end()
