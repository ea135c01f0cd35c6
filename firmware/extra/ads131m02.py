"""Texas Instruments ADS131M02, a 24-bit ADC on SPI (mode 1, up to 25 MHz), with an analog accelerometer or a current
clamp on its channel 0.

Datasheet SBAS853A: data ready 8.5.1.5, frames 8.5.1.7 to 8.5.1.9, commands table 8-11, registers 8.6, full scale of
1.2 V / gain (table 8-1). With CLKIN at 8.192 MHz an oversampling of 512 gives 8,000 samples/s, one of 4,096 gives 1,000
(table 8-2).

It has no FIFO but the last two samples, so an interrupt reads each one: a frame of four words, which are the status,
the two channels, and a checksum of them. One whose checksum or status is wrong is a lost sample. Words are set to 16
bits, of the converter's 24: a third of the wire's time, and of the checksum's, is saved.
"""

import math
import time
from array import array

import micropython
from micropython import const

if False:  # types alone: never compiled
    from collections.abc import Callable

    from machine import SPI, Pin

    from hal.chip.common import Hal

MEASURES = "vibration current"
AT_ONCE = True
SETTINGS = "bus spi0\nrate_hz 8000\ndrdy_pin\nsensitivity_mv_g\na_per_v\nline_hz 50 60"

_RESET = const(0x0011)
_STANDBY = const(0x0022)
_READ_ID = const(0xA000)  # RREG of one register
_IDENTITY = const(0x22)
# WREG of MODE (words of 16 bits, a frame times out, the flag of a reset cleared), CLOCK (channel 0 alone, oversampling
# of 512 or 4,096, high resolution) and GAIN1, and its response
_WRITE = const(0x6102)
_MODE = const(0x0010)
_CLOCK = const(0x010A)
_SLOW_CLOCK = const(0x0116)
_WRITTEN = const(0x4102)

_FULL_MV = const(1200)
_HIGHEST_GAIN = const(7)  # a power of two
_RATE = const(8000)
_SLOW_RATE = const(1000)
_DEPTH = const(512)  # a power of two
_RESET_MS = const(1)
_SETTLE_MS = const(10)  # the filter's three samples, and what the part held
_HOPELESS = const(16)  # damaged frames in a capture: no disturbance any more
_SAMPLE = const(1)  # the status: no fault, words of 16 bits, a new sample of channel 0
_CRC_OF_IT = const(0x0D2E)

# What the interrupt and the rest share, in one array
_IN = const(0)  # samples that came since start()
_OUT = const(1)  # of them, those that were read
_LOST = const(2)  # whether some were
_DAMAGED = const(3)  # frames
_LAST = const(4)  # when the interrupt ran last, us
_LATE = const(5)  # by how much the samples are behind the clock, us / 16
_PERIOD = const(6)  # of a sample, us / 16
_WORDS = const(7)  # of 32 bits; behind them a ring of samples

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_OTHER_PART = const(202)


@micropython.viper
def _take(given: object, shared: object, now: int) -> int:
    """Put the sample of a frame into the ring; return 1 where another one may wait.

    An interrupt that was held up for longer than a sample's time comes once for two samples. That shows in the time:
    then the part is asked once more, whose status says whether it has one.
    """
    frame = ptr8(given)
    state = ptr32(shared)
    step = (now - state[_LAST]) & 0x3FFFFFFF
    if step > 0xFFFF:
        step = 0xFFFF
    state[_LAST] = now
    late = state[_LATE] + (step << 4)
    status = frame[0] << 8 | frame[1]
    i = 2
    crc = _CRC_OF_IT  # CRC-16-CCITT
    if status != _SAMPLE:
        i = 0
        crc = 0xFFFF
    while i < 6:
        x = crc >> 8 ^ frame[i]
        x ^= x >> 4
        crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xFFFF
        i += 1
    if crc != frame[6] << 8 | frame[7] or status > _SAMPLE:
        state[_DAMAGED] += 1
        state[_LOST] = 1
    elif not status:
        state[_LATE] = state[_PERIOD] >> 1  # nothing new: it is our clock that is ahead
        return 0
    elif state[_IN] - state[_OUT] >= _DEPTH:
        state[_LOST] = 1
    else:
        ptr16(shared)[2 * _WORDS + (state[_IN] & _DEPTH - 1)] = frame[2] << 8 | frame[3]
        state[_IN] += 1
    late -= state[_PERIOD] + (late >> 6)  # the part's clock may be the slower one
    if late < 0:
        late = 0
    state[_LATE] = late
    if late << 3 <= state[_PERIOD] * 5:  # from there on another may wait; less than a sample, for a late look sees less
        return 0
    if step:
        return 1
    state[_LATE] = 0
    state[_LOST] = 1  # the part holds two samples, and there were more
    return 0


@micropython.viper
def _move(shared: object, at: int, to: object, count: int) -> int:
    """Copy samples from the ring, the one of number `at` first, as bytes; return the number of the next one."""
    ring = ptr16(shared)
    target = ptr8(to)
    i = 0
    while i < count:
        value = ring[2 * _WORDS + (at + i & _DEPTH - 1)]
        target[2 * i] = value & 0xFF
        target[2 * i + 1] = value >> 8
        i += 1
    return at + count


def _handler(cs: "Pin", receive: "Callable", frame: bytearray, shared: array) -> "Callable":
    """What reads a sample when DRDY falls. A closure: to look these up in an object would take as long as the wire.

    With more than four of them, each call would allocate.
    """

    @micropython.native
    def ready(pin: "Pin") -> None:
        now = time.ticks_us()
        cs(0)
        receive(frame)
        cs(1)
        if _take(frame, shared, now):
            cs(0)
            receive(frame)
            cs(1)
            _take(frame, shared, now)

    return ready


class ADS131M02:
    """spi: a machine.SPI in mode 1; cs: its chip select, an output that is high; attach(handler): has handler(pin)
    called at each falling edge of DRDY, at once, and returns the machine's interrupt object.

    sensitivity_mv_g: of the accelerometer at the ADC's input; range_g: what has to fit, for which the gain is as high
    as it may be; 0 for gain 1. Raises ValueError for a range that does not fit.
    line_hz: of the supply whose current a clamp gives instead, at 1,000 samples/s: sensitivity_mv_g is in mV / A then,
    and UG_PER_LSB in uA, of a current of that frequency, which the filter, sinc**3, weakens: by 1.2 % at 50 Hz.
    raw: where read() puts samples, little-endian. overrun: whether samples were lost since start().
    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    CLIP_LSB = 32767
    FIFO_DEPTH = _DEPTH
    READ_MAX = 160
    WORD_BYTES = 2
    Z_OFFSET = 0
    Z_HIGH = 1

    def __init__(
        self,
        spi: "SPI",
        cs: "Pin",
        attach: "Callable",
        sensitivity_mv_g: float,
        range_g: float = 0,
        line_hz: int = 0,
    ) -> None:
        full_g = _FULL_MV / sensitivity_mv_g
        if range_g > full_g:
            raise ValueError("range_g {}: {} mV/g reach {:.3g} g".format(range_g, sensitivity_mv_g, full_g))
        gain = 0
        while range_g and gain < _HIGHEST_GAIN and range_g * (2 << gain) <= full_g:
            gain += 1
        self._gain = gain
        self.UG_PER_LSB = full_g * 1e6 / (32768 << gain)
        self.ODR_HZ = _RATE
        self._clock = _CLOCK
        if line_hz:
            self.ODR_HZ = _SLOW_RATE
            self._clock = _SLOW_CLOCK
            x = math.pi * line_hz / _SLOW_RATE
            self.UG_PER_LSB *= (x / math.sin(x)) ** 3
        self._spi = spi
        self._cs = cs
        self._state = array("i", bytes(4 * _WORDS + 2 * _DEPTH))
        self._state[_PERIOD] = 16_000_000 // self.ODR_HZ
        self._frame = bytearray(8)
        self.raw = bytearray(2 * self.READ_MAX)
        self.overrun = False
        self._interrupt = attach(_handler(cs, spi.readinto, self._frame, self._state))
        self._falling = self._interrupt.trigger()
        self._interrupt.trigger(0)

    def _exchange(self, *words: int) -> int:
        """Send a frame of 24-bit words, of which the command is the first two bytes whatever the length is; the
        response to the frame before. It ends the stream: an interrupt would cut the frame in two."""
        self._interrupt.trigger(0)
        sent = bytearray(12)
        for i, word in enumerate(words):
            sent[3 * i] = word >> 8
            sent[3 * i + 1] = word & 0xFF
        response = bytearray(12)
        self._cs(0)
        self._spi.write_readinto(sent, response)
        self._cs(1)
        return response[0] << 8 | response[1]

    def _take_bus(self) -> None:
        self._spi.init(polarity=0, phase=1)

    def probe(self) -> None:
        """Check the part's identity and put it to standby. Raises OSError when it is another part, or none."""
        self._take_bus()
        self._exchange(_READ_ID)
        identity = self._exchange(_READ_ID) >> 8  # and no zeros, which a stranger would take for a write
        if identity != _IDENTITY:  # a line that nobody drives reads as 0 or 255
            raise OSError(_OTHER_PART if 0 < identity < 255 else _NO_ANSWER, identity)
        self.stop()

    def start(self) -> None:
        """Start the stream and wait until it has settled."""
        state = self._state
        self._take_bus()
        self._exchange(_RESET)
        time.sleep_ms(_RESET_MS)
        self._exchange(_WRITE, _MODE, self._clock, self._gain)
        response = self._exchange()
        if response != _WRITTEN:
            raise OSError(_BROKEN if 0 < response < 0xFFFF else _NO_ANSWER)
        state[_IN] = state[_OUT] = state[_LATE] = 0
        state[_LAST] = time.ticks_us()
        self._interrupt.trigger(self._falling)
        time.sleep_ms(_SETTLE_MS)
        state[_OUT] = state[_IN]
        state[_LOST] = state[_DAMAGED] = 0
        self.overrun = False

    def stop(self) -> None:
        """Stop the stream: the interrupt is off, and the part in standby."""
        self._exchange(_STANDBY)
        self._state[_OUT] = self._state[_IN]
        self._spi.init(polarity=1, phase=1)  # as the board has it, for other parts

    def level(self) -> int:
        """Samples waiting; notes lost ones. Allocates nothing. Raises OSError where frame after frame is damaged."""
        state = self._state
        if state[_LOST]:
            self.overrun = True
        if state[_DAMAGED] >= _HOPELESS:
            raise OSError(_NO_ANSWER if self._frame[0] == self._frame[7] else _BROKEN)  # a line that nobody drives
        return state[_IN] - state[_OUT]

    def read(self, n: int) -> None:
        """Move the oldest n samples, at most READ_MAX and no more than wait, to the start of `raw`."""
        state = self._state
        state[_OUT] = _move(state, state[_OUT], self.raw, n)


def make(port: "Hal", given: dict) -> ADS131M02:
    """The driver that the checked section `given` asks for. Raises ValueError."""

    def attach(handler: "Callable") -> object:
        return port.at_once(given["drdy_pin"], handler, True)

    bus = port.bus(given["bus"], "spi")
    select = port.output(port.board.PINS[given["bus"] + "_cs"] if given["cs"] < 0 else given["cs"], 1)
    if "a_per_v" in given:
        return ADS131M02(bus, select, attach, 1000 / given["a_per_v"], line_hz=given["line_hz"])
    return ADS131M02(bus, select, attach, given["sensitivity_mv_g"], given["range_g"])
