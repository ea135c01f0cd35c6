"""Puts UART models on the emulated UARTs, with the time that the wire takes.

What the board sends reaches the model as one message once the line has been silent for a while, 3.5
characters as Modbus RTU has it (Modbus over serial line V1.02, 2.5.1.1); the answer comes back character by
character after as long a silence.

Two mends of rp2040py's UART go with it. Its transmit interrupt can't be cleared, so that MicroPython's driver,
which enables it, never leaves its handler; here it is not raised, since the transmitter never makes anybody
wait. And it is never busy; here it is for as long as the line is.

Before a model there may be an RS-485 transceiver that a GPIO turns round: a request that is not through when the GPIO
falls is torn, and what comes while it is high is lost.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from quaver.emulator.bus import UartLineModel, UartModel
from quaver.emulator.rp2040.clocks import peripheral_hz

_SILENCE = 3.5  # characters
_UARTFR = 0x18  # RP2040 datasheet, 4.2.8
_BUSY = 1 << 3
_TXFE = 1 << 7
_LCR_PARITY = 1 << 1  # of UARTLCR_H
_LCR_EVEN = 1 << 2
_LCR_TWO_STOP = 1 << 3
_HIGH = 1  # rp2040py's GPIOPinState.HIGH


class UartBus:
    """One UART (`index` 0 or 1) and the models on its line; all of them hear the board."""

    def __init__(self, mcu: Any, index: int) -> None:
        self._clock = mcu.clock
        self._block = mcu.uart[index]
        self._models: list[UartModel] = []
        self._sent = bytearray()
        self._sent_until = 0.0
        self._coming: deque[int] = deque()
        self._turned = False  # there is a transceiver, and it sends
        self._direction = 0
        self._silence = mcu.clock.create_alarm(self._message_over)
        self._arrival = mcu.clock.create_alarm(self._character_arrives)
        self._block.on_byte = self._on_byte
        self._mcu = mcu
        self._plain_read = self._block.read_uint32
        self._block.read_uint32 = self._read
        self._block.check_interrupts = self._check_interrupts

    def attach(self, model: UartModel, direction: int = 0) -> None:
        """direction: the GPIO that turns the transceiver before the model, 0 for none."""
        self._models.append(model)
        self._direction = direction
        if direction:
            self._mcu.gpio[direction].add_listener(self._turn)

    def _turn(self, state: Any, _before: Any) -> None:
        sends = state == _HIGH
        if self._turned and not sends and self._clock.nanos < self._sent_until:
            self._sent.clear()
            self._silence.cancel()
        self._turned = sends

    def reset(self) -> None:
        """The chip was reset: what was under way on the wire is lost."""
        self._silence.cancel()
        self._arrival.cancel()
        self._sent.clear()
        self._coming.clear()

    def _check_interrupts(self) -> None:
        pending = self._block._interrupt_status & self._block._interrupt_mask
        self._mcu.set_interrupt(self._block.irq, bool(pending))

    def _read(self, offset: int) -> int:
        value: int = self._plain_read(offset)
        if offset == _UARTFR and self._clock.nanos < self._sent_until:
            value = (value | _BUSY) & ~_TXFE
        return value

    def _character_ns(self) -> float:
        line = self._block._line_ctrl_register
        bits = 2 + self._block.word_length + bool(line & _LCR_PARITY) + bool(line & _LCR_TWO_STOP)
        self._mcu.clk_peri = peripheral_hz(self._mcu)
        rate = self._block.baud_rate if self._block.baud_divider else 115_200
        return float(bits * 1e9 / max(rate, 1))

    def _parity(self) -> str:
        line = self._block._line_ctrl_register
        return "none" if not line & _LCR_PARITY else "even" if line & _LCR_EVEN else "odd"

    def _on_byte(self, value: int) -> None:
        # The emulated transmitter takes any number of bytes at once; the line still sends one at a time.
        now: float = self._clock.nanos
        character = self._character_ns()
        self._sent_until = max(now, self._sent_until) + character
        if self._turned or not self._direction:
            self._sent.append(value)
            self._silence.schedule(self._sent_until - now + _SILENCE * character)

    def _message_over(self) -> None:
        message = bytes(self._sent)
        self._sent.clear()
        idle = not self._coming
        for model in self._models:
            if isinstance(model, UartLineModel):
                model.uart_line(self._block.baud_rate, self._parity())
            self._coming.extend(model.uart_exchange(message, int(self._clock.nanos)))
        if idle and self._coming:
            self._arrival.schedule((_SILENCE + 1) * self._character_ns())

    def _character_arrives(self) -> None:
        value = self._coming.popleft()
        hears = self._block.rx_enabled and self._block.enabled and not self._turned
        if hears and not self._block.rx_fifo.full:
            self._block.feed_byte(value)
        if self._coming:
            self._arrival.schedule(self._character_ns())
