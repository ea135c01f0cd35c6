"""Analog Devices ADXL345, a 3-axis accelerometer with up to 3,200 samples/s, on I2C or SPI (mode 3, up to 5 MHz).

Datasheet ADXL345 Rev. E: register map table 19, FIFO section. In full resolution an LSB is 1/256 g, 3.9 mg, in
every range (table 1); at 1,600 and 3,200 Hz the lowest bit is always 0. The FIFO holds 32 samples of 6 bytes
(X, Y, Z as little-endian int16), and one more waits at the output filter. It is full 10 ms after it was last
empty. On I2C a sample takes 0.23 ms of the wire at 400 kHz, so 1,600 samples/s
fit and 3,200 do not, once the interpreter has had its part.
"""

from micropython import const

if False:  # types alone: never compiled
    from drivers.registers import I2cAccess, SpiAccess

_DEVID = const(0x00)
_THRESH_ACT = const(0x24)
_ACT_INACT_CTL = const(0x27)
_BW_RATE = const(0x2C)
_POWER_CTL = const(0x2D)
_INT_ENABLE = const(0x2E)
_INT_MAP = const(0x2F)
_INT_SOURCE = const(0x30)
_DATA_FORMAT = const(0x31)
_DATAX0 = const(0x32)
_FIFO_CTL = const(0x38)
_FIFO_STATUS = const(0x39)

_IDENTITY = const(0xE5)
_ACTIVITY = const(0x10)
_ALL_AXES_AC = const(0xF0)  # activity on X, Y, Z against the level at its start, so that gravity is none
_SLOW_AND_LOW = const(0x17)  # 12.5 samples/s at low power: 34 uA (table 8)
_ACT_LSB_G = const(16)  # of THRESH_ACT in a g (table 2: 62.5 mg)

_STANDBY = const(0x00)
_MEASURE = const(0x08)
_FULL_RESOLUTION = const(0x08)
_BYPASS = const(0x00)
_STREAM = const(0x80)
_ENTRIES = const(0x3F)
_ENTRIES_MAX = const(33)
_FASTEST = const(0x0F)  # rate code of 3,200 Hz; each step down halves it (table 7)
_SAMPLE = const(6)

SPI_READ = 0xC0  # with the bit for a burst that counts up

_RANGES = (2, 4, 8, 16)
_RATES = (3200, 1600, 800, 400, 200, 100)

# of quaver_wire.reasons
_NO_ANSWER = const(200)
_BROKEN = const(201)
_OTHER_PART = const(202)


class ADXL345:
    """access: of drivers.registers, on SPI with SPI_READ; range_g: 2, 4, 8 or 16; rate_hz: 3200, 1600, 800 … 100.

    raw: where read() puts samples: WORD_BYTES each, an axis at Z_OFFSET (Y 2 and X 4 bytes before it).
    overrun: whether the FIFO was ever found filled since start(), so that samples may be lost.
    Every verb raises OSError when the part does not answer: a number of quaver_wire.reasons, and a detail.
    """

    ODR_HZ = 3200  # of the instance: nominal; the part's own oscillator may be some percent off
    UG_PER_LSB = 3906  # 1/256 g
    FIFO_DEPTH = 32
    READ_MAX = 33  # one more than the FIFO holds waits at the output filter
    WORD_BYTES = 6
    Z_OFFSET = 4
    Z_HIGH = 1

    def __init__(self, access: "I2cAccess | SpiAccess", range_g: int = 16, rate_hz: int = 3200) -> None:
        if range_g not in _RANGES:
            raise ValueError("range_g must be 2, 4, 8 or 16")
        if rate_hz not in _RATES:
            raise ValueError("rate_hz must be 3200, 1600, 800, 400, 200 or 100")
        self._access = access
        self._range = _RANGES.index(range_g)
        self._rate = _FASTEST - _RATES.index(rate_hz)
        self.ODR_HZ = rate_hz
        self.CLIP_LSB = 256 * range_g - 2  # a sample this far from 0 has met the end of the range
        self.raw = bytearray(_ENTRIES_MAX * _SAMPLE)
        self.overrun = False
        # A slice of a memoryview is an object; read() may make none, so the ones it needs are made here.
        view = memoryview(self.raw)
        self._samples = [view[at : at + _SAMPLE] for at in range(0, len(self.raw), _SAMPLE)]
        self._one = bytearray(1)

    def probe(self) -> None:
        """Check the part's identity and put it to standby. Raises OSError when it is another part, or none."""
        self._access.read(_DEVID, self._one)
        identity = self._one[0]
        if identity != _IDENTITY:  # a line that nobody drives reads as 0 or 255
            raise OSError(_OTHER_PART if 0 < identity < 255 else _NO_ANSWER, identity)
        self._access.write(_INT_ENABLE, 0)
        self.stop()

    def start(self) -> None:
        """Start the stream with an empty FIFO; the first sample is there 1 / ODR_HZ later."""
        write = self._access.write
        write(_POWER_CTL, _STANDBY)
        write(_FIFO_CTL, _BYPASS)  # empties it
        write(_DATA_FORMAT, _FULL_RESOLUTION | self._range)
        write(_BW_RATE, self._rate)
        write(_FIFO_CTL, _STREAM)
        self.overrun = False
        write(_POWER_CTL, _MEASURE)

    def stop(self) -> None:
        """Stop the stream and empty the FIFO."""
        self._access.write(_POWER_CTL, _STANDBY)
        self._access.write(_FIFO_CTL, _BYPASS)

    def watch(self, level_g: float) -> None:
        """Raise INT1 at the next vibration above level_g (62.5 mg to 15.9 g) while the board sleeps; `probe` ends it.

        At 12.5 samples/s and low power: what is faster than 6 Hz is seen only as strongly as it happens to be then.
        """
        write = self._access.write
        write(_POWER_CTL, _STANDBY)
        write(_FIFO_CTL, _BYPASS)
        write(_DATA_FORMAT, _FULL_RESOLUTION | self._range)
        write(_BW_RATE, _SLOW_AND_LOW)
        write(_THRESH_ACT, min(max(int(level_g * _ACT_LSB_G), 1), 255))
        write(_ACT_INACT_CTL, _ALL_AXES_AC)
        write(_INT_MAP, 0)
        self._access.read(_INT_SOURCE, self._one)  # clears what was raised
        write(_POWER_CTL, _MEASURE)
        write(_INT_ENABLE, _ACTIVITY)

    def level(self) -> int:
        """Samples waiting, 0..33; notes an overrun. Allocates nothing."""
        self._access.read(_FIFO_STATUS, self._one)
        entries = self._one[0] & _ENTRIES
        if entries > _ENTRIES_MAX:
            raise OSError(_NO_ANSWER if self._one[0] == 255 else _BROKEN)
        if entries >= self.FIFO_DEPTH:
            # The part's own overrun bit says no more than "filled", and is gone once a sample is read.
            self.overrun = True
        return entries

    def read(self, n: int) -> None:
        """Move the oldest n samples (at most 33, and no more than wait) to the start of `raw`.

        Each sample is a burst of its own: the FIFO moves on when a transaction ends. Between two of them it
        needs 5 µs, less than the interpreter takes. Allocates nothing.
        """
        access = self._access  # and not its method, which would be an object made here
        samples = self._samples
        for i in range(n):
            access.read(_DATAX0, samples[i])
