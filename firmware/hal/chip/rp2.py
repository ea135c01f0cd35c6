"""RP2040: the common hardware, with the limits of its watchdog and the Pico W's radio."""

from hal.chip.common import Hal

_PM_NONE = 0xA11140  # CYW43_NO_POWERSAVE_MODE: the default naps delay an acknowledgement by up to 300 ms


class Port(Hal):
    WATCHDOG_MAX_MS = 8388  # 24-bit counter of a 1 MHz tick that counts twice (RP2040-E1)

    def radio(self):
        wlan = super().radio()
        wlan.active(True)
        wlan.config(pm=_PM_NONE)
        return wlan
