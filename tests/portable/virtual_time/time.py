# A clock that moves only when somebody waits: MicroPython's asyncio takes its time from here.

_MASK = (1 << 30) - 1
_now_us = 0


def advance_us(us):
    global _now_us
    _now_us += us


def ticks_us():
    return _now_us & _MASK


def ticks_ms():
    return _now_us // 1000 & _MASK


def ticks_add(ticks, delta):
    return ticks + delta & _MASK


def ticks_diff(a, b):
    return (a - b + (1 << 29) & _MASK) - (1 << 29)


def sleep_us(us):
    advance_us(us)


def sleep_ms(ms):
    advance_us(ms * 1000)


def sleep(s):
    advance_us(int(s * 1e6))


def time():
    return _now_us // 1_000_000
