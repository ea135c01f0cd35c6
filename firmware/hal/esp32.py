"""ESP32 family: the common hardware, with the limits of its watchdog and its hardware timers."""

from hal.common import Hal


class Port(Hal):
    WATCHDOG_MAX_MS = 60000  # the task watchdog takes any time; a minute outlasts every bounded wait of ours
    TIMER = 0
