"""ST IIS3DWB, a 3-axis vibration sensor with a flat response to 6 kHz, on SPI (mode 3, up to 10 MHz).

Datasheet DS12569, register mapping and FIFO. The FIFO holds 512 words of 7 bytes: a tag, then X, Y
and Z as little-endian int16. It is full 19 ms after it was last empty.
"""

import micropython
from micropython import const

if False:  # types alone: never compiled
    from machine import SPI, Pin

_FIFO_CTRL3 = const(0x09)
_FIFO_CTRL4 = const(0x0A)
_WHO_AM_I = const(0x0F)
_CTRL1_XL = const(0x10)
_CTRL3_C = const(0x12)
_OUT_TEMP = const(0x20)
_FIFO_STATUS = const(0x3A)
_FIFO_DATA_OUT = const(0x78)

_READ = const(0x80)
_IDENTITY = const(0x7B)
_SW_RESET = const(0x01)
_BDU_IF_INC = const(0x44)  # no halves of two samples; addresses count up within a burst
_XL_ON = const(0xA0)
_BATCH_XL = const(0x0A)
_CONTINUOUS = const(0x06)
_BYPASS = const(0x00)
_OVERRUN = const(0x48)  # FIFO_OVR_IA, and FIFO_OVR_LATCHED for one that a read has ended since
_ALWAYS_ZERO = const(0x04)  # in FIFO_STATUS2: set only when nobody drives the line
_TAG_XL = const(0x02)

_RESET_POLLS = const(1000)  # a reset takes 50 µs, one poll at least 2
_WORD = const(7)
_STEP = const(16)  # a burst is a multiple of this many words in one piece, and the rest word by word

# FS[1:0] and µg per LSB by range in g
_RANGES = {2: (0, 61), 4: (2, 122), 8: (3, 244), 16: (1, 488)}

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_OTHER_PART = const(202)
_NO_READING = const(203)


class IIS3DWB:
    """spi: a machine.SPI; cs: its chip select, an output that is high; range_g: 2, 4, 8 or 16.

    raw: where read() puts words: WORD_BYTES each, an axis at Z_OFFSET (Y 2 and X 4 bytes before it).
    overrun: whether the FIFO has lost samples since start().
    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    ODR_HZ = 26667  # nominal; the part's own oscillator may be some percent off
    FIFO_DEPTH = 512
    READ_MAX = 160  # words in one read(), 6 ms of signal, for 1.1 kB of buffer
    WORD_BYTES = 7
    Z_OFFSET = 5
    Z_HIGH = 1
    CLIP_LSB = 32767  # a sample this far from 0 has met the end of the range

    def __init__(self, spi: "SPI", cs: "Pin", range_g: int = 16) -> None:
        if range_g not in _RANGES:
            raise ValueError("range_g must be 2, 4, 8 or 16")
        self._full_scale, self.UG_PER_LSB = _RANGES[range_g]
        self._spi = spi
        self._cs = cs
        self.raw = bytearray(self.READ_MAX * _WORD)
        self.overrun = False
        # A slice of a memoryview is an object; read() may make none, so the ones it needs are made here.
        view = memoryview(self.raw)
        self._heads = [view[: words * _WORD] for words in range(0, self.READ_MAX + 1, _STEP)]
        self._word = bytearray(_WORD)
        self._pair = bytearray(2)
        self._one = bytearray(1)
        self._address = bytearray(1)
        self._order = bytearray(2)

    def probe(self) -> None:
        """Check the part's identity and reset it. Raises OSError when it is another part, or none."""
        identity = self._read(_WHO_AM_I, self._one)[0]
        if identity != _IDENTITY:  # a line that nobody drives reads as 0 or 255
            raise OSError(_OTHER_PART if 0 < identity < 255 else _NO_ANSWER, identity)
        self._write(_CTRL3_C, _SW_RESET)
        for _ in range(_RESET_POLLS):
            if not self._read(_CTRL3_C, self._one)[0] & _SW_RESET:
                break
        else:
            raise OSError(_NO_READING)
        self._write(_CTRL3_C, _BDU_IF_INC)

    def start(self) -> None:
        """Start the stream with an empty FIFO; the first sample is there 1 / ODR_HZ later."""
        self._write(_FIFO_CTRL4, _BYPASS)
        self._write(_CTRL1_XL, _XL_ON | self._full_scale << 2)
        self._write(_FIFO_CTRL3, _BATCH_XL)
        self.overrun = False
        self._write(_FIFO_CTRL4, _CONTINUOUS)

    def stop(self) -> None:
        """Stop the stream, empty the FIFO, power the accelerometer down."""
        self._write(_FIFO_CTRL4, _BYPASS)
        self._write(_CTRL1_XL, self._full_scale << 2)

    def level(self) -> int:
        """Words waiting, 0..512; notes an overrun. Allocates nothing."""
        status = self._read(_FIFO_STATUS, self._pair)
        high = status[1]
        if high & _ALWAYS_ZERO:
            raise OSError(_NO_ANSWER)
        if high & _OVERRUN:
            self.overrun = True
        return status[0] | (high & 3) << 8

    @micropython.native  # bytecode with so many locals takes its frame from the heap, at each call
    def read(self, n: int) -> None:
        """Move the oldest n words (at most READ_MAX, and no more than wait) to the start of `raw`, in one burst.

        Allocates nothing; quickest when n is a multiple of 16. Raises OSError when what comes is no
        acceleration.
        """
        raw = self.raw
        word = self._word
        spi = self._spi
        head = n // _STEP
        at = head * _STEP * _WORD
        self._address[0] = _FIFO_DATA_OUT | _READ
        self._cs(0)
        spi.write(self._address)
        if head:
            spi.readinto(self._heads[head])
        for _ in range(n - head * _STEP):
            spi.readinto(word)
            raw[at] = word[0]
            raw[at + 1] = word[1]
            raw[at + 2] = word[2]
            raw[at + 3] = word[3]
            raw[at + 4] = word[4]
            raw[at + 5] = word[5]
            raw[at + 6] = word[6]
            at += _WORD
        self._cs(1)
        if n and (raw[0] >> 3 != _TAG_XL or raw[at - _WORD] >> 3 != _TAG_XL):
            raise OSError(_BROKEN)

    def temperature_centi(self) -> int:
        """Temperature of the die in 0.01 °C, to 1/256 °C; fresh only while the stream runs."""
        pair = self._read(_OUT_TEMP, self._pair)
        lsb = pair[0] | pair[1] << 8
        if lsb & 0x8000:
            lsb -= 0x10000
        return 2500 + (lsb * 25 + 32 >> 6)

    def _read(self, register: int, buffer: bytearray) -> bytearray:
        self._address[0] = register | _READ
        self._cs(0)
        self._spi.write(self._address)
        self._spi.readinto(buffer)
        self._cs(1)
        return buffer

    def _write(self, register: int, value: int) -> None:
        order = self._order
        order[0] = register
        order[1] = value
        self._cs(0)
        self._spi.write(order)
        self._cs(1)
