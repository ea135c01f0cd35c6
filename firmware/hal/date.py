"""The chip's own clock. A module apart: what is set now and then must outlive the modules that only build a node."""

import time

import machine
from micropython import const

_FROM_1970_TO_2000 = const(946684800)


def set_date(time_ms):
    """Set the chip's clock to `time_ms`, milliseconds since 1970."""
    seconds = time_ms // 1000
    if time.gmtime(0)[0] == 2000:  # the ESP32 counts from there
        seconds -= _FROM_1970_TO_2000
    year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
