"""A word-level way for the radio's bus, in place of one emulated clock edge a bit.

The Pico W's driver moves every transaction with the CYW43439 by DMA, through a PIO program that shifts the
bits out and in on one wire (pico-sdk, cyw43_bus_pio_spi.pio). A DMA transfer between memory and that PIO's
FIFOs, while the radio is selected, goes straight to and from the bus model here, word for word in the same
order, and takes the time that the wire would: 32 bits at 31.25 MHz (system clock / 2, two cycles a bit). The
state machine stays stalled on its empty FIFO, which is the very state that the driver waits for after a write.
"""

from __future__ import annotations

from typing import Any, Final

from quaver.emulator.rp2040.dma import Dma, Taker

_PIO_BASES = (0x50200000, 0x50300000)
_TX_FIFOS = frozenset(base + 0x10 + 4 * n for base in _PIO_BASES for n in range(4))
_RX_FIFOS = frozenset(base + 0x20 + 4 * n for base in _PIO_BASES for n in range(4))
_BSWAP: Final = 1 << 22
_WORD_NS: Final = 1024.0


def word_taker(dma: Dma, mcu: Any, radio: Any) -> Taker:
    """A DMA taker for `radio`, the GSPIBus of the board's CYW43439."""
    free_at = 0.0  # virtual time at which the wire is free again: an answer follows its command

    def take(channel: Any) -> float | None:
        nonlocal free_at
        if not radio._selected or channel._data_size != 4:
            return None
        count: int = channel._trans_count_reload
        order = "big" if channel._ctrl & _BSWAP else "little"
        if channel._write_addr in _TX_FIFOS:
            data = dma.read(channel._read_addr, 4 * count)
            if data is None:
                return None
            for at in range(0, 4 * count, 4):
                word = int.from_bytes(data[at : at + 4], order)  # type: ignore[arg-type]
                radio._shift_reg = word >> 1
                radio._bits_in_word = 31
                radio._on_clock_rising(bool(word & 1))
            channel._read_addr += 4 * count
        elif channel._read_addr in _RX_FIFOS:
            data = radio._response_bytes[: 4 * count].ljust(4 * count, b"\0")
            if order == "little":
                data = b"".join(data[at : at + 4][::-1] for at in range(0, 4 * count, 4))
            if not dma.write(channel._write_addr, data):
                return None
            radio._response_bytes = b""
            radio._response_bit_index = 0
            channel._write_addr += 4 * count
        else:
            return None
        now: float = mcu.clock.nanos
        free_at = max(now, free_at) + count * _WORD_NS
        return free_at - now

    return take
