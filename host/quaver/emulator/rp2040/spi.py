"""Puts SPI models on the emulated SPI controllers, byte by byte or a DMA transfer at a time.

MicroPython moves transfers of 32 bytes and more by a pair of DMA channels and shorter ones through the
controller's FIFOs (ports/rp2/machine_spi.c). Both ways take the wire's time at the programmed clock, and a
model sees each byte at the moment at which it would be on the wire. Chip select is any GPIO. A model may have
`spi_burst(data: bytes, now: int, byte_ns: float) -> bytes` beside the verbs of `SpiModel`: it then gets a DMA
transfer in one call, `now` being its start.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from quaver.emulator.bus import SpiModel
from quaver.emulator.rp2040.clocks import peripheral_hz
from quaver.emulator.rp2040.dma import Dma, Taker

_SSPDR = 0x008
_BASES = (0x4003C000, 0x40040000)  # RP2040 datasheet, 4.4.4
_EN: Final = 1 << 0
_BUSY: Final = 1 << 24
_INCR_READ: Final = 1 << 4
_INCR_WRITE: Final = 1 << 5
_LOW = 0  # rp2040py's GPIOPinState.LOW: driven, and low
_FLOATING = 0xFF  # what a controller reads where nobody drives the line


class SpiBus:
    """One SPI controller (`index` 0 or 1) and the models on it."""

    def __init__(self, mcu: Any, index: int) -> None:
        self._clock = mcu.clock
        self._block = mcu.spi[index]
        self._selected: list[SpiModel] = []
        self._sent: deque[int] = deque()
        self._data_register = _BASES[index] + _SSPDR
        self._alarm = mcu.clock.create_alarm(self._byte_done)
        self._block.on_transmit = self._on_transmit
        self._mcu = mcu
        # The answer to a DMA transfer whose sending half has started: channel, bytes, virtual time of its end.
        self._answer: tuple[Any, bytes, float] | None = None

    def attach(self, model: SpiModel, select: int) -> None:
        """Hang a model on this bus, selected while GPIO `select` is driven low."""

        def on_pin(state: Any, _before: Any) -> None:
            now = int(self._clock.nanos)
            if state == _LOW and model not in self._selected:
                self._selected.append(model)
                model.spi_select(now)
            elif state != _LOW and model in self._selected:
                self._selected.remove(model)
                model.spi_deselect(now)

        self._mcu.gpio[select].add_listener(on_pin)

    def reset(self) -> None:
        """The chip was reset: what was under way on the wire is lost."""
        self._alarm.cancel()
        self._sent.clear()
        self._answer = None

    def _byte_ns(self) -> float:
        self._mcu.clk_peri = peripheral_hz(self._mcu)
        return float(self._block.data_bits * 1e9 / (self._block.clock_frequency or 1e6))

    def _exchange(self, value: int, now: int) -> int:
        answer = _FLOATING
        for model in self._selected:
            answer &= model.spi_exchange(value & 0xFF, now)
        return answer

    # Through the FIFOs.

    def _on_transmit(self, value: int) -> None:
        self._sent.append(value)
        self._alarm.schedule(self._byte_ns())

    def _byte_done(self) -> None:
        if self._sent:
            self._block.complete_transmit(self._exchange(self._sent.popleft(), int(self._clock.nanos)))

    # By DMA.

    def taker(self, dma: Dma) -> Taker:
        """A DMA taker for this controller: both halves of a full-duplex transfer, started together."""

        def take(channel: Any) -> float | None:
            if channel._data_size != 1:
                return None
            if channel._write_addr == self._data_register:
                return self._take_sending(dma, channel)
            if channel._read_addr == self._data_register:
                return self._take_receiving(dma, channel)
            return None

        return take

    def _take_sending(self, dma: Dma, channel: Any) -> float | None:
        partner = self._partner(channel)
        if partner is None or self._block._busy or not self._block.rx_fifo.empty:
            return None
        count: int = channel._trans_count_reload
        stepping = bool(channel._ctrl & _INCR_READ)
        data = dma.read(channel._read_addr, count if stepping else 1)
        if data is None:
            return None
        if not stepping:
            data *= count
        now: float = self._clock.nanos
        byte_ns = self._byte_ns()
        answer = self._burst(data, now, byte_ns)
        if stepping:
            channel._read_addr += count
        self._answer = (partner, answer, now + count * byte_ns)
        return count * byte_ns

    def _take_receiving(self, dma: Dma, channel: Any) -> float | None:
        if self._answer is None or self._answer[0] is not channel:
            return None
        _, data, end = self._answer
        self._answer = None
        stepping = bool(channel._ctrl & _INCR_WRITE)
        if not dma.write(channel._write_addr, data if stepping else data[-1:]):
            return None
        if stepping:
            channel._write_addr += len(data)
        return max(0.0, end - float(self._clock.nanos))

    def _partner(self, sending: Any) -> Any:
        """The configured, not yet started channel that receives what this one's bytes bring back."""
        for channel in self._mcu.dma.channels:
            if (
                channel._read_addr == self._data_register
                and channel._ctrl & (_EN | _BUSY) == _EN
                and channel._data_size == 1
                and channel._trans_count_reload == sending._trans_count_reload
                and channel._treq_value == self._block.dreq.rx
            ):
                return channel
        return None

    def _burst(self, data: bytes, now: float, byte_ns: float) -> bytes:
        if len(self._selected) == 1:
            model = self._selected[0]
            whole = getattr(model, "spi_burst", None)
            if whole is not None:
                answer: bytes = whole(data, int(now), byte_ns)
                return answer
            exchange = model.spi_exchange
            return bytes([exchange(value, int(now + (n + 1) * byte_ns)) & 0xFF for n, value in enumerate(data)])
        return bytes([self._exchange(value, int(now + (n + 1) * byte_ns)) for n, value in enumerate(data)])
