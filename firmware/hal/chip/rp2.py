"""RP2040 and RP2350: the common hardware, with the limits of the watchdog and the Pico W's radio."""

import machine
from micropython import const

from hal import kept
from hal.chip.common import Hal

# The watchdog: RP2040 datasheet, 4.7.6; on the RP2350 its registers are the same elsewhere (datasheet, 12.9.7 and 2.2).
# The boot ROM and the SDK use the scratch registers 4 to 7 (RP2040 datasheet, 2.8.1.1), nobody 0 to 3.
_RP2040 = const(0x40058000)
_RP2350 = const(0x400D8000)
_REASON = const(0x08)
_SCRATCH0 = const(0x0C)
_TIMER = const(1)  # the reason when it is not machine.reset(), which the watchdog carries out too
_PM_NONE = const(0xA11140)  # CYW43_NO_POWERSAVE_MODE: the default naps delay an acknowledgement by up to 300 ms


class Port(Hal):
    WATCHDOG_MAX_MS = 8388  # 24-bit counter of a 1 MHz tick that counts twice (RP2040-E1)

    def radio(self):
        wlan = super().radio()
        wlan.active(True)
        wlan.config(pm=_PM_NONE)
        return wlan

    def _watchdog_at(self):
        return _RP2350 if self.board.CHIP == "rp2350" else _RP2040

    def _kept(self):
        return kept.Register(self._watchdog_at() + _SCRATCH0)

    def bitten(self):
        return bool(machine.mem32[self._watchdog_at() + _REASON] & _TIMER)
