"""ESP32 family: the common hardware, with the limits of its watchdog and its hardware timers."""

import machine

from hal.chip.common import Hal


class Port(Hal):
    WATCHDOG_MAX_MS = 60000  # the task watchdog takes any time; a minute outlasts every bounded wait of ours
    TIMER = 0

    def on_rising(self, pin, handler):
        pulled_up = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)  # GPIO 34 to 39 have none and stay free
        return pulled_up.irq(handler, machine.Pin.IRQ_RISING)  # this port knows no hard ones
