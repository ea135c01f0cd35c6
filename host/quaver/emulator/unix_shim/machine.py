"""The board's `machine`: buses whose devices live on the host, and the chip's own few services.

Pin numbers are those of the board file, errors those of the RP2040 port (EIO for a device that does not answer).
Transfers go straight between the caller's buffer and the host and allocate nothing.
"""

import time as _time

import quaver_link as _link
from micropython import const

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)

_about = {}  # what the host said of this boot, set by quaver_boot
_retained = None  # the low-power memory
_selects = ()  # pins that some device minds
_chips = ()  # those of them that select a device on a bus: nothing minds when, only before what
_inputs = ()  # pins that some device drives

_WRITE = const(0)
_BOTH = const(2)


def _size(buffer):
    kind = type(buffer)
    if kind is bytearray or kind is bytes or kind is memoryview:
        return len(buffer)
    return len(bytes(buffer))  # an array's bytes, whatever its items


def _bus(kind, pin):
    """The number of the bus with this clock pin; soft buses are named by their pins alone."""
    for name, first in _about["buses"].items():
        if name.startswith(kind) and first == int(pin):
            return int(name[-1])
    raise ValueError("no %s bus on this pin" % kind)


class Pin:
    IN = 0
    OUT = 1
    OPEN_DRAIN = 2
    ALT = 3
    PULL_UP = 1
    PULL_DOWN = 2
    IRQ_FALLING = 4
    IRQ_RISING = 8

    _levels = bytearray(64)

    def __init__(self, id, mode=None, pull=None, *, value=None, alt=None):
        if isinstance(id, Pin):
            id = id._id
        elif isinstance(id, str):
            id = 63 if id == "LED" else int(id[2:] if id.startswith("GP") else id)
        if not 0 <= id < 64:
            raise ValueError("invalid pin")
        self._id = id
        self.init(mode, pull, value=value)

    def init(self, mode=None, pull=None, *, value=None, alt=None):
        if value is not None:
            self.value(value)
        elif mode == self.IN and pull is not None:  # a line that nobody drives
            self._levels[self._id] = pull == self.PULL_UP

    def value(self, level=None):
        if level is None:
            if self._id in _inputs:
                return _link.call(_link.LEVEL, self._id, 0, 0, 0, None, 0, 0, None)
            return self._levels[self._id]
        level = 1 if level else 0
        self._levels[self._id] = level
        if self._id in _chips:
            _link.select(self._id, level)
        elif self._id in _selects:
            _link.call(_link.PIN, self._id, level, 0, 0, None, 0, 0, None)

    __call__ = value

    def on(self):
        self.value(1)

    high = on

    def off(self):
        self.value(0)

    low = off

    def toggle(self):
        self.value(not self._levels[self._id])

    def irq(self, handler=None, trigger=IRQ_FALLING | IRQ_RISING, *, hard=False):
        """Fires on a pin that a device drives; on any other it is taken, and never fires."""
        return _Interrupt(self, handler, trigger, hard)

    def __int__(self):
        return self._id

    def __repr__(self):
        return "Pin(%d)" % self._id


class _Interrupt:
    def __init__(self, pin, handler, trigger, hard):
        self._pin = pin
        self._handler = handler
        self._hard = hard
        self._trigger = 0
        self.trigger(trigger if handler else 0)

    def trigger(self, trigger=None):
        """Change the edges that it fires at; returns what they were."""
        before = self._trigger
        if trigger is not None:
            self._trigger = trigger
            if int(self._pin) in _inputs:
                _link.watch(int(self._pin), self._pin, self._handler if trigger else None, trigger, self._hard)
        return before


class SPI:
    MASTER = 0
    CONTROLLER = 0
    MSB = 0
    LSB = 1

    def __init__(
        self, id, baudrate=1000000, *, polarity=0, phase=0, bits=8, firstbit=0, sck=None, mosi=None, miso=None
    ):
        if "spi%d" % id not in _about["buses"]:
            raise ValueError("SPI(%d) doesn't exist" % id)
        self._id = id
        self._baudrate = baudrate

    def init(self, baudrate=None, **_):
        if baudrate:
            self._baudrate = baudrate

    def deinit(self):
        pass

    def write(self, buffer):
        left = _size(buffer)
        if _link.defers and left <= 8:
            _link.put_off(self._id, self._baudrate, buffer, left)
            return
        start = 0
        while left > 0:
            count = min(left, _link.MAX_PAYLOAD)
            _link.call(_link.SPI, self._id, self._baudrate, _WRITE, 0, buffer, start, count, None)
            start += count
            left -= count

    def readinto(self, buffer, write=0):
        count = _size(buffer)
        _link.read(self._id, self._baudrate, write, count, buffer)

    def read(self, count, write=0):
        data = bytearray(count)
        self.readinto(data, write)
        return bytes(data)

    def write_readinto(self, write, read):
        count = _size(write)
        if count != _size(read):
            raise ValueError("buffers must be the same length")
        if count <= _link.MAX_PAYLOAD:
            _link.call(_link.SPI, self._id, self._baudrate, _BOTH, 0, write, 0, count, read)
            return
        source = memoryview(write)
        target = memoryview(read)
        for start in range(0, count, _link.MAX_PAYLOAD):
            end = start + _link.MAX_PAYLOAD
            self.write_readinto(source[start:end], target[start:end])


class SoftSPI(SPI):
    def __init__(self, baudrate=500000, *, sck, mosi, miso, **_):
        super().__init__(_bus("spi", sck), baudrate)


_STOP = const(1)
_MEMORY = const(2)
_WRITES = const(4)


class I2C:
    def __init__(self, id, *, scl=None, sda=None, freq=400000, timeout=50000):
        if "i2c%d" % id not in _about["buses"]:
            raise ValueError("I2C(%d) doesn't exist" % id)
        self._id = id
        self._freq = freq

    def init(self, *, scl=None, sda=None, freq=400000):
        self._freq = freq

    def scan(self):
        found = []
        for address in range(8, 0x78):
            try:
                self.writeto(address, b"")
                found.append(address)
            except OSError:
                pass
        return found

    def _call(self, address, flags, count, source, size, target):
        return _link.call(_link.I2C, self._id, self._freq, flags, count << 8 | address, source, 0, size, target)

    def readfrom_into(self, address, buffer, stop=True):
        self._call(address, _STOP if stop else 0, _size(buffer), None, 0, buffer)

    def readfrom(self, address, count, stop=True):
        data = bytearray(count)
        self.readfrom_into(address, data, stop)
        return bytes(data)

    def writeto(self, address, buffer, stop=True):
        return self._call(address, _WRITES | (_STOP if stop else 0), 0, buffer, _size(buffer), None)

    def writevto(self, address, buffers, stop=True):
        return self.writeto(address, b"".join(bytes(part) for part in buffers), stop)

    def readfrom_mem_into(self, address, memory, buffer, *, addrsize=8):
        flags = memory << 16 | addrsize << 8 | _MEMORY | _WRITES | _STOP
        self._call(address, flags, _size(buffer), None, 0, buffer)

    def readfrom_mem(self, address, memory, count, *, addrsize=8):
        data = bytearray(count)
        self.readfrom_mem_into(address, memory, data, addrsize=addrsize)
        return bytes(data)

    def writeto_mem(self, address, memory, buffer, *, addrsize=8):
        flags = memory << 16 | addrsize << 8 | _MEMORY | _WRITES | _STOP
        self._call(address, flags, 0, buffer, _size(buffer), None)


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        super().__init__(_bus("i2c", scl), freq=freq)


_AHEAD = const(64)  # bytes


class UART:
    INV_TX = 1
    INV_RX = 2

    def __init__(self, id, baudrate=115200, bits=8, parity=None, stop=1, **options):
        if "uart%d" % id not in _about["buses"]:
            raise ValueError("UART(%d) doesn't exist" % id)
        self._id = id
        self._timeout = 0
        self._timeout_char = 0
        self._sent_at = 0  # when the last bit written will have left, ns
        self._got = bytearray(_AHEAD)  # what has arrived and was fetched: who looks, then reads
        self._held = 0
        self._at = 0  # of the first of them
        self._level = 0  # bytes that have arrived beside them
        self._more_at = 0
        self.init(baudrate, bits, parity, stop, **options)

    def init(self, baudrate=None, bits=8, parity=None, stop=1, *, timeout=None, timeout_char=None, **_):
        if baudrate:
            self._baudrate = baudrate
        self._parity = 0 if parity is None else 1 + (parity & 1)  # none, even, odd
        self._frame = 1 + bits + (parity is not None) + stop
        if timeout is not None:
            self._timeout = timeout * 1000000
        if timeout_char is not None:
            self._timeout_char = timeout_char * 1000000

    def deinit(self):
        pass

    def _look(self):
        """Ask the host for what has arrived, and from when on there will be more."""
        if not self._held:
            self._at = 0
            self._held = _link.call(_link.UART_READ, self._id, _AHEAD, 0, 0, None, 0, 0, self._got)
            self._more_at = _link.more()
            self._level = 0
            if self._held < _AHEAD:
                return
        self._level = _link.call(_link.UART_LEVEL, self._id, 0, 0, 0, None, 0, 0, None)
        self._more_at = _link.more()

    def any(self):
        if _link.now() >= self._more_at:
            self._look()
        return self._held + self._level

    def next_byte(self):
        """When the next byte that is still on the wire arrives, ns of the board's time; FOREVER when none is."""
        if _link.now() >= self._more_at:
            self._look()
        return self._more_at

    def write(self, buffer, *part):
        """Takes all and returns at once: the transmit buffer holds any length."""
        start = 0
        count = _size(buffer)
        if len(part) == 1:
            count = min(count, part[0])
        elif part:
            start = part[0]
            count = min(count - start, part[1])
        left = count
        while left > 0:
            size = min(left, _link.MAX_PAYLOAD)
            self._sent_at = _link.call(
                _link.UART_WRITE, self._id, self._baudrate, self._frame, self._parity, buffer, start, size, None
            )
            start += size
            left -= size
        self._more_at = 0
        return count

    def txdone(self):
        return _link.now() >= self._sent_at

    def flush(self):
        if _link.now() < self._sent_at:
            _link.wait(self._sent_at, None)

    def readinto(self, buffer, count=-1):
        """Waits `timeout` for the first byte and `timeout_char` for each next one; None when there was none."""
        size = _size(buffer)
        count = size if count < 0 else min(count, size)
        deadline = _link.now() + self._timeout
        level = self.any()
        while level < count:
            moment = self.next_byte()
            if moment > deadline:
                if not level and deadline > _link.now():
                    _link.wait(deadline, None)
                break
            _link.wait(moment, None)
            deadline = moment + self._timeout_char
            level = self.any()
        if not level:
            return None
        held = min(self._held, count)
        for i in range(held):
            buffer[i] = self._got[self._at + i]
        self._held -= held
        self._at += held
        if held == count or not self._level:
            return held
        rest = memoryview(buffer)[held:]
        got = _link.call(_link.UART_READ, self._id, count - held, 0, 0, None, 0, 0, rest)
        self._level -= got
        self._more_at = _link.more() if self._level <= 0 else 0
        return held + got

    def read(self, count=-1):
        data = bytearray(self.any() if count < 0 else count)
        got = self.readinto(data)
        return None if got is None else bytes(data[:got])

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            one = self.read(1)
            if one is None:
                return line or None
            line += one
        return line


class WDT:
    """Bites when the board's time passes the time-out unfed, or when a computation never comes back."""

    def __init__(self, id=0, timeout=5000):
        if not 1 <= timeout <= 8388:
            raise ValueError("timeout exceeds 8388")
        self._timeout = timeout * 1000000
        self.feed()

    def feed(self):
        _link.feed(self._timeout)


class ADC:
    """Mid-scale on every pin; channel 4 is the chip's temperature sensor, at 27 degrees Celsius."""

    CORE_TEMP = 4

    def __init__(self, pin):
        self._pin = int(pin)

    def read_u16(self):
        return 14017 if self._pin == 4 else 32768


class RTC:
    def memory(self, data=None):
        """As on an ESP32: bytes that outlive a reset, and not the power."""
        if data is None:
            return _retained.get()
        if len(data) > 2048:
            raise ValueError("buffer too long")
        _retained.set(data)

    def datetime(self, now=None):
        if now is None:
            date = _time.localtime()
            micros = _time.time_ns() // 1000 % 1000000
            return date[0], date[1], date[2], date[6], date[3], date[4], date[5], micros
        seconds = _time.mktime((now[0], now[1], now[2], now[4], now[5], now[6], 0, 0, 0))
        _time.set_date(seconds * 1000000000)


def unique_id():
    return bytes(int(_about["id"][i : i + 2], 16) for i in range(0, 16, 2))


def reset_cause():
    return _about["cause"]


def freq(*_):
    return 125000000


def reset():
    _link.call(_link.RESET, HARD_RESET, 0, 0, 0, None, 0, 0, None)


def soft_reset():
    _link.call(_link.RESET, SOFT_RESET, 0, 0, 0, None, 0, 0, None)


def idle():
    _link.pass_time(1000)


def lightsleep(ms=None):
    _link.wait(_link.FOREVER if ms is None else _link.now() + ms * 1000000, None)


def deepsleep(ms=None):
    _link.feed(1 << 60)  # no watchdog bites in it, as on an ESP32
    lightsleep(ms)
    _link.call(_link.RESET, DEEPSLEEP_RESET, 0, 0, 0, None, 0, 0, None)


def disable_irq():
    return 0


def enable_irq(state):
    pass
