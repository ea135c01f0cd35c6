"""Lets virtual time leap where the guest does nothing but look at a register until it changes.

Such waits take most of the guest's busy time: the radio driver's delays read the microsecond timer in a
loop (cyw43_delay_ms), and every DMA transfer is waited for by reading the channel's control register. Once the
same read has come often enough with nothing but a few instructions between, the clock moves on. It never moves
past the next event of the emulated hardware, so nothing happens earlier or later than it would:

- a DMA wait leaps to just before that event, which is what ends it;
- a wait on the timer has a deadline that only the guest knows, so a leap is at most a sixteenth of what the
  wait has lasted, and 50 µs: a delay may end that much late, as it may by an interrupt. With interrupts off there is
  no leap: that is how a guest times the pulses of a line (1-Wire);
- a wait for a byte of an I2C bus reads the timer too, for its limit: it leaps as a DMA wait does, and the byte ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TIMERAWL = 0x28  # RP2040 datasheet, 4.6.5
_DATA_CMD = 0x10  # 4.3.17, IC_DATA_CMD
_CHANNELS_END = 12 * 0x40
_CTRL_OFFSETS = (0x0C, 0x10, 0x20, 0x30)  # CTRL_TRIG and its aliases; RP2040 datasheet, 2.5.7
_BUSY = 1 << 24
_TIMER_CYCLES = 600  # between two reads of one wait in C; in Python they are thousands apart
_TIMER_READS = 16
_DMA_CYCLES = 16
_DMA_READS = 4
_MAX_LEAP_NS = 50e3
_MARGIN_NS = 16.0  # two cycles short of the event: it comes by the guest's own next instructions


@dataclass
class _Counts:
    """Of the reads that may be a wait: the processor's cycles at the last one, how many, and when they began."""

    read_cycles: int = 0
    reads: int = 0
    began: float = 0.0


class Spin:
    """Watches a chip's timer and DMA block. allowed: False while a PIO program has steps to make.

    counts: where it counts; bursts, which read the timer themselves as long as that is no wait, put their own there.
    """

    def __init__(self, mcu: Any, allowed: Callable[[], bool]) -> None:
        self._core = mcu.core
        self._clock = mcu.clock
        self._allowed = allowed
        self._channels = mcu.dma.channels
        self._timer_read = mcu.timer.read_uint32
        self._dma_read = mcu.dma.read_uint32
        self.counts: Any = _Counts()
        mcu.timer.read_uint32 = self._read_timer
        mcu.dma.read_uint32 = self._read_dma
        self._i2c = mcu.i2c
        for block in mcu.i2c:
            block.read_uint32 = self._read_i2c(block.read_uint32)

    def _read_timer(self, offset: int) -> int:
        if offset == _TIMERAWL and self._again(_TIMER_CYCLES):
            if self.counts.reads > _DMA_READS and any(block._busy for block in self._i2c):
                self._leap(float("inf"))
            elif self.counts.reads == 1:
                self.counts.began = self._clock.nanos
            elif self.counts.reads > _TIMER_READS and not self._core.pm:
                self._leap(min(_MAX_LEAP_NS, (self._clock.nanos - self.counts.began) / 16))
        value: int = self._timer_read(offset)
        return value

    def _read_i2c(self, read: Callable[[int], int]) -> Callable[[int], int]:
        def observed(offset: int) -> int:
            if offset == _DATA_CMD:
                self.counts.reads = 0
            return read(offset)

        return observed

    def _read_dma(self, offset: int) -> int:
        if offset < _CHANNELS_END and offset & 0x3F in _CTRL_OFFSETS:
            control: int = self._channels[offset >> 6]._ctrl
            if control & _BUSY and self._again(_DMA_CYCLES) and self.counts.reads > _DMA_READS:
                self._leap(float("inf"))
            return control
        value: int = self._dma_read(offset)
        return value

    def _again(self, within: int) -> bool:
        """Count this read; whether it follows the one before within so many cycles."""
        cycles: int = self._core.cycles
        near: bool = cycles - self.counts.read_cycles <= within
        self.counts.read_cycles = cycles
        self.counts.reads = self.counts.reads + 1 if near else 0
        return near

    def _leap(self, most: float) -> None:
        clock = self._clock
        if not clock.has_scheduled_alarm or not self._allowed():
            return
        step = min(most, clock.nanos_to_next_alarm - _MARGIN_NS)
        if step > 0:
            clock.tick(step)
