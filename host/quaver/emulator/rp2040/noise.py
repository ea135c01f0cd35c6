"""Noise of the emulated RP2040, where firmware looks for it: the ring oscillator's bit and the chip's temperature.

It comes from a seed, so that a run can be repeated: as noise it is worth nothing, and no measure of a real chip's.
"""

from __future__ import annotations

import random
from typing import Any

from rp2040py.peripherals.peripheral import BasePeripheral

_ROSC = 0x40060  # the upper bits of its address
_RANDOMBIT = 0x1C  # RP2040 datasheet, 2.17.8
_TEMPERATURE = 4  # the ADC's channel
_CELSIUS_27 = 0.706 / 3.3 * 4096  # datasheet, 4.9.5
_SPREAD = 1.5  # of the ADC's 4,096 steps; its datasheet has 8.7 effective bits, which is more


class _RingOscillator(BasePeripheral):
    def __init__(self, mcu: Any, chance: random.Random) -> None:
        super().__init__(mcu, "ROSC_BASE")
        self._chance = chance

    def read_uint32(self, offset: int) -> int:
        if offset == _RANDOMBIT:
            return self._chance.getrandbits(1)
        return super().read_uint32(offset)


def give_noise(mcu: Any, seed: bytes) -> None:
    """Have a chip's ring oscillator and temperature sensor be noisy, the same way for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a seeded simulation
    mcu.peripherals[_ROSC] = _RingOscillator(mcu, chance)
    adc = mcu.adc
    convert = adc.on_adc_read

    def read(channel: int) -> None:
        adc.channel_values[_TEMPERATURE] = round(chance.gauss(_CELSIUS_27, _SPREAD))
        convert(channel)

    adc.on_adc_read = read
