"""The unix board's line to its host: one request and one reply at a time, no allocation, and the board's time.

Request: 9 machine words (operation, a, b, c, d, payload length, now, when the watchdog bites or 0, chip selects that
have changed since), then the payload.
Reply: 6 machine words (errno, value, now, payload length, flags, more), then the payload into the asker's buffer.
The host's end is host/quaver/emulator/unix_guest.py; the numbers of the operations stand in both.
Not for threads.
"""

import array
import sys

import micropython
import uctypes
import uselect
import utime
from micropython import const

HELLO = const(1)
READY = const(2)
WAIT = const(3)
CANCEL = const(4)
RESYNC = const(5)
RESET = const(6)
WATCHDOG = const(7)
PIN = const(8)
SPI = const(9)
I2C = const(10)
UART_WRITE = const(11)
UART_READ = const(12)
UART_LEVEL = const(13)
WIFI = const(14)
LEVEL = const(15)
EDGE = const(16)
RADIO = const(17)
LAN = const(18)
FLASH = const(19)

WRITE_READ = const(3)  # of SPI: what was put off is written, then the rest read

# Short cuts of fast mode: while nobody else does anything a board leaps by itself, and reports every so often.
_LEAPS = const(16)
_LONGEST_LEAP = const(1000000000)

FOREVER = const(1 << 61)
MAX_PAYLOAD = const(8192)  # longer transfers go in pieces

_REQUEST = const(72)
_REPLY = const(48)
_INTERRUPT = const(1)
_HAS_WIFI = const(2)
_ALONE = const(4)
_HAS_EVENT = const(8)
_HAS_DATA = const(16)
_CUTS = const(32)

_words = array.array("l", bytes(_REQUEST + MAX_PAYLOAD))  # 'l': reading a 'q' would allocate
_out = uctypes.bytearray_at(uctypes.addressof(_words), _REQUEST + MAX_PAYLOAD)
_reply = array.array("l", bytes(_REPLY))
_in = uctypes.bytearray_at(uctypes.addressof(_reply), _REPLY)
_interrupt = KeyboardInterrupt()

stream = None  # the socket to the host, as a file
_token = None
_busy = False  # a reply is due: set while a request is out, and left so by a KeyboardInterrupt in between
_real_time = False
_base = 0  # real time: virtual minus the host's monotonic ns
_boot = 0  # when this boot began; the device's own counters start there
_now = 0
_leaps = 0
_horizon = 0  # until when nobody else does anything: a leap to before it needs no word to the host
_bite_at = FOREVER  # when the watchdog bites, as far as we know
_selects = 0  # chip selects that have changed and are told with the next request, 16 bits each
defers = False  # in a network in virtual time: short SPI writes wait for what follows, and go with it
_put_off = bytearray(8)  # such a write; its time has passed
_put_off_count = 0
_put_off_bus = 0
_put_off_baudrate = 1
_edge_at = FOREVER  # when the level of a watched pin changes next
_watched = []  # of each watched pin: [when its next edge comes, number, Pin, handler, trigger, hard, the edge's kind]


@micropython.viper
def _copy(source: ptr8, start: int, count: int, target: ptr8):
    for i in range(count):
        target[72 + i] = source[start + i]


def open_link(fd):
    """Take over the socket that the host left open; returns what it says about this boot (bytearray)."""
    global stream, _token, _real_time, _base, _boot
    stream = open(fd, "r+b")
    _token = bytearray(16)
    about = bytearray(call(HELLO, 16, 0, 0, 0, None, 0, 0, _token))
    _real_time = bool(call(HELLO, 0, 0, 0, 0, None, 0, 0, about))
    _boot = _reply[2]
    _base = _boot - utime.ticks_us() * 1000
    return about


@micropython.native
def now():
    """The board's virtual time, ns. In fast mode each look at it costs 1 us, so that polling gets somewhere."""
    global _now
    if _real_time:
        real = utime.ticks_us() * 1000 + _base
        if real >= _edge_at:
            _interrupts(real)
        return real
    _now += 1000
    if _now >= _edge_at:
        _interrupts(_now)
    return _now


@micropython.native
def uptime():
    """ns since this boot: `now` once more, for it is asked thousands of times a minute."""
    global _now
    if _real_time:
        return now() - _boot
    _now += 1000
    if _now >= _edge_at:
        _interrupts(_now)
    return _now - _boot


def pass_time(ns):
    """Let a short moment pass without asking the host."""
    global _now
    if _real_time:
        utime.sleep_us(ns // 1000)
    else:
        _now += ns
        if _now >= _edge_at:
            _interrupts(_now)


def fast():
    """Whether time leaps; otherwise it keeps the pace of the wall clock."""
    return not _real_time


@micropython.native
def call(op, a, b, c, d, source, start, count, target):
    """One exchange: `count` bytes of `source` go out, the reply's payload lands in `target`; returns the value.

    Raises OSError with the host's errno, KeyboardInterrupt when the console's Ctrl-C came meanwhile.
    """
    if _put_off_count:
        _write_now()
    return _call(op, a, b, c, d, source, start, count, target)


@micropython.native
def _call(op, a, b, c, d, source, start, count, target):
    global _busy
    if _busy:
        _resync()
    _busy = True
    if count:
        _copy(source, start, count, _out)
    _send(op, a, b, c, d, count)
    return _receive(target)


def put_off(bus, baudrate, buffer, count):
    """Write `count` bytes, at most 8, together with what follows on that bus: half the requests of a FIFO's reader."""
    global _put_off_count, _put_off_bus, _put_off_baudrate
    if _put_off_count:
        _write_now()
    for i in range(count):
        _put_off[i] = buffer[i]
    _put_off_count = count
    _put_off_bus = bus
    _put_off_baudrate = baudrate
    pass_time(count * 8000000000 // baudrate)


def read(bus, baudrate, fill, count, target):
    """Read from an SPI bus, after what was put off."""
    global _put_off_count
    if _put_off_count and _put_off_bus == bus and _put_off_baudrate == baudrate:
        written = _put_off_count
        _put_off_count = 0
        _call(SPI, bus, baudrate, WRITE_READ, count << 8 | fill, _put_off, 0, written, target)
    else:
        call(SPI, bus, baudrate, 1, count << 8 | fill, None, 0, 0, target)


def _write_now():
    global _put_off_count
    written = _put_off_count
    _put_off_count = 0
    _call(SPI, _put_off_bus, _put_off_baudrate, WRITE_READ, 0, _put_off, 0, written, None)


@micropython.native
def wait(until, poller, listen=0):
    """Wait for the moment `until` (ns); with a poller (which holds `stream`), also for any of its streams.

    listen: 1 to end the wait at an event of the radio, 2 at one of the network's sockets, 3 at both. Returns True when
    a stream ended it.
    """
    global _busy, _leaps, _now, _horizon
    if _put_off_count:
        _write_now()
    while _edge_at < until:
        if wait(_edge_at, poller, listen):
            return True
        if _now >= _edge_at:
            _interrupts(_now)
        elif (listen & 1 and event()) or (listen & 2 and data()):
            return False
    if poller is None and _leaps and until < _bite_at and until < _horizon and until - _now < _LONGEST_LEAP:
        _leaps -= 1
        if until > _now:
            _now = until
        return False
    if _busy:
        _resync()
    _busy = True
    _send(WAIT, until, listen, 0, 0, 0)
    early = False
    if poller is not None:
        early = True
        for ready in poller.ipoll(-1):
            if ready[0] is stream:
                early = False
        if early:
            _send(CANCEL, 0, 0, 0, 0, 0)
    _receive(None)
    _horizon = FOREVER if _reply[4] & _ALONE else _reply[5]
    if _horizon > _now:
        _leaps = _LEAPS
    return early


def feed(timeout):
    """Put the watchdog off by `timeout` ns; each request tells until when."""
    global _bite_at
    if _bite_at == FOREVER or _now >= _bite_at:
        call(WATCHDOG, timeout, 0, 0, 0, None, 0, 0, None)
    _bite_at = _now + timeout


def select(number, level):
    """A chip select has gone to `level`."""
    global _selects
    if _put_off_count:
        _write_now()
    if _selects >> 32:
        call(PIN, number, level, 0, 0, None, 0, 0, None)
    else:
        _selects = _selects << 16 | 0x8000 | level << 8 | number


def more():
    """The last reply's second value."""
    return _reply[5]


def size():
    """Bytes of payload that the last reply brought."""
    return _reply[3]


@micropython.native
def event():
    """Whether the radio has an event to fetch, as of the last reply."""
    return bool(_reply[4] & _HAS_EVENT)


@micropython.native
def data():
    """Whether a socket of the network in virtual time has changed, as of the last reply."""
    return bool(_reply[4] & _HAS_DATA)


def cuts():
    """Whether power is to go at an operation of the flash, so that each has to be told, as of the last reply."""
    return bool(_reply[4] & _CUTS)


def wifi():
    """Whether there is an access point, as of the last reply."""
    return bool(_reply[4] & _HAS_WIFI)


@micropython.native
def _send(op, a, b, c, d, count):
    global _selects
    _words[0] = op
    _words[1] = a
    _words[2] = b
    _words[3] = c
    _words[4] = d
    _words[5] = count
    _words[6] = (utime.ticks_us() * 1000 + _base) if _real_time else _now
    _words[7] = 0 if _bite_at == FOREVER else _bite_at
    _words[8] = _selects
    _selects = 0
    stream.write(_out, 0, _REQUEST + count)


@micropython.native
def _receive(target):
    global _busy, _now, _leaps
    if stream.readinto(_in, _REPLY) != _REPLY:
        raise SystemExit  # the host is gone
    if _reply[3]:
        stream.readinto(target, _reply[3])
    _busy = False
    _now = _reply[2]
    # On its own wires a board does nothing that others see.
    if not _reply[4] & _ALONE and not PIN <= _words[0] <= UART_LEVEL:
        _leaps = 0
    if _reply[4] & _INTERRUPT:
        raise _interrupt
    if _reply[0]:
        raise OSError(_reply[0])
    if _now < _edge_at:
        return _reply[1]
    value = _reply[1]
    second = _reply[5]
    _interrupts(_now)
    _reply[5] = second
    return value


# Interrupts of pins. The host foretells each edge; whatever makes the board's time pass looks whether it passed one.


def watch(number, pin, handler, trigger, hard):
    """Call handler(pin) at the edges of GPIO `number` that are among `trigger`; None ends it."""
    for watched in _watched:
        if watched[1] == number:
            _watched.remove(watched)
            watched[3] = None
            break
    if handler is not None:
        _watched.append([now(), number, pin, handler, trigger, hard, 0])
        _foretell(_watched[-1])
    _soonest()


def _foretell(watched):
    watched[0] = call(EDGE, watched[1], watched[4], watched[0], 0, None, 0, 0, None)
    watched[6] = _reply[5]


def _soonest():
    global _edge_at
    _edge_at = FOREVER
    for watched in _watched:
        if watched[0] < _edge_at:
            _edge_at = watched[0]


def _interrupts(passed):
    """Time has come to `passed`: call the handlers of all edges up to then, at the moment of each.

    None of them interrupts another. Allocates nothing, and a hard one can't either, as on the device.
    """
    global _now, _base, _edge_at
    try:
        while _edge_at <= passed:
            at = _edge_at
            _edge_at = FOREVER
            for watched in _watched:
                if watched[0] == at:
                    if watched[6]:
                        # The handler sees the time of its edge.
                        late = passed - at
                        _base -= late
                        _now = at
                        try:
                            _handle(watched)
                        finally:
                            _base += late
                    if watched[3] is not None:
                        _foretell(watched)
            _soonest()
    finally:
        if _now < passed:
            _now = passed
        if _edge_at == FOREVER:
            _soonest()


def _handle(watched):
    try:
        if watched[5]:
            micropython.heap_lock()
        try:
            watched[3](watched[2])
        finally:
            if watched[5]:
                micropython.heap_unlock()
    except Exception as error:
        _watched.remove(watched)
        watched[3] = None
        print("Uncaught exception in IRQ callback handler")
        sys.print_exception(error)


def _resync():
    """An exchange was cut short by Ctrl-C: skip what is left of it, up to the host's token."""
    global _busy
    _send(RESYNC, 0, 0, 0, 0, 0)
    tail = b""
    while tail != _token:
        one = stream.read(1)
        if not one:
            raise SystemExit
        tail = (tail + one)[-16:]
    _busy = False


# What is on its way over real sockets. Virtual time must not leap over an answer that needs some real time.

_ANSWER_MS = const(8000)  # real time that a peer gets to answer what was sent
_SETTLE_MS = const(2)  # and to follow up on what it sent
_IDLE_MS = const(1)  # and to begin
_LONG_MS = const(200)
connections = 0  # that are open, over real sockets
expecting = {}  # id -> each real socket whose last word was ours
active = False  # something came or went since the last wait


def sent(real):
    global active
    if hasattr(real, "ready"):
        return  # a socket of the network in virtual time: there, an answer takes no real time
    active = True
    expecting[id(real)] = real


def received(real):
    global active
    if hasattr(real, "ready"):
        return
    active = True
    expecting.pop(id(real), None)


def settle(poller, streams):
    """Fast mode, before time leaps: give the peers of the sockets in `poller` real time; True when one spoke.

    streams: the ids in the poller; only their answers are waited for. None: anyone's.
    """
    global active
    if not active:
        return False
    hold = _SETTLE_MS
    for known in expecting:
        if streams is None or known in streams:
            hold = _ANSWER_MS
    if poller.poll(hold):
        return True
    active = False
    for known in list(expecting):
        if streams is None or known in streams:
            del expecting[known]
    return False


def idle(leap_ms):
    """Fast mode, before a leap of so long: a board that is connected and idle would take a whole processor."""
    if connections and leap_ms >= _LONG_MS:
        utime.sleep_ms(_IDLE_MS)


def settle_all():
    """The same before a plain sleep, for every socket that has an answer to come."""
    global active
    if not active:
        return
    poller = uselect.poll()
    for real in expecting.values():
        poller.register(real, uselect.POLLIN)
    while expecting:
        ready = poller.poll(_ANSWER_MS)
        if not ready:
            expecting.clear()
        for real, _ in ready:
            poller.unregister(real)
            del expecting[id(real)]
    utime.sleep_ms(_SETTLE_MS)
    active = False
