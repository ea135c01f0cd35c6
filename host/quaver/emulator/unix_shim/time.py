"""The board's `time`: virtual, given by the host; counters wrap as on the RP2040.

Dates start at 2021-01-01, as on a Pico W that has not heard from anybody; `machine.RTC` sets them.
"""

import micropython
import quaver_link as _link
import utime as _real
from micropython import const
from quaver_link import uptime as _uptime

_PERIOD = const(1 << 30)  # TICKS_PERIOD of the 32-bit ports
_HALF = const(1 << 29)
_EPOCH_NS = const(1609459200 * 1000000000)

_rtc = _EPOCH_NS  # the date at virtual time 0, ns since 1970

mktime = _real.mktime  # the host starts the guest in UTC


@micropython.native
def ticks_ms():
    return _uptime() // 1000000 & (_PERIOD - 1)


@micropython.native
def ticks_us():
    return _uptime() // 1000 & (_PERIOD - 1)


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & (_PERIOD - 1)


@micropython.native
def ticks_diff(end, start):
    return ((end - start + _HALF) & (_PERIOD - 1)) - _HALF


def sleep(seconds):
    _sleep(int(seconds * 1000000000))


def sleep_ms(ms):
    _sleep(ms * 1000000)


def sleep_us(us):
    if us < 500:
        if us > 0:
            _link.pass_time(us * 1000)
    else:
        _sleep(us * 1000)


def _sleep(ns):
    if ns > 0:
        # One that sleeps between looks at its sockets gets their answers before time leaps.
        if _link.fast():
            _link.settle_all()
        _link.wait(_link.now() + ns, None)


def time_ns():
    return _rtc + _link.now()


def time():
    return time_ns() // 1000000000


def gmtime(seconds=None):
    return _real.gmtime(time() if seconds is None else seconds)


localtime = gmtime


def set_date(ns):
    """Make it `ns` since 1970 now."""
    global _rtc
    _rtc = ns - _link.now()
