"""Carries whole DMA transfers at once where both ends are known, in place of one emulator event a byte.

A taker looks at a channel that the guest starts and may move all of its data itself; it returns after how many
nanoseconds of virtual time the real transfer would have ended. The channel is busy for that long, then
finishes as the hardware does: count zero, interrupt, chain. All other transfers take rp2040py's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_EN: Final = 1 << 0
_BUSY: Final = 1 << 24
_IRQ_QUIET: Final = 1 << 21
_RAM = 0x20000000
_FLASH = 0x10000000

Taker = Callable[[Any], float | None]
"""Given a channel about to start: None to leave it alone, or the nanoseconds until it is done."""


class Dma:
    """The chip's DMA block with shortcuts. Field names of rp2040py's channels: RP2040 datasheet, 2.5.7."""

    def __init__(self, mcu: Any) -> None:
        self._mcu = mcu
        self._takers: list[Taker] = []
        self._sram: memoryview = mcu.sram
        self._flash: memoryview = mcu.flash
        for channel in mcu.dma.channels:
            _Shortcut(self, channel, mcu)

    def add(self, taker: Taker) -> None:
        self._takers.append(taker)

    def offer(self, channel: Any) -> float | None:
        for taker in self._takers:
            delay = taker(channel)
            if delay is not None:
                return delay
        return None

    def read(self, address: int, size: int) -> bytes | None:
        """`size` bytes of SRAM or flash; None when they are not all there."""
        for base, memory in ((_RAM, self._sram), (_FLASH, self._flash)):
            at = address - base
            if at >= 0 and at + size <= len(memory):
                return bytes(memory[at : at + size])
        return None

    def write(self, address: int, data: bytes) -> bool:
        """Put `data` into SRAM; False when it does not lie there."""
        at = address - _RAM
        if at < 0 or at + len(data) > len(self._sram):
            return False
        self._sram[at : at + len(data)] = data
        return True


class _Shortcut:
    """One channel: its start and its alarm go through here, so that abort and reset keep working."""

    def __init__(self, dma: Dma, channel: Any, mcu: Any) -> None:
        self._dma = dma
        self._channel = channel
        self._block = mcu.dma
        self._whole = False
        self._plain_start = channel.start
        channel.transfer_alarm = mcu.clock.create_alarm(self._fire)
        channel.start = self._start

    def _start(self) -> None:
        channel = self._channel
        if not channel._ctrl & _EN or channel._ctrl & _BUSY:
            return
        self._whole = False
        delay = self._dma.offer(channel) if channel._trans_count_reload else None
        if delay is None:
            self._plain_start()
            return
        self._whole = True
        channel._ctrl |= _BUSY
        channel._trans_count = channel._trans_count_reload
        channel.transfer_alarm.schedule(delay)

    def _fire(self) -> None:
        channel = self._channel
        if not self._whole:
            channel.transfer()
            return
        self._whole = False
        channel._trans_count = 0
        channel._ctrl &= ~_BUSY
        if not channel._ctrl & _IRQ_QUIET:
            self._block.int_raw |= 1 << channel.index
            self._block.check_interrupts()
        if channel._chain_to != channel.index and channel._chain_to < len(self._block.channels):
            self._block.channels[channel._chain_to].start()
