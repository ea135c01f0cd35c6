"""An emulated TI ADS131M02 on SPI, word by word: an ADC with an accelerometer or a current clamp on its channel 0.

Datasheet SBAS853A: data ready 8.5.1.5, frames and checksums 8.5.1.7 to 8.5.1.9, commands table 8-11, registers 8.6;
register addresses, the frame and the CRC also in Linux' ti-ads131m02.c, and clock, gain and identity in Zephyr's
adc_ads131m02.c. Modelled: identity, reset, standby, lock, reading and writing of registers, oversampling, gain, which
channels are on, the last two samples, data ready with its short high before a sample that nobody fetched, the output's
checksum and the input's. Not modelled: words of 32 bits, the filters and their settling, offset, gain and
phase calibration, global chop, the DC block filter, current detection, DRDY in other formats; channel 1 is shorted.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING

import numpy as np

from quaver.emulator.bus import Attached
from quaver.emulator.sensors.stream import Fault, Rest, Stream, acceleration

if TYPE_CHECKING:
    from quaver.recordings.sources import Source

CLKIN_HZ = 8_192_000
FULL_SCALE_V = 1.2  # at gain 1
NOISE_V = 7.56e-6  # RMS, input-referred at gain 1 and an oversampling of 512: table 7-1 of the ADS131M04-Q1

_ID, _STATUS, _MODE, _CLOCK, _GAIN1 = range(5)
_RESET_VALUES = {_ID: 0x2200, _STATUS: 0x0500, _MODE: 0x0510, _CLOCK: 0x030E, 0x06: 0x0600, 0x0C: 0x8000, 0x11: 0x8000}
_WRITABLE = frozenset([_MODE, _CLOCK, _GAIN1, 0x06, 0x07, 0x08, *range(0x09, 0x13)])
_NULL, _RESET, _STANDBY, _WAKEUP, _LOCK, _UNLOCK = 0x0000, 0x0011, 0x0022, 0x0033, 0x0555, 0x0655
_READ, _WRITE = 0b101, 0b011  # the first three bits
_MODE_RX_CRC, _MODE_RESET = 0x1000, 0x0400
_STATUS_LOCK, _STATUS_CRC = 0x8000, 0x1000
_HELD = 2  # samples
_HIGH_NS = 500  # before a sample, four periods of CLKIN
_FLOATING = 0xFF
_IDLE_NS = 2_000_000  # between two looks at a pin that nothing moves


def wired(part: ADS131M02, bus: str, select: int | str, drdy: int) -> tuple[Attached, ...]:
    """The part on a bus, and its DRDY on a GPIO of the board."""
    return Attached("ads131m02", bus, select, part), Attached("ads131m02 DRDY", "gpio", drdy, DataReady(part))


class ADS131M02:
    """The ADC and what is before it. All attributes may change while it runs.

    source: what the accelerometer or the clamp measures, of which z is taken; without one, the ADC's own noise. Asked
    for `capture` = how often the conversion was started before. mv_per_g: of the accelerometer at the ADC's input; of a
    clamp mV / A. clock_error: of CLKIN, ppm; taken over at each start.
    fault: None; "absent" (MISO floats, DRDY stays high), "stuck" (one sample for ever), "range" (beyond full scale).
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        mv_per_g: float = 100.0,
        clock_error: float = 0.0,
        fault: Fault = None,
    ) -> None:
        self.source: Source = source or Rest(NOISE_V / (mv_per_g * 1e-3))
        self.mv_per_g = mv_per_g
        self.clock_error = clock_error
        self.fault: Fault = fault
        self._stream = Stream(word_size=3)
        self._standby = False
        self._selected = False
        self._taken = bytearray()  # what the controller sent in this frame
        self._given = b""
        self._held: bytes | None = None
        self.reset(0)

    def reset(self, now: int) -> None:
        """As the RESET command or a loss of the supply does it."""
        self._words = {address: _RESET_VALUES.get(address, 0) for address in range(0x40)}
        self._response: list[int] | None = None  # to the command of the last frame; None for the status
        self._standby = False
        self._stream.stop(now)
        self._configure(now)

    def busy_ns(self, now: int) -> int:
        """How long the converter has run so far."""
        return self._stream.busy_ns(now)

    def started_ns(self) -> int:
        """When it was started last."""
        return self._stream.started_ns

    # Frames

    def spi_select(self, now: int) -> None:
        self._selected = True
        self._taken.clear()
        self._given = b"" if self.fault == "absent" else self._frame(now)

    def spi_exchange(self, value: int, now: int) -> int:
        if self.fault == "absent":
            return _FLOATING
        at = len(self._taken)
        self._taken.append(value)
        return self._given[at] if at < len(self._given) else 0

    def spi_deselect(self, now: int) -> None:
        self._selected = False
        size = self._word_bytes()
        if self.fault == "absent" or len(self._taken) < size:
            return
        if len(self._taken) >= 3 * size and self._stream.level:  # both channels were shifted out
            self._stream.taken += 1
        words = [self._taken[at] << 8 | self._taken[at + 1] for at in range(0, len(self._taken) - size + 1, size)]
        self._response = self._obey(words, now)

    def _word_bytes(self) -> int:
        return 3 if self._words[_MODE] & 0x0300 else 2

    def _frame(self, now: int) -> bytes:
        self._advance(now)
        if self._response is not None and len(self._response) > 1:  # registers, and no samples
            words = [word.to_bytes(2, "big") + b"\0" for word in self._response]
        else:
            first = self._status() if self._response is None else self._response[0]
            words = [first.to_bytes(2, "big") + b"\0", self._sample(), bytes(3)]
        size = self._word_bytes()
        frame = b"".join(word[:size] for word in words)
        return frame + crc_hqx(frame, 0xFFFF).to_bytes(2, "big") + b"\0"

    def _status(self) -> int:
        mode = self._words[_MODE]
        enabled = self._words[_CLOCK] >> 8 & 0b11
        status = self._words[_STATUS] & (_STATUS_LOCK | _STATUS_CRC)
        status |= mode & 0x0F00  # CRC_TYPE, RESET and WLENGTH lie as in MODE
        return status | (enabled if self._stream.level else 0)

    def _obey(self, words: list[int], now: int) -> list[int] | None:
        """Do the command of a frame; the response to it."""
        command = words[0]
        kind, address, count = command >> 13, command >> 7 & 0x3F, (command & 0x7F) + 1
        sent = 1 + (count if kind == _WRITE else 0)
        if self._words[_MODE] & _MODE_RX_CRC:
            checked = bytes(self._taken[: sent * self._word_bytes()])
            if len(words) <= sent or words[sent] != crc_hqx(checked, 0xFFFF):
                self._words[_STATUS] |= _STATUS_CRC
                return None
            self._words[_STATUS] &= ~_STATUS_CRC
        locked = self._words[_STATUS] & _STATUS_LOCK
        if kind == _READ:
            found = [self._word(at & 0x3F) for at in range(address, address + count)]
            return found if count == 1 else [0xE000 | command & 0x1FFF, *found]
        if locked and command != _UNLOCK:
            return None
        if kind == _WRITE:
            written = min(count, len(words) - 1)
            for at, word in enumerate(words[1 : 1 + written], address):
                if at in _WRITABLE:
                    self._words[at] = word
            self._configure(now)
            return [0x4000 | address << 7 | written - 1]
        if command in (_LOCK, _UNLOCK):
            self._words[_STATUS] = self._words[_STATUS] & ~_STATUS_LOCK | (_STATUS_LOCK if command == _LOCK else 0)
        elif command in (_STANDBY, _WAKEUP):
            self._standby = command == _STANDBY
            self._configure(now)
        elif command == _RESET:
            self.reset(now)
            return [0xFF22]
        else:
            return None
        return [command]

    def _word(self, address: int) -> int:
        return self._status() if address == _STATUS else self._words[address]

    # Conversion

    def _rate_hz(self) -> float:
        """Samples a second: CLKIN halved, by the oversampling; 0 where no channel is on."""
        clock = self._words[_CLOCK]
        if self._standby or not clock & 0x0300:
            return 0.0
        ratio = 64 if clock & 0x20 else 128 << (clock >> 2 & 0b111)  # TBM, else OSR
        return CLKIN_HZ * (1 + self.clock_error * 1e-6) / 2 / ratio

    def _configure(self, now: int) -> None:
        rate_hz = self._rate_hz()
        if rate_hz != (self._stream.rate_hz if self._stream.running else 0.0):
            if rate_hz:
                self._stream.start(now, rate_hz, buffered=True)
            else:
                self._stream.stop(now)
        self._stream.forget()

    def _advance(self, now: int) -> None:
        self._stream.advance(now, _HELD, keep_newest=True)

    def _sample(self) -> bytes:
        """Channel 0 of the oldest sample that waits; without one, of the last."""
        stream = self._stream
        if not self._words[_CLOCK] & 0x0100 or not stream.written:
            return bytes(3)
        word = stream.word(stream.taken if stream.level else stream.written - 1, self._render)
        if self.fault == "stuck":
            self._held = self._held or word
            return self._held
        self._held = None
        return b"\x7f\xff\xff" if self.fault == "range" else word

    def _render(self, first: int, count: int) -> bytes:
        volts = acceleration(self.source, self._stream, first, count)[:, 2].astype(np.float64) * self.mv_per_g * 1e-3
        gain = 1 << (self._words[_GAIN1] & 0b111)
        codes = np.clip(np.rint(volts * gain / FULL_SCALE_V * 2**23), -(2**23), 2**23 - 1).astype(">i4")
        return codes.view(np.uint8).reshape(count, 4)[:, 1:].tobytes()

    # Data ready

    def ready(self, now: int) -> bool:
        """Whether DRDY is low: a sample waits. Changes nothing: a board may ask for what comes."""
        stream = self._stream
        if self.fault == "absent" or not stream.running:
            return False
        pulse = stream.due(now + _HIGH_NS) != stream.due(now) and not self._selected
        return stream.due(now) > stream.taken and not pulse

    def next_ns(self, now: int) -> int:
        """When DRDY may change next, after `now`."""
        stream = self._stream
        if self.fault == "absent" or not stream.running:
            return now + _IDLE_NS
        sample = stream.started_ns + -(-(stream.due(now) + 1) * 10**15 // round(stream.rate_hz * 1e6))
        return sample - _HIGH_NS if now < sample - _HIGH_NS else sample


class DataReady:
    """The part's DRDY, as what drives a GPIO of the board."""

    def __init__(self, part: ADS131M02) -> None:
        self._part = part

    def gpio_level(self, now: int) -> bool:
        return not self._part.ready(now)

    def gpio_next(self, now: int) -> int:
        return self._part.next_ns(now)
