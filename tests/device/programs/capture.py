"""A capture of a vibration sensor, and what runs it with the heap locked, as a node's is."""

import time

import micropython
from drivers.iis3dwb import IIS3DWB
from dsp.measurement import Measurement
from node.capture import Capture

import board
import hal

port = hal.port(board)
sensor = IIS3DWB(port.bus("spi0"), port.output(board.PINS["spi0_cs"], 1))
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
