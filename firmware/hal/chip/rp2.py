"""RP2040: the common hardware, with the limits of its watchdog and the Pico W's radio."""

import machine
from micropython import const

from hal import kept
from hal.chip.common import Hal

# RP2040 datasheet, 4.7.6. The boot ROM and the SDK use the scratch registers 4 to 7 (2.8.1.1), nobody 0 to 3.
_REASON = const(0x40058008)
_SCRATCH0 = const(0x4005800C)
_TIMER = const(1)  # the reason when it is not machine.reset(), which the watchdog carries out too
_PM_NONE = const(0xA11140)  # CYW43_NO_POWERSAVE_MODE: the default naps delay an acknowledgement by up to 300 ms


class Port(Hal):
    WATCHDOG_MAX_MS = 8388  # 24-bit counter of a 1 MHz tick that counts twice (RP2040-E1)

    def radio(self):
        wlan = super().radio()
        wlan.active(True)
        wlan.config(pm=_PM_NONE)
        return wlan

    def _kept(self):
        return kept.Register(_SCRATCH0)

    def bitten(self):
        return bool(machine.mem32[_REASON] & _TIMER)
